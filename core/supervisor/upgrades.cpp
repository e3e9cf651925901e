// Which version of a plugin runs: the newer one on probation beside the old, and back again (sdk-10).
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/supervisor/words.hpp"
#include "core/trust/versions.hpp"

namespace hawser::supervisor {
namespace {

bool is_good(const std::optional<FoundPlugin>& plugin, const VersionMark& mark) {
  return plugin && !plugin->refusal && mark_of(*plugin) == mark;
}

bool is_older(const std::string& a, const std::string& b) {
  const auto first = trust::Version::parse(a), second = trust::Version::parse(b);
  return first && second && *first < *second;
}

}  // namespace

// What speaks against running the newest version: it is refused, it failed before, or it wants more than it may.
std::optional<Error> Supervisor::objection(const FoundPlugin& newest, const VersionBook::Entry& entry) const {
  if (newest.refusal) return newest.refusal;
  if (const auto* failure = versions_.failure_of(newest))
    return Error{"put_back", newest.version + " failed its probation at " + failure->at + ": " + failure->why +
                                 "; a newer version, or hawserctl plugin release " + newest.id + " tries again"};
  const bool rebuilt = newest.version == entry.settled.version && newest.signed_by.empty();
  if (rebuilt || settings_of(newest.id).permissions) return std::nullopt;  // a vendor's bench; the operator's own list
  const auto more = beyond(entry.permissions, newest.manifest->permissions);
  if (more.empty()) return std::nullopt;
  return Error{"consent_needed", newest.version + " asks for more than " + entry.settled.version +
                                     " was granted: " + joined(more) + "; hawserctl plugin consent " + newest.id + " " +
                                     newest.version + " agrees to it"};
}

LookRequest Supervisor::look_request(const std::string& id) const {
  LookRequest request{paths_.plugin_dir, id, "", "", trust_rules()};
  if (const auto* known = versions_.find(id)) {
    request.settled = known->settled.version;
    request.trial = known->trial.version;
  }
  return request;
}

// Which of them is to run; a newer one does on probation.
Supervisor::Choice Supervisor::select(Candidates candidates) {
  FoundPlugin& newest = candidates.newest;
  const std::string id = newest.id;
  waiting_.erase(id);
  consents_.erase(id);
  if (!versions_.find(id) && candidates.settled) {
    spdlog::warn("{}: nobody remembers which version has proved itself, so the oldest, {}, counts as that", id,
                 candidates.settled->version);
    versions_.settle(*candidates.settled);
    if (!versions_.find(id)) return {std::move(*candidates.settled), Standing::AsBefore};  // the book is full
  }
  const auto* known = versions_.find(id);
  if (!known) return {std::move(newest), Standing::Settled};
  auto against = objection(newest, *known);
  if (against) {
    if (against->code == "consent_needed")
      consents_[id] = {newest.version, beyond(known->permissions, newest.manifest->permissions)};
    return hold_back(std::move(candidates), std::move(*against), known->settled, known->trial);
  }
  const bool way_back = is_good(candidates.settled, known->settled);
  // Without one it is the settled one, or there is nothing to go back to.
  return {std::move(newest), way_back ? Standing::OnTrial : Standing::Settled};
}

// What runs in the newest one's stead: the one on probation, which is not to blame, or the one that has proved itself.
Supervisor::Choice Supervisor::hold_back(Candidates candidates, Error against, const VersionMark& settled,
                                         const VersionMark& trial) {
  FoundPlugin& newest = candidates.newest;
  const bool tried = is_good(candidates.trial, trial);
  if (tried || is_good(candidates.settled, settled)) {
    FoundPlugin& stays = tried ? *candidates.trial : *candidates.settled;
    spdlog::warn("{}: {} runs on: {}", newest.id, stays.version, against.message);
    waiting_[newest.id] = std::move(against);
    return {std::move(stays), tried ? Standing::OnTrial : Standing::TrialOver};
  }
  if (against.code != "put_back") newest.refusal = std::move(against);
  return {std::move(newest), Standing::TrialOver};  // one that failed, too, where there is nothing else
}

void Supervisor::note(const Choice& choice) {
  switch (choice.standing) {
    case Standing::AsBefore:
      return;
    case Standing::Settled:
      return versions_.settle(choice.plugin);
    case Standing::OnTrial:
      return versions_.begin_trial(choice.plugin);
    case Standing::TrialOver:
      return versions_.end_trial(choice.plugin.id);
  }
}

// Nothing is handed over to an older version, which cannot know how the newer one writes.
bool Supervisor::takes_over(const FoundPlugin& plugin) const {
  const auto* known = versions_.find(plugin.id);
  return !known || !versions_.on_trial(plugin) || !is_older(plugin.version, known->settled.version);
}

// The new version takes the old one's place, now if a host runs and is to.
void Supervisor::change_version(SupervisedPlugin& plugin, Choice choice) {
  const FoundPlugin& old = plugin.found();
  const FoundPlugin& fresh = choice.plugin;
  const std::string before = old.version;
  const bool changed = mark_of(old) != mark_of(fresh) || old.refusal;
  for (const auto& service : fresh.manifest->services) {
    if (!book_.find(service.name)) book_.add(plugin.id(), service.name);
  }
  // One on probation leaves nothing: what the version before it left is needed, should that one come back.
  const auto* known = versions_.find(plugin.id());
  const bool leaves = changed && before != fresh.version && known && known->settled == mark_of(old);
  const Leaving leaving = !leaves                           ? Leaving::Nothing
                          : is_older(before, fresh.version) ? Leaving::StateAndHandover
                                                            : Leaving::State;
  note(choice);
  plugin.renew(std::move(choice.plugin));
  forget_probation(plugin.id());
  if (changed) cloud_.set_offers(offers());
  if (changed && versions_.on_trial(plugin.found()))
    tell_upgrade("upgraded", plugin.id() + " " + plugin.found().version + " takes the place of " + before +
                                 ", on probation for " + in_words(settings_.probation));
  plugin.restart(leaving);
}

void Supervisor::tell_upgrade(const char* reason, const std::string& words) {
  spdlog::log(std::string_view(reason) == "upgraded" ? spdlog::level::info : spdlog::level::warn, "{}", words);
  cloud_.report({"plugin_state", "", reason, words});
}

void Supervisor::forget_probation(const std::string& id) {
  const auto clock = probation_clocks_.find(id);
  if (clock == probation_clocks_.end()) return;
  loop_.cancel(clock->second);
  probation_clocks_.erase(clock);
}

// From the host's start on. One that is not up at its end has not proved anything.
void Supervisor::watch_probation(SupervisedPlugin& plugin) {
  forget_probation(plugin.id());
  if (!versions_.on_trial(plugin.found())) return;
  probation_clocks_[plugin.id()] = loop_.after(settings_.probation, [this, id = plugin.id()] {
    const auto found = plugins_.find(id);
    if (found != plugins_.end()) end_probation(*found->second);
  });
}

void Supervisor::end_probation(SupervisedPlugin& plugin) {
  if (!versions_.on_trial(plugin.found()) || falling_back_.count(plugin.id()) > 0) return;
  if (plugin.state() != PluginState::Ready && plugin.state() != PluginState::Degraded) return watch_probation(plugin);
  forget_probation(plugin.id());
  versions_.settle(plugin.found());
  forget_saved(plugin.id());
  tell_upgrade("upgraded", plugin.id() + " " + plugin.found().version + " has stood its probation");
}

// What the version before had left, for this one and for its own return.
void Supervisor::forget_saved(const std::string& id) {
  for (const char* name : {control::kHandoverFile, control::kStateBeforeFile}) {
    const auto file = policies_.state_folder(id) / name;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT)
      spdlog::warn("{}: cannot remove {}: {}", id, file.string(), std::strerror(errno));
  }
}

// Its host ended unasked on probation: the old version is read, and then comes back.
void Supervisor::fail_probation(const std::string& id, const Error& why) {
  const auto found = plugins_.find(id);
  if (stopping_ || found == plugins_.end() || retiring_.count(id) > 0) return;
  if (!versions_.on_trial(found->second->found()) || !falling_back_.insert(id).second) return;
  forget_probation(id);
  LookRequest request = look_request(id);
  request.only_settled = true;
  const VersionMark failed = mark_of(found->second->found());
  look_.ask_in_any_case(std::move(request), [this, id, failed, why](Candidates candidates) {
    falling_back_.erase(id);
    put_back(id, failed, why, std::move(candidates));
  });
}

void Supervisor::put_back(const std::string& id, const VersionMark& failed, const Error& why, Candidates candidates) {
  const auto found = plugins_.find(id);
  if (stopping_ || found == plugins_.end() || retiring_.count(id) > 0) return;
  SupervisedPlugin& plugin = *found->second;
  const auto* entry = versions_.find(id);
  if (!entry || mark_of(plugin.found()) != failed || !versions_.on_trial(plugin.found())) return;
  if (!candidates.settled) return watch_probation(plugin);  // nobody could read now; its next end brings it here again
  FoundPlugin& old = *candidates.settled;
  if (old.refusal || mark_of(old) != entry->settled) {
    spdlog::error("{}: {} failed its probation, and {} cannot come back: {}", id, failed.version,
                  entry->settled.version, old.refusal ? old.refusal->message : "its file is another one");
    versions_.settle(plugin.found());
    forget_saved(id);  // it may have been this that it could not take
    if (!plugin.pid()) plugin.restart();
    return;
  }
  versions_.fail_trial(id, why.message);
  tell_upgrade("put_back",
               id + " " + failed.version + " failed its probation, and " + old.version + " runs again: " + why.message);
  quarantine_.release(id);
  waiting_[id] = Error{"put_back", failed.version + " failed its probation: " + why.message +
                                       "; a newer version, or hawserctl plugin release " + id + " tries again"};
  change_version(plugin, {std::move(old), Standing::AsBefore});
}

}  // namespace hawser::supervisor
