#pragma once

#include <hawser/plugin.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// A host for tests of plugins: it gives a plugin everything that hawser/plugin.h promises, records what the plugin
// does, and lets the test play the cloud. Nothing here needs the agent.
namespace hawser::sdk::testing {

using Milliseconds = std::chrono::milliseconds;

struct LogLine {
  std::int32_t level;
  std::string message;
  std::map<std::string, std::string> fields;
};

struct HealthReport {
  std::int32_t state;
  std::string detail;
};

struct SentMessage {
  std::uint64_t number;  // 0: best effort
  std::string data;
  std::uint32_t flags;
};

// What a host keeps on disk for one service. It outlives the host: give FakeHost::spools to the next one.
struct FakeSpool {
  struct Record {
    SentMessage message;
    std::optional<std::string> source;  // of send_source(); a real spool has length and checksum of the data then
  };
  std::uint64_t next = 1;  // number of the next message
  std::uint64_t accepted = 0;
  std::deque<Record> records;  // whose acked() has not returned
};

// What a plugin answered to a durable message.
struct DurableAnswer {
  hws_status status;
  std::string why;
};

struct Settled {
  std::uint64_t number;
  hws_status verdict;
  std::string why;
};

struct ScriptedAction {
  std::int32_t exit_code = 0;
  std::string output{};
  std::string reason{};
  std::function<void()> effect{};  // runs just before `done`
  bool holds = false;              // never calls done by itself
};

// One of the plugin's own figures, as it set it last.
struct Figure {
  std::int32_t kind = HWS_GAUGE;
  double value = 0;
  std::string unit;
};

// What one version of a plugin leaves to the next.
struct Handover {
  std::uint32_t format = 0;
  std::string content;
};

class FakeHost;

// The cloud's end of one subconnection that the plugin opened. Owned by its FakeHost.
class FakeSubconnection {
 public:
  std::string service, protocol;
  std::uint32_t outbox_bytes = 0, queue_bytes = 0;  // as the plugin asked
  bool drop_oldest = false;

  // ---- what the test sees
  std::vector<SentMessage> durable_sent;  // everything that this instance ever handed over, in order
  std::vector<SentMessage> resent;        // left by earlier instances and sent again at open()
  std::vector<std::uint64_t> expired;     // given up: the plugin had not the same bytes any more
  std::vector<SentMessage> best_effort_sent;
  std::vector<std::string> texts_sent;
  std::vector<Settled> settled;
  std::uint64_t acked = 0;
  std::uint64_t refused_sends = 0;  // durable ones that were answered E_AGAIN
  std::size_t unacknowledged() const;
  std::size_t unacknowledged_bytes() const;

  // ---- what the test does
  bool is_open() const { return open_; }
  void open(std::string_view about = R"({"protocol":"test","max_message_bytes":1048576,"url":"wss://test"})");
  void close(std::string_view reason = "peer_closed", std::string_view detail = "", std::uint32_t retry_ms = 1000);
  void accept(std::uint64_t number);  // for accepts_at_once = false
  void ack(std::uint64_t number);
  void ack_all();
  std::optional<std::string> ask_source(std::uint64_t number);  // nothing: refused
  void nack(std::uint64_t number, std::string_view code, std::string_view message);
  void text(std::string_view json);
  void message(std::string_view data);
  DurableAnswer durable(std::string_view data, std::uint64_t number = 0, std::string_view stream = "cloud-stream");

  // ---- how it behaves
  bool outbox_full = false;  // every durable send is answered E_AGAIN; follow up with writable()
  std::size_t max_message_bytes = 1024 * 1024;
  bool acks_at_once = false;  // each durable message is acknowledged in the next turn
  bool accepts_at_once = true;
  void writable();

 private:
  friend class FakeHost;
  friend struct FakeHostTables;
  hws_status take_durable(const void* data, std::size_t size, std::uint32_t flags, std::uint64_t* number,
                          std::optional<std::string> source = std::nullopt);
  FakeSpool& spool() const;
  void resume();      // found() and resumed(), once
  void send_again();  // what earlier instances left
  hws_subconn* handle() { return reinterpret_cast<hws_subconn*>(this); }
  void hear(const std::string& what) const;

  FakeHost* host_ = nullptr;
  hws_subconn_events events_{};
  void* user_ = nullptr;
  bool open_ = false;
  bool refused_once_ = false;
  bool resumed_ = false, sent_again_ = false;
  std::uint64_t next_from_cloud_ = 1;
};

// Owned by the test; everything in it runs on the thread that made it, which is the plugin's service thread.
// Functions tagged ANY may be called by the plugin from other threads.
//
// Time is virtual: it stands still until run_until() or advance() moves it to the next timer. Descriptors are real.
class FakeHost {
 public:
  FakeHost();
  ~FakeHost();  // destroys the plugin
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  // ---- before load()
  std::map<std::string, FakeSpool> spools;   // by service; of the last host, for a plugin that starts again
  std::map<std::string, std::string> state;  // private state as it is on disk; of the last host, as spools are
  std::optional<Handover> handover;          // of the version before; what save() gave there
  std::map<std::string, std::string> facts;  // what info() knows; "plugin.state_dir" among them
  bool has_subconnections = true;
  bool has_actions = true;
  bool has_cloud = true;
  bool has_state = true;
  bool has_metrics = true;
  bool denies_services = false;  // open() answers E_DENIED
  std::uint16_t abi_major = HWS_ABI_MAJOR, abi_minor = HWS_ABI_MINOR;

  // A linked entry function, or a library by path. False, with `refusal` set, when it is refused.
  bool load(hws_entry_fn entry);
  bool load_library(const std::string& path);
  // create, load what was handed over, configure (check, then apply), start. HWS_OK, or the first status that is none; `refusal` says why.
  hws_status start(std::string_view config = "{}");
  hws_status configure(std::string_view config, bool apply);
  void stop(std::uint32_t deadline_ms = 1000);
  // As in an upgrade, after stop(); nothing when the plugin hands nothing over.
  std::optional<Handover> save();
  // As a host that is killed: nothing is said to the plugin before, what was not accepted is in no spool, and what was not
  // written yet is not in `state`.
  void destroy();
  std::string refusal;

  // ---- running
  Milliseconds now() const { return now_; }  // virtual, since construction
  // Lets the plugin work until the condition holds: posts, descriptors, then the next timer. False: `virtual_limit` of
  // virtual time is over, or 5 s of real time.
  bool run_until(const std::function<bool()>& condition, Milliseconds virtual_limit = std::chrono::minutes(2));
  // Lets all that is due in the next `span` happen.
  void advance(Milliseconds span);
  // Posts and descriptors that are ready now; no time passes.
  void settle_down();

  // ---- what the test sees
  // Calls against plugin.h, a sentence each: from a wrong thread, after destroy(), with arguments that E_INVALID answers.
  std::vector<std::string> misuses;
  std::atomic<std::uint64_t> effects{0};  // calls that do something: all but log, error, info, extension, get and each
  std::vector<LogLine> logs;
  std::vector<std::string> errors;
  std::vector<HealthReport> health;
  std::vector<std::string> actions_run;
  std::map<std::string, Figure> figures;                      // by name and attributes: `orders{shop="a",till="b"}`
  std::vector<std::pair<std::uint32_t, bool>> reached_asked;  // timeout, answered
  FakeSubconnection& subconnection(std::string_view service = "");  // throws when the plugin has not opened it
  bool has_subconnection(std::string_view service = "") const;
  std::vector<FakeSubconnection*> opened() const;  // in the order of open()
  bool logged(std::string_view part) const;
  bool healthy(std::int32_t wanted) const { return !health.empty() && health.back().state == wanted; }
  std::size_t timers() const { return timers_.size(); }
  std::size_t watches() const { return watches_.size(); }
  std::vector<int> watched() const;                           // descriptors
  Milliseconds longest_callback() const { return longest_; }  // real time
  const std::string& longest_callback_name() const { return longest_name_; }
  std::atomic<const char*>* running = nullptr;  // where the name of the callback that runs is noted; null between two
  // Called on any thread with each thing that the plugin does and that is done to it, in words.
  std::function<void(std::string_view)> heard;

  // ---- scripts
  // By name, or "*" for those without one of their own; the last one of a name is used again and again.
  std::map<std::string, std::deque<ScriptedAction>> actions;
  void finish_held_action(std::int32_t exit_code);
  enum class Cloud { reached, out_of_reach, silent };
  Cloud cloud = Cloud::reached;
  void answer_reached(bool reached);  // for Cloud::silent
  bool disk_full = false;             // no change of the private state is written
  bool state_full = false;            // every change of the private state is answered E_NOMEM

 private:
  friend class FakeSubconnection;
  friend struct FakeHostTables;
  struct Timer {
    Milliseconds due, period;
    void (*call)(void*);
    void* argument;
  };
  struct Callback {
    void (*call)(void*);
    void* argument;
  };
  struct HeldAction {
    void (*done)(void*, std::int32_t, hws_str, hws_str);
    void* user;
  };
  struct HeldReached {
    void (*done)(void*, hws_status, hws_str);
    void* user;
  };

  hws_ctx* handle() { return reinterpret_cast<hws_ctx*>(this); }
  bool on_service_thread() const { return std::this_thread::get_id() == thread_; }
  const hws_plugin_handover* handover_table();
  bool run_posts();
  bool run_descriptors(int wait_ms);
  bool run_next_timer(Milliseconds until);
  void timed(const char* name, const std::function<void()>& callback);
  bool wrong_thread(const char* function);  // notes it
  void not_after_destroy(const char* function);
  hws_status invalid(const char* function, const std::string& why);  // notes it
  void hear(const std::string& what) const;
  void later(std::function<void()> call);  // any thread

  hws_host table_{};
  const hws_plugin* plugin_ = nullptr;
  void* self_ = nullptr;
  void* library_ = nullptr;
  std::thread::id thread_ = std::this_thread::get_id();
  Milliseconds now_{0};
  Milliseconds longest_{0};
  std::string longest_name_;
  bool created_ = false;
  std::atomic<bool> destroyed_{false};
  std::uint64_t next_timer_ = 1;
  std::map<std::uint64_t, Timer> timers_;
  std::map<int, Callback> watches_;
  std::map<std::string, std::string> state_now_;  // what the plugin sees; `state` follows
  std::uint64_t state_losses_ = 0;                // how often it fell back to what is on disk
  mutable std::mutex mutex_;                      // logs, errors, health, figures, posts and internal_, sends
  std::deque<Callback> posts_;
  std::deque<std::function<void()>> internal_;
  std::vector<std::unique_ptr<FakeSubconnection>> subconnections_;
  std::vector<HeldAction> held_actions_;
  std::vector<HeldReached> held_reached_;
};

}  // namespace hawser::sdk::testing
