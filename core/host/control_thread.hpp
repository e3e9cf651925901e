#pragma once

#include <optional>

#include "core/base/loop.hpp"
#include "core/control/channel.hpp"
#include "core/host/callback_watch.hpp"
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
  // Puts up the walls that the setup asks for, while this is the only thread. False: the host ends.
  bool confine(Setup& setup);
  void stop(std::chrono::milliseconds deadline, Instance::Leaving leaving);
  void pong(const json::Object& ping);
  void deliver(std::function<bool()> attempt);
  void end(int code);
  void end_if_flushed();

  Loop loop_;
  control::Channel channel_;
  CoreLink link_;
  CallbackWatch callbacks_;
  Switchboard switchboard_;
  const GatewayChooser choose_gateway_;
  std::shared_ptr<ValidityFloor> validity_floor_;  // of the setup
  std::unique_ptr<Instance> instance_;
  std::optional<int> ending_;
  std::uint64_t pings_ = 0;
  bool watches_output_ = false;
};

}  // namespace hawser::host
