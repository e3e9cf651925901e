#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "core/base/loop.hpp"
#include "core/host/callback_watch.hpp"
#include "core/host/core_link.hpp"
#include "core/host/own_metrics.hpp"
#include "core/host/pace.hpp"
#include "core/host/plugin_subconnection.hpp"
#include "core/host/private_state.hpp"
#include "core/host/setup.hpp"
#include "core/host/switchboard.hpp"
#include "hawser/plugin.h"

namespace hawser::host {
class Instance;
}

// What a plugin gets as its handle for the host.
struct hws_ctx {
  hawser::host::Instance* instance;
};

namespace hawser::host {

inline constexpr std::size_t kTimersMax = 1024;  // of one plugin
inline constexpr std::size_t kWatchesMax = 48;   // descriptors; a wait takes 64
inline constexpr std::size_t kActionsMax = 16;   // that run at the same time
inline constexpr std::size_t kReachesMax = 64;   // questions that wait for the cloud
inline constexpr std::size_t kSubconnectionsMax = 64;

// The one plugin of this process, and the service thread on which every callback into it runs. Made by the control
// thread, never destroyed: the process ends by _exit(), since a vendor's threads may still be running. Functions are
// for the service thread unless they say otherwise.
class Instance {
 public:
  // `end`: asks the control thread to send what waits and to end the process. Any thread.
  Instance(Setup setup, CoreLink& link, Switchboard& switchboard, CallbackWatch& callbacks, GatewayMaker gateway,
           std::function<void(int)> end);

  void start_thread();  // control thread, once

  // What the core says, from the control thread. False: the service thread's queue is full, to be tried again.
  [[nodiscard]] bool configure(std::string id, std::string config, bool apply);
  [[nodiscard]] bool action_done(std::string id, std::optional<int> exit_code, std::string output, std::string reason);
  [[nodiscard]] bool cloud_reached(std::string id, bool reached, std::string how);
  struct Leaving {
    bool state = false;     // another version follows: the private state is copied, for this one's return
    bool handover = false;  // a newer one: what the plugin saves for it is kept
  };
  [[nodiscard]] bool stop(milliseconds deadline, TimePoint until, Leaving leaving);

  // Runs `call`, which goes into the plugin, under a name that lives for good: it is noted in the flight page. What it
  // throws ends the process with a sentence. False then.
  bool guarded(const char* what, const std::function<void()>& call);
  bool ended() const { return ended_; }
  void deliver_later(hws_subconn& subconnection);

  // Behind the C edge (host_functions.cpp). Any thread: log, error, health, post, info, metrics().set().
  bool on_service_thread(const char* function);
  void log(std::int32_t level, hws_str message, const hws_kv* fields, std::size_t count);
  void error(hws_status code, hws_str detail);
  void health(std::int32_t state, hws_str detail);
  hws_status post(void (*fn)(void*), void* arg);
  hws_status info(hws_str key, const hws_sink* out) const;
  hws_status timer(std::uint64_t after_ms, std::uint64_t period_ms, void (*fn)(void*), void* arg, std::uint64_t* id);
  hws_status timer_cancel(std::uint64_t id);
  hws_status watch(int fd, void (*fn)(void*), void* arg);
  hws_status unwatch(int fd);
  hws_status open(const hws_subconn_params* params, const hws_subconn_events* events, void* user, hws_subconn** out);
  using ActionDone = void (*)(void*, std::int32_t, hws_str, hws_str);
  hws_status run_action(hws_str name, ActionDone done, void* user);
  using ReachDone = void (*)(void*, hws_status, hws_str);
  hws_status reach_cloud(std::uint32_t timeout_ms, ReachDone done, void* user);
  PrivateState& state() { return state_; }
  OwnMetrics& metrics() { return metrics_; }

 private:
  struct Timer {
    Loop::TimerId loop_id = 0;
    std::uint64_t period_ms = 0;
    void (*fn)(void*) = nullptr;
    void* arg = nullptr;
  };

  // The life of the plugin (instance.cpp).
  void live();
  bool load();
  bool begin();
  void restore_own_state();
  bool take_handover();
  bool configure_first();
  void put_handover_away();
  void keep_state();
  void save_handover();
  const hws_plugin_handover* handover_table();
  void refuse(const std::string& reason, const std::string& detail);
  std::string status_words(const char* function, hws_status status);
  hws_status configure_plugin(std::int32_t mode, const std::string& config, std::string& why);
  void stop_plugin(std::uint32_t deadline_ms);
  void drain();
  void finish_if_drained();

  void run_timer(std::uint64_t id);
  void run_watch(int fd, short events, void (*fn)(void*), void* arg);

  const Setup setup_;
  const std::shared_ptr<Pace> pace_ = std::make_shared<Pace>(setup_.bytes_per_second);
  CoreLink& link_;
  Switchboard& switchboard_;
  CallbackWatch& callbacks_;
  const GatewayMaker gateway_;
  const std::function<void(int)> end_;
  hws_ctx context_{this};
  hws_host host_;
  Loop loop_;
  PrivateState state_;
  OwnMetrics metrics_{loop_, link_};
  std::thread::id service_thread_;
  const hws_plugin* plugin_ = nullptr;
  void* self_ = nullptr;
  bool ended_ = false;

  bool started_ = false;
  std::atomic<bool> stopping_{false};
  bool draining_ = false;
  Leaving leaving_;
  bool took_over_ = false;  // from the version before, in this process
  TimePoint stop_until_{};
  std::size_t running_subconnections_ = 0;

  std::map<std::uint64_t, Timer> timers_;
  std::uint64_t last_timer_ = 0;
  std::set<int> watches_;
  std::map<std::string, std::unique_ptr<hws_subconn>> subconnections_;
  std::map<std::string, std::pair<ActionDone, void*>> actions_;
  std::map<std::string, std::pair<ReachDone, void*>> reaches_;
  std::uint64_t last_request_ = 0;

  std::mutex mutex_;  // guards the two below
  std::string last_error_;
  std::string stopped_detail_;
};

}  // namespace hawser::host
