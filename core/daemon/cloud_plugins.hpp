#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/loop.hpp"
#include "core/connection/main_connection.hpp"
#include "core/control/control_socket.hpp"
#include "core/daemon/kept_wishes.hpp"
#include "core/daemon/reloader.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {

inline constexpr milliseconds kSettleLimit{10'000};  // then the plugins are told of as they are
inline constexpr milliseconds kSettleLook{100};      // between two looks at what they have come to
inline constexpr std::size_t kWaitingMax = 64;       // questions of the cloud; beyond it the next is answered at once
inline constexpr std::size_t kCommandedMax = 256;    // plugins that the cloud's commands named

// Operators at the cloud drive the plugins: the site profile and the commands for this device alone lie over the local
// configuration, of which the stricter counts (sdk-10, sdk-11). Owned by main(), lives on the loop's thread; what it is
// given outlives it. It is the reloader's layer.
class CloudPlugins {
 public:
  struct House {
    Loop& loop;
    KeptWishes& kept;
    Reloader& reloader;
    supervisor::Supervisor& supervisor;
    connection::MainConnection& connection;
  };
  using Tell = std::function<void(connection::Event)>;
  CloudPlugins(const House& house, Tell tell) : house_(house), tell_(std::move(tell)) {}
  CloudPlugins(const CloudPlugins&) = delete;
  CloudPlugins& operator=(const CloudPlugins&) = delete;
  ~CloudPlugins() { house_.loop.cancel(clock_); }

  // Answered by site_profile_result, when the plugins have come to rest.
  void take(const std::string& id, config::SiteProfile profile);
  // Answers {"plugin","state","reason"?,"detail"?}, or why not.
  void enable(const std::string& plugin, const control::Reply& reply);
  void disable(const std::string& plugin, const control::Reply& reply);
  void discard();  // the binding that it belonged to is gone

  // For the displays. `cloud` of an entry of plugin_list: what the cloud has to do with it, or null.
  Poco::Dynamic::Var wish_for(const std::string& plugin) const;
  // The plugins that do not run, and of which the cloud or plugins.disabled of the device is the cause.
  std::vector<std::string> kept_from_running() const;
  json::Object stopped_entry(const std::string& plugin) const;
  Poco::Dynamic::Var profile_state() const;  // null where there is none

 private:
  struct Waiting {
    std::vector<std::string> plugins;
    TimePoint until;
    std::function<void()> done;
  };

  config::Verdict verdict(const std::string& plugin) const;
  json::Object entry(const std::string& plugin) const;
  void answer(const std::string& id, const std::vector<std::string>& plugins, const std::string& reason);
  void change(config::CloudWishes wishes, const connection::Event& event);
  void answer_command(const std::string& plugin, const control::Reply& reply, bool wanted);
  void wait(std::vector<std::string> plugins, std::function<void()> done);
  void look();
  void give_up_refused_configs();

  House house_;
  Tell tell_;
  std::vector<Waiting> waiting_;
  Loop::TimerId clock_ = 0;
};

}  // namespace hawser::daemon
