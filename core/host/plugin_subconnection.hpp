#pragma once

#include <memory>

#include "core/host/subconnection.hpp"
#include "hawser/plugin.h"

namespace hawser::host {
class Instance;
}

// The handle that a plugin holds for one subconnection: its callbacks, and the message that it has not settled yet.
// Owned by the Instance, never destroyed before the process ends. Lives on the service thread; the plugin may call
// connection()'s sending functions from any thread.
struct hws_subconn {
 public:
  hws_subconn(hawser::host::Instance& instance, const hws_subconn_events* events, void* user);

  void attach(std::unique_ptr<hawser::host::Subconnection> connection);
  hawser::host::Subconnection& connection() { return *connection_; }
  hawser::host::Instance& instance() { return instance_; }

  // Gives the plugin what waits in the mailbox, at most kPerTurn items.
  void deliver();
  hws_status settle(std::uint64_t number, hws_status verdict, std::string_view why);
  static hws_status status_of(hawser::host::Subconnection::Sent sent);
  // Any thread.
  hws_status send_source(std::string_view source, std::string_view data, bool compress, std::uint64_t* ticket);

 private:
  static constexpr int kPerTurn = 64;  // so that timers and other subconnections do not starve

  void give(hawser::host::Mailbox::Item& item);
  void give_of_spool(const hawser::host::Mailbox::Item& item);
  void ask_source(const hawser::host::Mailbox::AskSource& ask);
  void give_best_effort(const hawser::host::Mailbox::BestEffort& message);
  void give_durable(const hawser::host::Inbound& message);
  void finish_durable(hawser::host::Verdict verdict, std::string why);

  hawser::host::Instance& instance_;
  hws_subconn_events events_{};
  void* user_;
  std::unique_ptr<hawser::host::Subconnection> connection_;
  std::string stream_;        // of the message that the plugin holds
  std::uint64_t number_ = 0;  // 0: it holds none
};
