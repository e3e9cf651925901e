#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"
#include "core/config/dhcp_lease.hpp"
#include "core/connection/main_connection.hpp"

namespace hawser::daemon {

// The door for the hooks of every DHCP client: watches the folder in which they leave what their leases said, and tells
// which one counts (promise conn-11). Owned by main(), lives on the loop's thread; reads small files of a tmpfs.
class DhcpLeases {
 public:
  static constexpr milliseconds kGather{100};        // hooks write in swarms
  static constexpr milliseconds kWatchAgain{5000};   // when the folder was taken away
  static constexpr milliseconds kWatchRetry{60000};  // when the folder cannot be watched

  using OnOffer = std::function<void(std::optional<connection::DhcpOffer>)>;  // when it changes
  using Tell = std::function<void(connection::Event)>;                        // kind dhcp, for the history

  // `folder` is made when it is missing. Looks at what stands there already: at once, by `on_offer` from inside.
  DhcpLeases(Loop& loop, std::filesystem::path folder, config::Dhcp settings, OnOffer on_offer, Tell tell,
             std::filesystem::path proc_net = "/proc/net");
  DhcpLeases(const DhcpLeases&) = delete;
  DhcpLeases& operator=(const DhcpLeases&) = delete;
  ~DhcpLeases();

  void configure(config::Dhcp settings);
  void look();  // again, since a route has changed or the device slept

 private:
  void watch();
  void on_change();
  void look_soon();
  std::map<std::string, config::Lease> read();
  std::optional<config::Lease> read_one(const std::filesystem::path& file);
  void complain(const std::string& interface, const std::string& sentence, const std::string& reason);
  void offer(std::optional<connection::DhcpOffer> now);
  void set_expiry(const std::map<std::string, config::Lease>& leases);

  Loop& loop_;
  std::filesystem::path folder_, proc_net_;
  config::Dhcp settings_;
  OnOffer on_offer_;
  Tell tell_;
  Descriptor inotify_;
  std::optional<connection::DhcpOffer> offered_;
  std::map<std::string, std::string> complained_;  // by interface: the sentence, so that each is said once
  Loop::TimerId gather_timer_ = 0, expiry_timer_ = 0, watch_timer_ = 0;
};

}  // namespace hawser::daemon
