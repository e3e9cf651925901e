#include "core/host/private_state.hpp"

#include <chrono>
#include <set>

#include "core/host/text_sink.hpp"

namespace hawser::host {
namespace {

constexpr std::chrono::milliseconds kPostRetry{10};  // the service thread's queue was full

bool is_key(std::string_view key) { return !key.empty() && key.size() <= kStateKeyBytesMax; }

// False: a key or a value of a wrong length, or a key that is there twice.
bool apply(StateEntries& entries, const hws_kv* changes, std::size_t count, PrivateState::Removed removed) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view key = view(changes[i].key), value = view(changes[i].value);
    if (!is_key(key) || value.size() > kStateValueBytesMax || !seen.insert(key).second) return false;
    entries.insert_or_assign(std::string(key), std::string(value));
  }
  for (std::size_t i = 0; i < removed.count; ++i) {
    const std::string_view key = view(removed.keys[i]);
    if (!is_key(key) || !seen.insert(key).second) return false;
    entries.erase(std::string(key));
  }
  return true;
}

std::size_t bytes_of(const StateEntries& entries) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : entries) bytes += key.size() + value.size();
  return bytes;
}

}  // namespace

PrivateState::~PrivateState() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  news_.notify_one();
  if (writer_.joinable()) writer_.join();
}

Status PrivateState::load() {
  std::string remark;
  auto entries = load_state(file_, remark);
  if (!entries) return entries.error().with_context("private state");
  if (!remark.empty()) around_.complain(remark);
  durable_ = current_ = std::make_shared<StateEntries>(std::move(*entries));
  return ok();
}

hws_status PrivateState::get(std::string_view key, const hws_sink* out) const {
  if (!out || !out->write || key.empty() || key.size() > kStateKeyBytesMax) return HWS_E_INVALID;
  const Snapshot now = current_;
  const auto found = now->find(key);
  if (found == now->end()) return HWS_E_NOT_FOUND;
  return out->write(out->to, found->second.data(), found->second.size());
}

hws_status PrivateState::each(std::string_view prefix, Visit fn, void* user) const {
  if (!fn) return HWS_E_INVALID;
  const Snapshot now = current_;  // fn may put()
  for (auto at = now->lower_bound(prefix); at != now->end() && at->first.starts_with(prefix); ++at) {
    if (const hws_status status = fn(user, borrow(at->first), borrow(at->second)); status != HWS_OK) return status;
  }
  return HWS_OK;
}

hws_status PrivateState::change(const hws_kv* changes, std::size_t count, Removed removed, Done done, void* user) {
  if ((!changes && count > 0) || (!removed.keys && removed.count > 0)) return HWS_E_INVALID;
  if (count + removed.count == 0 || count > kStateKeysMax || removed.count > kStateKeysMax) return HWS_E_INVALID;
  if (waiting_.size() >= kStatePutsMax) return HWS_E_AGAIN;
  auto next = std::make_shared<StateEntries>(*current_);
  if (!apply(*next, changes, count, removed)) return HWS_E_INVALID;
  if (next->size() > kStateKeysMax || bytes_of(*next) > kStateBytesMax) return HWS_E_NOMEM;
  if (!writer_.joinable()) writer_ = std::thread([this] { write_on(); });
  waiting_.emplace_back(done, user);
  current_ = std::move(next);
  if (!writing_) begin_write();
  return HWS_OK;
}

void PrivateState::begin_write() {
  writing_ = current_;
  in_flight_ = std::exchange(waiting_, {});
  {
    const std::lock_guard lock(mutex_);
    to_write_ = writing_;
  }
  news_.notify_one();
}

void PrivateState::finish(const Status& written) {
  auto finished = std::exchange(in_flight_, {});
  if (written) {
    durable_ = std::exchange(writing_, nullptr);
    if (!waiting_.empty()) begin_write();
  } else {
    around_.complain("the private state was not written: " + written.error().message);
    finished.insert(finished.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    writing_ = nullptr;
    current_ = durable_;
  }
  tell(finished, written ? HWS_OK : HWS_E_FAIL);
  if (idle()) around_.on_idle();
}

void PrivateState::tell(const std::vector<Waiting>& puts, hws_status status) {
  for (const auto& [done, user] : puts) {
    if (done) around_.call([&, call = done, with = user] { call(with, status); });
  }
}

void PrivateState::write_on() {
  for (;;) {
    Snapshot entries;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [this] { return ending_ || to_write_; });
      if (ending_) return;
      entries = std::exchange(to_write_, nullptr);
    }
    Status written = Error{"out_of_memory", "no memory to write it"};
    try {
      written = save_state(file_, *entries);
    } catch (const std::exception& problem) {  // the thread's door
      written = Error{"exited", problem.what()};
    }
    while (!around_.post([this, written] { finish(written); })) {
      std::unique_lock lock(mutex_);
      if (news_.wait_for(lock, kPostRetry, [this] { return ending_; })) return;
    }
  }
}

}  // namespace hawser::host
