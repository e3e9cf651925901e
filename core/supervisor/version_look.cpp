#include "core/supervisor/version_look.hpp"

#include <system_error>

#include "core/base/quiet_thread.hpp"
#include "core/trust/versions.hpp"

namespace hawser::supervisor {
namespace {

constexpr milliseconds kPostRetry{10};

Candidates unreadable(const std::string& id, const std::string& why) {
  Candidates candidates;
  candidates.newest.id = id;
  candidates.newest.refusal = Error{"io_error", "the plugin's files cannot be read now: " + why};
  return candidates;
}

// A newer one must not pass for one that has proved itself. Nothing where the wanted one is the oldest.
std::optional<FoundPlugin> oldest_good(const LookRequest& request, const std::string& wanted) {
  if (!trust::is_plugin_id(request.id)) return std::nullopt;
  const auto versions = trust::installed_versions(request.plugin_dir / request.id);
  if (!versions) return std::nullopt;
  for (const auto& version : *versions) {
    if (version.text() == wanted) break;
    std::optional<FoundPlugin> found = find_version(request.plugin_dir, request.id, version.text(), request.rules);
    if (!found->refusal) return found;
  }
  return std::nullopt;
}

// The thread's door: no exception passes.
Candidates read_safely(const LookRequest& request) {
  try {
    return read_candidates(request);
  } catch (const std::exception& problem) {
    return unreadable(request.id, problem.what());
  }
}

}  // namespace

void read_others(const LookRequest& request, Candidates& candidates) {
  const std::string& newest = candidates.newest.version;
  const auto find = [&request](const std::string& version) {
    return find_version(request.plugin_dir, request.id, version, request.rules);
  };
  if (request.settled.empty()) candidates.settled = oldest_good(request, newest);
  if (!request.settled.empty() && newest != request.settled) candidates.settled = find(request.settled);
  if (!request.trial.empty() && newest != request.trial) candidates.trial = find(request.trial);
}

Candidates read_candidates(const LookRequest& request) {
  Candidates candidates;
  candidates.newest.id = request.id;
  if (request.only_settled) {
    candidates.settled = find_version(request.plugin_dir, request.id, request.settled, request.rules);
    return candidates;
  }
  candidates.newest = find_version(request.plugin_dir, request.id, "", request.rules);
  read_others(request, candidates);
  return candidates;
}

VersionLook::~VersionLook() {
  ending_ = true;
  if (reading_.joinable()) reading_.join();
}

bool VersionLook::ask(LookRequest request, Done done) {
  if (is_full()) return false;
  ask_in_any_case(std::move(request), std::move(done));
  return true;
}

void VersionLook::ask_in_any_case(LookRequest request, Done done) {
  request.rules.ending = &ending_;
  waiting_.push_back({std::move(request), std::move(done)});
  if (waiting_.size() == 1) begin();
}

void VersionLook::begin() {
  const LookRequest request = waiting_.front().request;
  const std::weak_ptr<bool> alive = alive_;
  try {
    reading_ = start_quietly([this, request, alive] {
      const auto read = std::make_shared<Candidates>(read_safely(request));
      const auto task = [this, read, alive] {
        if (!alive.expired()) finish(std::move(*read));
      };
      while (!ending_ && !loop_.post(task)) std::this_thread::sleep_for(kPostRetry);
    });
  } catch (const std::system_error& problem) {  // the system has no thread to spare
    loop_.after(milliseconds(0), [this, id = request.id, why = std::string(problem.what()), alive] {
      if (!alive.expired()) finish(unreadable(id, why));
    });
  }
}

void VersionLook::finish(Candidates candidates) {
  if (reading_.joinable()) reading_.join();
  const Done done = std::move(waiting_.front().done);
  waiting_.pop_front();
  if (!waiting_.empty()) begin();
  done(std::move(candidates));
}

}  // namespace hawser::supervisor
