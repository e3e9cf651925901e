#include "sdk/tool/sim.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "core/base/encoding.hpp"
#include "sdk/testing/conformance/wall_clock.hpp"
#include "sdk/testing/fake_host.hpp"
#include "sdk/tool/plugin_files.hpp"
#include "sdk/tool/sim_script.hpp"

namespace hawser::tool {
namespace {

using sdk::testing::FakeHost;
using sdk::testing::FakeSubconnection;
using std::chrono::milliseconds;

constexpr milliseconds kTick{10};  // how finely steps and acknowledgements are timed
constexpr std::size_t kLineBytesMax = 400, kGarbageBytesMax = 200;
constexpr std::int64_t kRetryMs = 1000, kStopMs = 5000;

// Plays one script. Lives on the thread of sim(), which is the plugin's service thread.
class Simulator {
 public:
  Simulator(const std::filesystem::path& library, const std::filesystem::path& state, const Script& script,
            bool real_time)
      : library_(library),
        state_(state),
        script_(script),
        real_time_(real_time),
        config_(script.config.value_or("{}")) {}

  Result<bool> play();

 private:
  using Act = void (Simulator::*)(FakeSubconnection&, const Step&);
  struct Due {
    milliseconds at;
    std::function<void()> call;
  };

  Status begin();
  void tick();
  void acknowledge();
  void answer(FakeSubconnection& to, std::uint64_t number, bool refused, std::int64_t after_ms);
  void apply(const Step& step);
  void to_each_subconnection(const Step& step);
  void end();
  void later(std::int64_t ms, std::function<void()> call) {
    due_.push_back({host_->now() + milliseconds(ms), std::move(call)});
  }
  void say(std::string_view line);
  void configure(const Step& step);
  void begin_again();
  void stop(std::int64_t deadline_ms);
  std::string grant();

  void open(FakeSubconnection& to, const Step&) { to.is_open() ? void() : to.open(grant()); }
  void close(FakeSubconnection& to, const Step& step);
  void throttle(FakeSubconnection& to, const Step& step);
  void flap(FakeSubconnection& to, const Step& step);
  void expire(FakeSubconnection& to, const Step& step);
  void corrupt(FakeSubconnection& to, const Step& step);
  void message(FakeSubconnection& to, const Step& step) { to.message(step.text("data")); }
  void text(FakeSubconnection& to, const Step& step) { to.text(step.text("data", "{}")); }
  void durable(FakeSubconnection& to, const Step& step) { to.durable(step.text("data")); }

  const std::filesystem::path library_, state_;
  const Script& script_;
  const bool real_time_;
  std::string config_;
  std::unique_ptr<FakeHost> host_;
  std::mutex mutex_;  // of the output: the plugin's own threads speak too
  std::vector<Due> due_;
  std::map<std::string, std::size_t> seen_;  // durable messages by service
  std::optional<milliseconds> ack_delay_{0};
  std::int64_t nacks_ = 0;
  std::string nack_code_;
  unsigned grants_ = 0;
  bool ended_ = false, broke_a_rule_ = false;
};

void Simulator::say(std::string_view line) {
  const std::lock_guard lock(mutex_);
  const auto ms = host_ ? host_->now().count() : 0;
  std::printf("%6lld.%03lld  %s\n", static_cast<long long>(ms / 1000), static_cast<long long>(ms % 1000),
              printable(line, kLineBytesMax).c_str());
  std::fflush(stdout);  // a debugger, or a crash, may come next
}

std::string Simulator::grant() {
  return R"({"protocol":"sim","max_message_bytes":1048576,"url":"wss://sim/)" + std::to_string(++grants_) + "\"}";
}

Status Simulator::begin() {
  host_->facts["plugin.state_dir"] = state_.string();
  host_->actions["*"] = {{}};
  host_->heard = [this](std::string_view what) { say(what); };
  if (!host_->load_library(library_.string())) return Error{"abi_refused", host_->refusal};
  if (const hws_status status = host_->start(config_); status < 0)
    return Error{"config_refused", "the plugin does not start (" + std::to_string(status) +
                                       "): " + (host_->refusal.empty() ? "it says no word" : host_->refusal)};
  host_->settle_down();
  return ok();
}

void Simulator::acknowledge() {
  for (auto* to : host_->opened()) {
    if (!to->is_open()) continue;
    for (std::size_t& at = seen_[to->service]; at < to->durable_sent.size(); ++at) {
      const std::uint64_t number = to->durable_sent[at].number;
      const bool refused = number > to->acked && nacks_ > 0;
      if (refused) --nacks_;
      if (number > to->acked && (refused || ack_delay_))
        answer(*to, number, refused, refused ? 0 : ack_delay_->count());
    }
  }
}

// An answer that finds no connection comes when there is one again.
void Simulator::answer(FakeSubconnection& to, std::uint64_t number, bool refused, std::int64_t after_ms) {
  later(after_ms, [this, &to, number, refused, code = nack_code_] {
    if (!to.is_open()) return answer(to, number, refused, kTick.count());
    to.accept(number);
    if (refused) to.nack(number, code, "refused by the script");
    if (number > to.acked) to.ack(number);
  });
}

void Simulator::tick() {
  if (real_time_) std::this_thread::sleep_for(kTick);
  host_->advance(kTick);
  acknowledge();
  auto due = std::move(due_);
  due_.clear();
  for (auto& one : due) {
    if (one.at > host_->now())
      due_.push_back(std::move(one));
    else
      one.call();
  }
}

void Simulator::close(FakeSubconnection& to, const Step& step) {
  const char* const usual = step.what == "deny"     ? "not_enabled_for_site"
                            : step.what == "revoke" ? "revoked"
                                                    : "peer_closed";
  to.close(step.text("reason", usual), step.text("detail"),
           static_cast<std::uint32_t>(step.number("retry_ms", kRetryMs)));
}

void Simulator::throttle(FakeSubconnection& to, const Step& step) {
  to.outbox_full = true;
  later(step.number("ms", kRetryMs), [&to] {
    to.outbox_full = false;
    if (to.refused_sends != 0) to.writable();
  });
}

void Simulator::flap(FakeSubconnection& to, const Step& step) {
  const std::int64_t every = step.number("every_ms", kRetryMs);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(step.number("times", 3), kStepsMax); ++i) {
    later(2 * i * every, [&to] { to.close("reset_by_peer"); });
    later((2 * i + 1) * every, [this, &to] { to.open(grant()); });
  }
}

void Simulator::expire(FakeSubconnection& to, const Step& step) {
  to.close("token_expired", "the grant expired", kRetryMs);
  later(step.number("ms", kRetryMs), [this, &to] { to.open(grant()); });
}

void Simulator::corrupt(FakeSubconnection& to, const Step& step) {
  std::mt19937 random(static_cast<unsigned>(step.number("seed", 1)));
  for (std::int64_t i = 0; i < std::min<std::int64_t>(step.number("times", 1), kStepsMax); ++i) {
    std::string data(random() % kGarbageBytesMax, '\0');
    std::generate(data.begin(), data.end(), [&] { return static_cast<char>(random()); });
    to.message(data);
    to.durable(data);
    to.text(R"({"type":[")" + hex(data.substr(0, 8)) + R"("]})");
    host_->settle_down();
  }
}

void Simulator::configure(const Step& step) {
  const std::string config = step.words.contains("config") ? step.words["config"].dump() : "{}";
  for (const bool apply : {false, true}) {
    const hws_status status = host_->configure(config, apply);
    say("configure " + std::string(apply ? "APPLY" : "CHECK") + " was answered " + std::to_string(status) +
        (host_->refusal.empty() ? "" : ": " + host_->refusal));
    if (status < 0) return;
    if (!apply || status != HWS_RESTART_NEEDED) continue;
    config_ = config;
    stop(kStopMs);
    return begin_again();
  }
  config_ = config;
}

// destroy() is called, so that a debugger can go on; where stop() was not, it looks to the plugin as a kill does.
void Simulator::begin_again() {
  std::set<std::string> open_before;
  for (const auto* known : host_->opened()) {
    if (known->is_open()) open_before.insert(known->service);
  }
  due_.clear();
  seen_.clear();
  const auto now = host_->now();
  host_->destroy();
  auto next = std::make_unique<FakeHost>();
  next->spools = host_->spools;
  next->state = host_->state;
  next->advance(now);
  end();
  host_ = std::move(next);
  if (const auto status = begin(); !status) {
    say(status.error().message);
    ended_ = broke_a_rule_ = true;
    return;
  }
  for (auto* known : host_->opened()) {
    if (open_before.count(known->service) != 0) known->open(grant());
  }
}

void Simulator::to_each_subconnection(const Step& step) {
  static const std::map<std::string_view, Act> acts = {
      {"open", &Simulator::open},     {"close", &Simulator::close},       {"deny", &Simulator::close},
      {"revoke", &Simulator::close},  {"throttle", &Simulator::throttle}, {"flap", &Simulator::flap},
      {"expire", &Simulator::expire}, {"corrupt", &Simulator::corrupt},   {"message", &Simulator::message},
      {"text", &Simulator::text},     {"durable", &Simulator::durable}};
  const std::string service = step.text("service");
  for (auto* to : host_->opened()) {
    if (service.empty() || service == to->service) (this->*acts.at(step.what))(*to, step);
  }
}

void Simulator::apply(const Step& step) {
  const std::map<std::string_view, std::function<void()>> of_the_host = {
      {"delay", [&] { ack_delay_ = milliseconds(step.number("ms", kRetryMs)); }},
      {"silence", [&] { ack_delay_.reset(); }},
      {"acknowledge", [&] { ack_delay_ = milliseconds(0), seen_.clear(); }},
      {"nack", [&] { nacks_ = step.number("times", 1), nack_code_ = step.text("code", "nacked"); }},
      {"configure", [&] { configure(step); }},
      {"reach",
       [&] {
         host_->cloud = step.text("how") == "silent"         ? FakeHost::Cloud::silent
                        : step.text("how") == "out_of_reach" ? FakeHost::Cloud::out_of_reach
                                                             : FakeHost::Cloud::reached;
       }},
      {"action",
       [&] {
         host_->actions[step.text("name", "*")] = {
             {.exit_code = static_cast<std::int32_t>(step.number("exit_code", 0)), .output = step.text("output")}};
       }},
      {"disk_full", [&] { host_->disk_full = true; }},
      {"disk_free", [&] { host_->disk_full = false; }},
      {"clock", [&] { sdk::testing::jump_wall_clock(std::chrono::seconds(step.number("jump_s", 0))); }},
      {"kill", [&] { begin_again(); }},
      {"stop", [&] { ended_ = true; }}};
  say("--- " + step.what);
  const auto act = of_the_host.find(step.what);
  if (act == of_the_host.end()) return to_each_subconnection(step);
  act->second();
}

// What the instance that ends has broken.
void Simulator::end() {
  for (const auto& misuse : host_->misuses) {
    say("RULE BROKEN: " + misuse);
    broke_a_rule_ = true;
  }
  broke_a_rule_ = broke_a_rule_ || std::any_of(host_->health.begin(), host_->health.end(),
                                               [](const auto& one) { return one.state == HWS_FAULTED; });
}

void Simulator::stop(std::int64_t deadline_ms) {
  host_->stop(static_cast<std::uint32_t>(deadline_ms));
  if (host_->run_until([&] { return host_->healthy(HWS_STOPPED); }, milliseconds(deadline_ms))) return;
  say("RULE BROKEN: stop() was not followed by health(HWS_STOPPED) within " + std::to_string(deadline_ms) + " ms");
  broke_a_rule_ = true;
}

Result<bool> Simulator::play() {
  host_ = std::make_unique<FakeHost>();
  if (const auto status = begin(); !status) return status.error();
  std::int64_t deadline = kStopMs;
  for (auto step = script_.steps.begin(); !ended_ && host_->now() < script_.until; tick()) {
    for (; !ended_ && step != script_.steps.end() && step->at <= host_->now(); ++step) {
      apply(*step);
      deadline = step->number("deadline_ms", deadline);
    }
  }
  if (ended_ && broke_a_rule_) return false;
  stop(deadline);
  host_->destroy();
  end();
  say("the longest callback was " + host_->longest_callback_name() + ", " +
      std::to_string(host_->longest_callback().count()) + " ms");
  host_->heard = nullptr;
  return !broke_a_rule_;
}

}  // namespace

Result<bool> sim(const SimOptions& options) {
  const auto library = library_of(options.plugin);
  if (!library) return library.error();
  Script script;
  script.steps.push_back({milliseconds(0), "open", nlohmann::json::object()});  // a cloud in which nothing goes wrong
  if (options.script) {
    auto read = read_script(*options.script);
    if (!read) return read.error();
    script = *read;
  }
  if (options.config) {
    const auto config = read_config(*options.config);
    if (!config) return config.error();
    script.config = *config;
  }
  const TemporaryFolder scratch;
  return Simulator(*library, options.state.value_or(scratch.path()), script, options.real_time).play();
}

void list_steps() {
  for (const auto& kind : kStepKinds)
    std::printf("%-12s %-26s %s\n", std::string(kind.name).c_str(), std::string(kind.words).c_str(),
                std::string(kind.does).c_str());
}

}  // namespace hawser::tool
