#include <fcntl.h>
#include <poll.h>

#include <climits>

#include "core/base/encoding.hpp"
#include "core/host/host_functions.hpp"
#include "core/host/instance.hpp"
#include "core/host/text_sink.hpp"

// What the plugin asks of the host, and what the core answers.
namespace hawser::host {
namespace {

constexpr std::uint64_t kTimerMsMax = std::uint64_t{365} * 24 * 3600 * 1000;
constexpr std::uint32_t kReachMsMax = 3600 * 1000;
constexpr std::uint32_t kOutboxBytesMost = 256 * 1024 * 1024;

}  // namespace

bool Instance::on_service_thread(const char* function) {
  if (std::this_thread::get_id() == service_thread_) return true;
  link_.log("error", std::string("misbehaving: ") + function +
                         "() belongs to the service thread and was called on another; nothing was done");
  return false;
}

void Instance::log(std::int32_t level, hws_str message, const hws_kv* fields, std::size_t count) {
  static constexpr const char* kLevels[] = {"debug", "info", "warn", "error", "error"};
  const bool known = level >= HWS_LOG_DEBUG && level <= HWS_LOG_MISBEHAVING;
  CoreLink::Fields kept;
  for (std::size_t i = 0; fields && i < count && i < kLogFieldsMax; ++i)
    kept.emplace_back(view(fields[i].key), view(fields[i].value));
  const std::string mark = level == HWS_LOG_MISBEHAVING ? "misbehaving: " : "";
  link_.log(known ? kLevels[level] : "info", mark + std::string(view(message).substr(0, kLogMessageBytesMax)), kept);
}

void Instance::error(hws_status code, hws_str detail) {
  const std::lock_guard lock(mutex_);
  last_error_ = printable(view(detail), 512);
  if (last_error_.empty()) last_error_ = status_name(code);
}

void Instance::health(std::int32_t state, hws_str detail) {
  static constexpr const char* kStates[] = {"", "ready", "degraded", "stopped", "faulted"};
  if (state < HWS_READY || state > HWS_FAULTED) return;
  const std::string words = printable(view(detail), 1024);
  if (state == HWS_STOPPED && stopping_) {
    {
      const std::lock_guard lock(mutex_);
      stopped_detail_ = words;
    }
    // The core hears of it when what is left has been sent. Should the loop be full, the deadline does the same.
    (void)loop_.post([this] { drain(); });
    return;
  }
  auto message = message_of("health");
  message->set("state", kStates[state]);
  message->set("detail", words);
  link_.send_newest("health", message);
}

hws_status Instance::post(void (*fn)(void*), void* arg) {
  if (!fn) return HWS_E_INVALID;
  const bool posted = loop_.post([this, fn, arg] { guarded("post", [&] { fn(arg); }); });
  return posted ? HWS_OK : HWS_E_AGAIN;
}

hws_status Instance::info(hws_str key, const hws_sink* out) const {
  if (!out || !out->write) return HWS_E_INVALID;
  const std::map<std::string_view, std::string> facts = {
      {"device.serial", setup_.serial}, {"device.hostname", setup_.hostname},
      {"device.site", setup_.site},     {"agent.version", HAWSER_VERSION},
      {"plugin.digest", setup_.digest}, {"plugin.state_dir", setup_.state_dir.string()}};
  const auto fact = facts.find(view(key));
  if (fact == facts.end()) return HWS_E_UNSUPPORTED;
  return out->write(out->to, fact->second.data(), fact->second.size());
}

hws_status Instance::timer(std::uint64_t after_ms, std::uint64_t period_ms, void (*fn)(void*), void* arg,
                           std::uint64_t* id) {
  if (!fn || after_ms > kTimerMsMax || period_ms > kTimerMsMax) return HWS_E_INVALID;
  if (timers_.size() >= kTimersMax) return HWS_E_AGAIN;
  const std::uint64_t number = ++last_timer_;
  Timer& timer = timers_[number];
  timer = {0, period_ms, fn, arg};
  timer.loop_id = loop_.after(milliseconds(after_ms), [this, number] { run_timer(number); });
  if (id) *id = number;
  return HWS_OK;
}

void Instance::run_timer(std::uint64_t id) {
  const auto found = timers_.find(id);
  if (found == timers_.end()) return;
  const auto [loop_id, period_ms, fn, arg] = found->second;
  if (period_ms == 0) {
    timers_.erase(found);
  } else if (found->second.fn) {
    // The first run is over: from here on the loop repeats it, and a late run does not shift the following ones.
    found->second.loop_id =
        loop_.every(milliseconds(period_ms), [this, call = fn, with = arg] { guarded("timer", [&] { call(with); }); });
  }
  guarded("timer", [&, call = fn, with = arg] { call(with); });
}

hws_status Instance::timer_cancel(std::uint64_t id) {
  const auto found = timers_.find(id);
  if (found == timers_.end()) return HWS_E_INVALID;
  loop_.cancel(found->second.loop_id);
  timers_.erase(found);
  return HWS_OK;
}

hws_status Instance::watch(int fd, void (*fn)(void*), void* arg) {
  if (!fn || fd < 0 || ::fcntl(fd, F_GETFD) < 0) return HWS_E_INVALID;
  if (watches_.size() >= kWatchesMax && watches_.count(fd) == 0) return HWS_E_AGAIN;
  watches_.insert(fd);
  loop_.watch(fd, POLLIN, [this, fd, fn, arg](short events) { run_watch(fd, events, fn, arg); });
  return HWS_OK;
}

void Instance::run_watch(int fd, short events, void (*fn)(void*), void* arg) {
  if ((events & POLLNVAL) == 0) {
    guarded("watch", [&] { fn(arg); });
    return;
  }
  link_.log("error", "misbehaving: descriptor " + std::to_string(fd) + " was closed while it was watched");
  unwatch(fd);
}

hws_status Instance::unwatch(int fd) {
  if (watches_.erase(fd) == 0) return HWS_E_INVALID;
  loop_.unwatch(fd);
  return HWS_OK;
}

void Instance::deliver_later(hws_subconn& subconnection) {
  // Room is certain enough: this task has just left the queue. If not, a minute's worth of posts waits before it.
  if (!loop_.post([&subconnection] { subconnection.deliver(); }))
    loop_.after(milliseconds(1), [&subconnection] { subconnection.deliver(); });
}

hws_status Instance::open(const hws_subconn_params* params, const hws_subconn_events* events, void* user,
                          hws_subconn** out) {
  if (!params || !out || !HWS_HAS(hws_subconn_params, params, service)) return HWS_E_INVALID;
  const std::string service = params->service;
  const auto offered = setup_.services.find(service);
  if (offered == setup_.services.end()) {
    link_.log("error", "the plugin opens service " + printable(service) + ", which its manifest does not name");
    return HWS_E_DENIED;
  }
  if (subconnections_.count(service) > 0 || subconnections_.size() >= kSubconnectionsMax || draining_)
    return HWS_E_INVALID;
  SubconnectionSettings settings;
  settings.plugin = setup_.plugin;
  settings.version = setup_.version;
  settings.service = service;
  settings.state_dir = setup_.state_dir;
  settings.spool_bytes = setup_.spool_bytes;
  settings.relaxed = setup_.spool_relaxed;
  settings.pace = pace_;
  settings.drop_oldest = HWS_HAS(hws_subconn_params, params, flags) && (params->flags & HWS_DROP_OLDEST) != 0;
  if (HWS_HAS(hws_subconn_params, params, protocol)) settings.protocol = params->protocol;
  if (HWS_HAS(hws_subconn_params, params, outbox_bytes))
    settings.outbox_bytes = std::min(params->outbox_bytes, kOutboxBytesMost);
  if (HWS_HAS(hws_subconn_params, params, queue_bytes))
    settings.queue_bytes = std::min(params->queue_bytes, kOutboxBytesMost);
  auto handle = std::make_unique<hws_subconn>(*this, events, user);
  hws_subconn* const raw = handle.get();
  handle->attach(std::make_unique<Subconnection>(
      std::move(settings), link_, [this, raw] { return loop_.post([raw] { raw->deliver(); }); }, gateway_,
      [this](const std::string& problem) {
        // A host that only looks alive is worse than one that is started again.
        if (!problem.empty()) {
          link_.log("error", problem);
          return end_(1);
        }
        // Should the loop be full, the deadline of the stop ends the process all the same.
        (void)loop_.post([this] {
          --running_subconnections_;
          finish_if_drained();
        });
      }));
  subconnections_[service] = std::move(handle);
  ++running_subconnections_;
  *out = raw;
  raw->connection().start();
  switchboard_.listen(service, [raw](const CoreWord& word) { raw->connection().hear(word); });
  return HWS_OK;
}

hws_status Instance::run_action(hws_str name, ActionDone done, void* user) {
  if (!done) return HWS_E_INVALID;
  const std::string action(view(name));
  if (setup_.actions.count(action) == 0) {
    link_.log("error", "the plugin asks for action " + printable(action) + "; define [actions." + printable(action) +
                           "] in plugins.d/" + setup_.plugin + ".toml to allow it");
    return HWS_E_DENIED;
  }
  if (actions_.size() >= kActionsMax) return HWS_E_AGAIN;
  const std::string id = std::to_string(++last_request_);
  auto message = message_of("action_run");
  message->set("id", id);
  message->set("name", action);
  if (!link_.send(message)) return HWS_E_AGAIN;
  actions_[id] = {done, user};
  return HWS_OK;
}

bool Instance::action_done(std::string id, std::optional<int> exit_code, std::string output, std::string reason) {
  return loop_.post([this, id = std::move(id), exit_code, output = std::move(output), reason = std::move(reason)] {
    const auto found = actions_.find(id);
    if (found == actions_.end()) return;
    const auto [done, user] = found->second;
    actions_.erase(found);
    guarded("action_done", [&, call = done, with = user] {
      call(with, exit_code.value_or(INT32_MIN), borrow(output), borrow(reason));
    });
  });
}

hws_status Instance::reach_cloud(std::uint32_t timeout_ms, ReachDone done, void* user) {
  if (!done) return HWS_E_INVALID;
  if (reaches_.size() >= kReachesMax) return HWS_E_AGAIN;
  const std::string id = std::to_string(++last_request_);
  auto message = message_of("cloud_reach");
  message->set("id", id);
  message->set("timeout_ms", std::min(timeout_ms, kReachMsMax));
  if (!link_.send(message)) return HWS_E_AGAIN;
  reaches_[id] = {done, user};
  return HWS_OK;
}

bool Instance::cloud_reached(std::string id, bool reached, std::string how) {
  return loop_.post([this, id = std::move(id), reached, how = std::move(how)] {
    const auto found = reaches_.find(id);
    if (found == reaches_.end()) return;
    const auto [done, user] = found->second;
    reaches_.erase(found);
    guarded("cloud_reached",
            [&, call = done, with = user] { call(with, reached ? HWS_OK : HWS_E_TIMEOUT, borrow(how)); });
  });
}

bool Instance::configure(std::string id, std::string config, bool apply) {
  return loop_.post([this, id = std::move(id), config = std::move(config), apply] {
    std::string why;
    const hws_status status = configure_plugin(apply ? HWS_CONFIG_APPLY : HWS_CONFIG_CHECK, config, why);
    if (ended_) return;
    auto message = message_of("configured");
    message->set("id", id);
    message->set("status", status == HWS_OK ? "ok" : status == HWS_RESTART_NEEDED ? "restart_needed" : "refused");
    message->set("why", why);
    link_.send(message);
  });
}

bool Instance::stop(milliseconds deadline, TimePoint until, Leaving leaving) {
  return loop_.post([this, deadline, until, leaving] {
    stop_until_ = until;
    leaving_.state |= leaving.state;  // a second stop does not take that back
    leaving_.handover |= leaving.handover;
    stop_plugin(static_cast<std::uint32_t>(deadline.count()));
  });
}

}  // namespace hawser::host
