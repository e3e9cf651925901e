#include "fake_host.hpp"

#include <dlfcn.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "fake_host_tables.hpp"

namespace hawser::sdk::testing {

namespace {
constexpr std::chrono::seconds kRealLimit{5};  // a test that waits for longer has failed
constexpr int kWaitForDescriptorsMs = 5;
}  // namespace

FakeHost::FakeHost() {
  facts = {{"device.serial", "TEST0001"},
           {"device.hostname", "test-host"},
           {"device.site", "test-site"},
           {"agent.version", "0.0.0"},
           {"plugin.digest", "sha256:00"}};
}

FakeHost::~FakeHost() {
  destroy();
  if (library_) ::dlclose(library_);
}

bool FakeHost::load(hws_entry_fn entry) {
  table_ = FakeHostTables::host();
  table_.abi_major = abi_major;
  table_.abi_minor = abi_minor;
  plugin_ = entry(&table_);
  if (!plugin_) refusal = "the plugin refused this host";
  return plugin_ != nullptr;
}

bool FakeHost::load_library(const std::string& path) {
  library_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library_) {
    refusal = ::dlerror();
    return false;
  }
  auto entry = reinterpret_cast<hws_entry_fn>(::dlsym(library_, HWS_ENTRY_SYMBOL));
  if (!entry) {
    refusal = "no symbol " HWS_ENTRY_SYMBOL;
    return false;
  }
  return load(entry);
}

hws_status FakeHost::start(std::string_view config) {
  hws_status status = HWS_OK;
  state_now_ = state;
  destroyed_ = false;
  timed("create()", [&] { status = plugin_->create(handle(), &self_); });
  created_ = status >= 0;
  if (status < 0 && !errors.empty()) refusal = errors.back();
  if (status < 0) return status;
  if (const auto* table = handover ? handover_table() : nullptr; HWS_HAS(hws_plugin_handover, table, load)) {
    const hws_str blob{handover->content.data(), handover->content.size()};
    timed("load()", [&] { status = table->load(self_, handover->format, blob); });
    if (status < 0 && !errors.empty()) refusal = errors.back();
    if (status < 0) return status;
  }
  for (const bool apply : {false, true}) {
    status = configure(config, apply);
    if (status < 0) return status;
  }
  timed("start()", [&] { status = plugin_->start(self_); });
  if (status < 0 && !errors.empty()) refusal = errors.back();
  return status;
}

hws_status FakeHost::configure(std::string_view config, bool apply) {
  refusal.clear();
  const hws_sink why{&refusal, append_to_string};
  hws_status status = HWS_OK;
  timed(apply ? "configure(APPLY)" : "configure(CHECK)", [&] {
    status =
        plugin_->configure(self_, apply ? HWS_CONFIG_APPLY : HWS_CONFIG_CHECK, {config.data(), config.size()}, &why);
  });
  return status;
}

void FakeHost::stop(std::uint32_t deadline_ms) {
  timed("stop()", [&] { plugin_->stop(self_, deadline_ms); });
}

const hws_plugin_handover* FakeHost::handover_table() {
  if (!HWS_HAS(hws_plugin, plugin_, extension)) return nullptr;
  return static_cast<const hws_plugin_handover*>(plugin_->extension(self_, HWS_EXT_HANDOVER));
}

std::optional<Handover> FakeHost::save() {
  const auto* table = handover_table();
  if (!HWS_HAS(hws_plugin_handover, table, save)) return std::nullopt;
  Handover saved{table->format, {}};
  const hws_sink out{&saved.content, append_to_string};
  hws_status status = HWS_OK;
  timed("save()", [&] { status = table->save(self_, &out); });
  return status == HWS_OK ? std::optional(std::move(saved)) : std::nullopt;
}

void FakeHost::destroy() {
  if (created_) {
    if (HWS_HAS(hws_plugin, plugin_, destroy)) timed("destroy()", [&] { plugin_->destroy(self_); });
    destroyed_ = true;
    created_ = false;
  }
  self_ = nullptr;
  for (auto& [service, spool] : spools) {
    while (spool.next > spool.accepted + 1) {
      if (!spool.records.empty() && spool.records.back().message.number == spool.next - 1) spool.records.pop_back();
      --spool.next;
    }
  }
  timers_.clear();
  watches_.clear();
  posts_.clear();
  internal_.clear();
  subconnections_.clear();
  held_actions_.clear();
  held_reached_.clear();
}

void FakeHost::timed(const char* name, const std::function<void()>& callback) {
  const auto begin = std::chrono::steady_clock::now();
  if (running) running->store(name);
  callback();
  if (running) running->store(nullptr);
  const auto took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - begin);
  if (took <= longest_) return;
  longest_ = took;
  longest_name_ = name;
}

bool FakeHost::wrong_thread(const char* function) {
  not_after_destroy(function);
  if (on_service_thread()) return false;
  const std::lock_guard lock(mutex_);
  misuses.push_back(std::string(function) + "() was called on a thread that is not the service thread (R6)");
  return true;
}

void FakeHost::not_after_destroy(const char* function) {
  const std::lock_guard lock(mutex_);
  if (destroyed_) misuses.push_back(std::string(function) + "() was called after destroy() had returned");
}

hws_status FakeHost::invalid(const char* function, const std::string& why) {
  const std::lock_guard lock(mutex_);
  misuses.push_back(std::string(function) + "() was answered E_INVALID: " + why);
  return HWS_E_INVALID;
}

void FakeHost::hear(const std::string& what) const {
  if (heard) heard(what);
}

void FakeHost::later(std::function<void()> call) {
  const std::lock_guard lock(mutex_);
  internal_.push_back(std::move(call));
}

// What the host itself has to say, and one post at a time, so that run_until() sees every state.
bool FakeHost::run_posts() {
  for (bool ran = false;; ran = true) {
    std::function<void()> next;
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      if (!internal_.empty()) {
        next = std::move(internal_.front());
        internal_.pop_front();
      } else if (!posts_.empty()) {
        next = [post = posts_.front()] { post.call(post.argument); };
        posts_.pop_front();
        last = true;
      } else {
        return ran;
      }
    }
    timed("what was posted", next);
    if (last) return true;
  }
}

bool FakeHost::run_descriptors(int wait_ms) {
  std::vector<pollfd> descriptors;
  for (const auto& [fd, callback] : watches_) descriptors.push_back({fd, POLLIN, 0});
  if (::poll(descriptors.data(), descriptors.size(), wait_ms) <= 0) return false;
  bool ran = false;
  for (const auto& ready : descriptors) {
    const auto known = watches_.find(ready.fd);  // an earlier callback may have unwatched it
    if ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0 || known == watches_.end()) continue;
    const Callback callback = known->second;
    timed("what a descriptor woke", [&] { callback.call(callback.argument); });
    ran = true;
  }
  return ran;
}

bool FakeHost::run_next_timer(Milliseconds until) {
  const auto next = std::min_element(timers_.begin(), timers_.end(),
                                     [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
  if (next == timers_.end() || next->second.due > until) return false;
  now_ = std::max(now_, next->second.due);
  const Timer timer = next->second;
  if (timer.period.count() == 0) {
    timers_.erase(next);
  } else {
    next->second.due += timer.period;
  }
  timed("a timer", [&] { timer.call(timer.argument); });
  return true;
}

bool FakeHost::run_until(const std::function<bool()>& condition, Milliseconds virtual_limit) {
  const auto real_end = std::chrono::steady_clock::now() + kRealLimit;
  const Milliseconds virtual_end = now_ + virtual_limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > real_end) return false;
    if (run_posts() || run_descriptors(0) || run_next_timer(virtual_end)) continue;
    if (run_descriptors(kWaitForDescriptorsMs)) continue;  // what another process or thread is about to do
    if (!timers_.empty()) return condition();
  }
  return true;
}

void FakeHost::advance(Milliseconds span) {
  const Milliseconds end = now_ + span;
  do {
    settle_down();
  } while (run_next_timer(end));
  now_ = end;
}

void FakeHost::settle_down() {
  while (run_posts() || run_descriptors(0)) {
  }
}

FakeSubconnection& FakeHost::subconnection(std::string_view service) {
  for (const auto& known : subconnections_) {
    if (service.empty() || known->service == service) return *known;
  }
  throw std::runtime_error("the plugin has not opened a subconnection " + std::string(service));
}

bool FakeHost::has_subconnection(std::string_view service) const {
  return std::any_of(subconnections_.begin(), subconnections_.end(),
                     [&](const auto& known) { return service.empty() || known->service == service; });
}

std::vector<FakeSubconnection*> FakeHost::opened() const {
  std::vector<FakeSubconnection*> all;
  for (const auto& known : subconnections_) all.push_back(known.get());
  return all;
}

std::vector<int> FakeHost::watched() const {
  std::vector<int> all;
  for (const auto& [fd, callback] : watches_) all.push_back(fd);
  return all;
}

bool FakeHost::logged(std::string_view part) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(logs.begin(), logs.end(),
                     [&](const LogLine& line) { return line.message.find(part) != std::string::npos; });
}

void FakeHost::finish_held_action(std::int32_t exit_code) {
  const HeldAction held = held_actions_.at(0);
  held_actions_.erase(held_actions_.begin());
  timed("done of an action", [&] { held.done(held.user, exit_code, {"", 0}, {"", 0}); });
}

void FakeHost::answer_reached(bool reached) {
  const HeldReached held = held_reached_.at(0);
  held_reached_.erase(held_reached_.begin());
  timed("done of cloud reached", [&] { held.done(held.user, reached ? HWS_OK : HWS_E_TIMEOUT, {"test", 4}); });
}

}  // namespace hawser::sdk::testing
