// hawser/plugin.hpp - the C++20 face of hawser/plugin.h. Header-only: it becomes part of the plugin, so no C++ type
// ever crosses the boundary to the host, and no exception does either.
//
// A plugin is one class; HAWSER_PLUGIN(TheClass), once, at file scope, exports it:
//
//   class Heartbeat {
//    public:
//     static constexpr const char* kId = "com.example.heartbeat";   // as in manifest.json
//     static constexpr const char* kVersion = "1.0.0";
//     explicit Heartbeat(hawser::sdk::Context& context);            // nothing but keeping the reference
//     hawser::sdk::ConfigAnswer configure(std::string_view json, bool apply);
//     void start();
//     void stop(std::chrono::milliseconds deadline);                // optional
//     static constexpr std::uint32_t kHandoverFormat = 1;           // these three together, or none:
//     std::string save();                                           // what the next version shall know
//     void load(std::uint32_t format, std::string_view saved);      // before configure(), after an upgrade
//   };
//
// Threads: every call into the class and every handler that it hands over runs on the instance's one service thread,
// never two at a time, and is to return within 250 ms. Functions of Context and Subconnection belong on that thread
// too, except those marked "any thread". Text is UTF-8.
//
// Errors: handlers may throw. A throw from load(), configure() or start() refuses the instance with the words of what(); from
// any other handler it is reported and the instance's health becomes "faulted", upon which the host starts a new one.
// Functions here throw sdk::Error where the caller can hardly do anything but give up; "full" is an answer, not a
// throw.
#pragma once

#include <hawser/plugin.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <hawser/plugin_state.hpp>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace hawser::sdk {

using Milliseconds = std::chrono::milliseconds;
using Bytes = std::span<const std::byte>;
using Field = std::pair<std::string_view, std::string_view>;  // one key and value of a log line

inline constexpr std::size_t kLogFieldsMax = 16;  // further ones are left out

inline hws_str to_c(std::string_view text) noexcept { return {text.data(), text.size()}; }
inline std::string_view to_view(hws_str text) noexcept {
  return text.ptr ? std::string_view(text.ptr, text.len) : std::string_view();
}
inline Bytes to_bytes(const void* data, std::size_t size) noexcept {
  return {static_cast<const std::byte*>(data), size};
}
inline Bytes to_bytes(std::string_view text) noexcept { return to_bytes(text.data(), text.size()); }
inline std::string_view to_view(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Throw it anywhere: it becomes host->error() and the status.
class Error : public std::exception {
 public:
  Error(hws_status status, std::string text) : status_(status), text_(std::move(text)) {}
  hws_status status() const noexcept { return status_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  hws_status status_;
  std::string text_;
};

// What configure() answers.
struct ConfigAnswer {
  hws_status status = HWS_OK;
  std::string why;

  static ConfigAnswer accepted() { return {}; }
  static ConfigAnswer restart_needed() { return {HWS_RESTART_NEEDED, {}}; }  // valid, but not live
  static ConfigAnswer refused(std::string sentence) { return {HWS_E_INVALID, std::move(sentence)}; }  // one sentence
};

// What a handler of durable messages answers; see hws_subconn_events.durable for what each promises.
struct Verdict {
  hws_status status = HWS_OK;
  std::string why;

  static Verdict taken() { return {}; }
  static Verdict refused(std::string sentence) { return {HWS_E_INVALID, std::move(sentence)}; }
  static Verdict settled_later() { return {HWS_PENDING, {}}; }
  static Verdict again() { return {HWS_E_AGAIN, {}}; }  // it comes again after the next connect
};

// A durable message from the cloud; borrowed for the call.
struct DurableMessage {
  std::string_view stream;
  std::uint64_t number;
  Bytes data;
};

struct SubconnectionHandlers {  // any of them may be left out
  std::function<void(std::string_view about_json)> opened{};
  std::function<void(std::string_view json)> text{};
  std::function<void(Bytes)> message{};
  std::function<Verdict(const DurableMessage&)> durable{};
  std::function<void(std::uint64_t number)> acked{};
  std::function<void(std::uint64_t number, std::string_view code, std::string_view message)> nacked{};
  std::function<void()> writable{};
  std::function<void(std::string_view reason, std::string_view detail, Milliseconds retry)> closed{};
  std::function<void(std::uint64_t number)> accepted{};
  // For send_source(): the same bytes again, or nothing when they are gone.
  std::function<std::optional<std::string>(std::uint64_t number, std::string_view source)> source{};
  // What an earlier instance handed over with send_source(), and then the number of the next message: before all else.
  std::function<void(std::uint64_t number, std::string_view source)> found{};
  std::function<void(std::uint64_t next_number)> resumed{};
};

struct SubconnectionLimits {
  std::uint32_t outbox_bytes = 0;  // 0: the host's default, 8 MiB
  std::uint32_t queue_bytes = 0;   // 0: the host's default, 1 MiB
  bool drop_oldest = false;        // what a full spool does: drop its oldest messages, or take no more
};

struct ActionResult {
  std::int32_t exit_code;  // see hws_host_action.run
  std::string_view output;
  std::string_view reason;
  bool succeeded() const { return exit_code == 0; }
};

enum class Send { queued, full, closed };  // full: wait for `writable`

class Context;

// One subconnection. Owned by its Context, good for the life of the instance: the host dials again by itself.
class Subconnection {
 public:
  // Durable send, any thread: the number, or nothing when outbox or spool are full (wait for `writable`). Safe from any
  // crash once `accepted` named the number. Throws Error E_INVALID when the grant does not allow a message of this length.
  std::optional<std::uint64_t> send_durable(Bytes data, std::uint32_t flags = 0) const;
  // The same for data that stands in a file of the plugin's: `source` (4 KiB at most) says where, and only that goes to
  // disk. Needs the handler `source`.
  std::optional<std::uint64_t> send_source(std::string_view source, Bytes data, std::uint32_t flags = 0) const;
  // Best effort, any thread.
  Send send(Bytes data, std::uint32_t flags = 0) const;
  Send send_text(std::string_view json) const;
  // Ends a durable message that was answered with settled_later().
  void settle(std::uint64_t number, const Verdict& verdict) const;

 private:
  friend class Context;
  explicit Subconnection(Context& context, SubconnectionHandlers on) : context_(&context), on_(std::move(on)) {}
  static hws_subconn_events events(const SubconnectionHandlers& on);
  static std::optional<std::uint64_t> number_of(hws_status status, std::uint64_t number);
  static Send answer_of(hws_status status, const char* what);
  template <class F>
  static void deliver(void* self, F&& call);

  Context* context_;
  SubconnectionHandlers on_;
  const hws_host_subconn* table_ = nullptr;
  hws_subconn* handle_ = nullptr;
};

// The host, as one plugin instance sees it. Lives from before the plugin object until after it.
class Context {
 public:
  Context(const hws_host* host, hws_ctx* handle) : host_(host), handle_(handle) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Any thread. `level` is one of HWS_LOG_*; write no secrets.
  void log(std::int32_t level, std::string_view message, std::initializer_list<Field> fields = {}) const;
  void info(std::string_view message, std::initializer_list<Field> fields = {}) const {
    log(HWS_LOG_INFO, message, fields);
  }
  void warn(std::string_view message, std::initializer_list<Field> fields = {}) const {
    log(HWS_LOG_WARN, message, fields);
  }
  void debug(std::string_view message, std::initializer_list<Field> fields = {}) const {
    log(HWS_LOG_DEBUG, message, fields);
  }

  // Any thread. HWS_READY once the plugin does its work, HWS_DEGRADED with the reason while it does part of it.
  void health(std::int32_t state, std::string_view detail = {}) const { host_->health(handle_, state, to_c(detail)); }

  // Any thread. One of the keys listed at hws_host.info; nothing when this host does not know it.
  std::optional<std::string> fact(std::string_view key) const;

  // Any thread. Runs `call` on the service thread, after what is running now. Throws E_AGAIN when the host's queue is
  // full.
  void post(std::function<void()> call) const;

  using TimerId = std::uint64_t;  // 0 is none
  TimerId after(Milliseconds delay, std::function<void()> call) {
    return timer(delay, Milliseconds(0), std::move(call));
  }
  TimerId every(Milliseconds period, std::function<void()> call) { return timer(period, period, std::move(call)); }
  void cancel(TimerId id);  // none and one that has run are fine

  // Calls `readable` while there is something to read. Unwatch before closing the descriptor.
  void watch(int descriptor, std::function<void()> readable);
  void unwatch(int descriptor);

  // `service` is one of the manifest's. Throws when the host refuses it.
  Subconnection& open(const char* service, const char* protocol, SubconnectionHandlers on,
                      SubconnectionLimits limits = {});

  // Runs the operator's [actions.<name>]; `done` comes exactly once. Throws E_DENIED when there is no such action.
  void run_action(std::string_view name, std::function<void(const ActionResult&)> done);

  // Asks for a fresh sign of life from the cloud; `done` comes exactly once, with false when none came in `timeout`.
  // Throws E_UNSUPPORTED when this host cannot tell.
  void cloud_reached(Milliseconds timeout, std::function<void(bool reached, std::string_view how)> done);

  // The private state. Throws E_UNSUPPORTED when this host keeps none.
  State& state();

  // Any thread. The present value of one of the plugin's own figures; see hws_host_metrics.set. Nothing happens on a host
  // that does not show figures; throws E_INVALID for a name, unit or attribute against the rules, E_NOMEM for too many.
  void gauge(std::string_view name, double value, std::string_view unit = {},
             std::initializer_list<Field> attributes = {}) const {
    metric(HWS_GAUGE, name, value, unit, attributes);
  }
  void counter(std::string_view name, double total, std::string_view unit = {},
               std::initializer_list<Field> attributes = {}) const {
    metric(HWS_COUNTER, name, total, unit, attributes);
  }

  // Runs `call` and turns what it throws into host->error() and a status. For the C edge.
  template <class F>
  hws_status guard(F&& call) const noexcept;
  // As guard(); a throw makes the instance "faulted".
  template <class F>
  void guard_or_fault(F&& call) const noexcept;

  static void check(hws_status status, const char* what) {
    if (status < 0) throw Error(status, std::string(what) + " was refused by the host");
  }

 private:
  struct Task {
    Context* context;
    std::function<void()> call;
    TimerId timer = 0;  // of a one-shot timer: forgotten when it has run
  };
  struct Posted {
    const Context* context;
    std::function<void()> call;
  };
  struct ActionCall {
    Context* context;
    std::function<void(const ActionResult&)> done;
  };
  struct ReachedCall {
    Context* context;
    std::function<void(bool, std::string_view)> done;
  };

  friend class State;
  TimerId timer(Milliseconds delay, Milliseconds period, std::function<void()> call);
  void metric(std::int32_t kind, std::string_view name, double value, std::string_view unit,
              std::initializer_list<Field> attributes) const;
  void run(const std::shared_ptr<Task>& task);
  template <class Table>
  const Table* extension(const char* id) const {
    return HWS_HAS(hws_host, host_, extension) ? static_cast<const Table*>(host_->extension(handle_, id)) : nullptr;
  }
  template <class Call>
  static std::unique_ptr<Call> take(std::vector<std::unique_ptr<Call>>& calls, void* which);
  hws_status report(hws_status status, const char* text) const noexcept {
    host_->error(handle_, status, to_c(text));
    return status;
  }

  const hws_host* host_;
  hws_ctx* handle_;
  std::map<TimerId, std::shared_ptr<Task>> timers_;
  std::map<int, std::shared_ptr<Task>> watches_;
  std::vector<std::unique_ptr<Subconnection>> subconnections_;
  std::vector<std::unique_ptr<ActionCall>> actions_;
  std::vector<std::unique_ptr<ReachedCall>> reached_;
  std::unique_ptr<State> state_;
  mutable std::mutex posts_mutex_;  // post() is for any thread
  mutable std::vector<std::unique_ptr<Posted>> posts_;
};

}  // namespace hawser::sdk

#include <hawser/plugin_binding.hpp>
#include <hawser/plugin_impl.hpp>
#include <hawser/plugin_state_impl.hpp>
