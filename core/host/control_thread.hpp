#pragma once

#include <optional>

#include "core/base/loop.hpp"
#include "core/control/channel.hpp"
#include "core/host/core_link.hpp"
#include "core/host/instance.hpp"
#include "core/host/setup.hpp"
#include "core/host/switchboard.hpp"

namespace hawser::host {

// The host's main thread: the control channel. It never calls the plugin, so it answers and ends the process also while
// the plugin is stuck. Made by main(), never destroyed before the process ends.
class ControlThread {
 public:
  using GatewayChooser = std::function<GatewayMaker(const Setup&)>;

  ControlThread(Descriptor channel, GatewayChooser choose_gateway);
  // Runs until the core has gone or the plugin has ended; ends the process with _exit(), since a vendor's threads and
  // static destructors have no say in that.
  [[noreturn]] void run();

 private:
  void on_ready(short events);
  void pump();
  void watch();
  void hear(const json::Object& message);
  void set_up(const json::Object& message);
  void stop(std::chrono::milliseconds deadline);
  void deliver(std::function<bool()> attempt);
  void end(int code);
  void end_if_flushed();

  Loop loop_;
  control::Channel channel_;
  CoreLink link_;
  Switchboard switchboard_;
  const GatewayChooser choose_gateway_;
  std::unique_ptr<Instance> instance_;
  std::optional<int> ending_;
  bool watches_output_ = false;
};

}  // namespace hawser::host
