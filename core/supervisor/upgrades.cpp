// Which version of a plugin runs: the newer one on probation beside the old, and back again (sdk-10).
#include <unistd.h>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/supervisor/words.hpp"
#include "core/trust/versions.hpp"

namespace hawser::supervisor {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

json::Object look_answer(const char* state, const std::string& detail) {
  auto answer = json::make_object();
  answer->set("state", state);
  answer->set("detail", detail);
  return answer;
}

bool same_version(const FoundPlugin& a, const FoundPlugin& b) { return mark_of(a) == mark_of(b); }

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
  return Error{"consent_needed", newest.version + " asks for more than " + entry.settled.version + " was granted: " +
                                     joined(more) + "; hawserctl plugin consent " + newest.id + " agrees to it"};
}

LookRequest Supervisor::look_request(const std::string& id) const {
  const auto* known = versions_.find(id);
  return {paths_.plugin_dir, id, known ? known->settled.version : "", trust_rules()};
}

// Which of them is to run; a newer one begins its probation here.
FoundPlugin Supervisor::select(Candidates candidates) {
  FoundPlugin& newest = candidates.newest;
  const std::string id = newest.id;
  waiting_.erase(id);
  const auto* known = versions_.find(id);
  if (!known) {
    if (!newest.refusal) versions_.settle(newest);
    return std::move(newest);
  }
  auto against = objection(newest, *known);
  const bool way_back =
      candidates.settled && !candidates.settled->refusal && mark_of(*candidates.settled) == known->settled;
  if (!against) {
    if (way_back) {
      versions_.begin_trial(newest);
    } else {
      versions_.settle(newest);  // it is the settled one, or there is nothing to go back to
    }
    return std::move(newest);
  }
  versions_.end_trial(id);
  if (way_back) {
    spdlog::warn("{}: {} runs on: {}", id, candidates.settled->version, against->message);
    waiting_[id] = std::move(*against);
    return std::move(*candidates.settled);
  }
  if (against->code != "put_back") newest.refusal = std::move(against);
  return std::move(newest);  // one that failed, too, where there is nothing else
}

// The new version takes the old one's place, now if a host runs and is to.
void Supervisor::change_version(SupervisedPlugin& plugin, FoundPlugin fresh) {
  const std::string before = plugin.found().version;
  const bool changed = !same_version(plugin.found(), fresh) || plugin.found().refusal;
  for (const auto& service : fresh.manifest->services) {
    if (!book_.find(service.name)) book_.add(plugin.id(), service.name);
  }
  // One on probation saves nothing: what the version before it saved is needed, should that one come back.
  const bool hand_over = changed && before != fresh.version && probation_clocks_.count(plugin.id()) == 0;
  plugin.renew(std::move(fresh));
  forget_probation(plugin.id());
  if (changed) cloud_.set_offers(offers());
  if (changed && versions_.on_trial(plugin.found()))
    tell_upgrade("upgraded", plugin.id() + " " + plugin.found().version + " takes the place of " + before +
                                 ", on probation for " + in_words(settings_.probation));
  plugin.restart(hand_over);
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
  if (!versions_.on_trial(plugin.found())) return;
  if (plugin.state() != PluginState::Ready && plugin.state() != PluginState::Degraded) return watch_probation(plugin);
  forget_probation(plugin.id());
  versions_.settle(plugin.found());
  const auto file = policies_.state_folder(plugin.id()) / control::kHandoverFile;
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) spdlog::warn("{}: cannot remove {}", plugin.id(), file.string());
  tell_upgrade("upgraded", plugin.id() + " " + plugin.found().version + " has stood its probation");
}

// Its host ended unasked on probation. Not from inside that host's own call.
void Supervisor::fail_probation(const std::string& id, const Error& why) {
  const auto found = plugins_.find(id);
  if (stopping_ || found == plugins_.end() || retiring_.count(id) > 0) return;
  SupervisedPlugin& plugin = *found->second;
  const auto* entry = versions_.find(id);
  if (!entry || !versions_.on_trial(plugin.found())) return;
  const std::string failed = plugin.found().version;
  forget_probation(id);
  FoundPlugin old = find_version(paths_.plugin_dir, id, entry->settled.version, trust_rules());
  if (old.refusal || mark_of(old) != entry->settled) {
    spdlog::error("{}: {} failed its probation, and {} cannot come back: {}", id, failed, entry->settled.version,
                  old.refusal ? old.refusal->message : "its file is another one");
    return versions_.settle(plugin.found());
  }
  versions_.fail_trial(id, why.message);
  const std::string words =
      id + " " + failed + " failed its probation, and " + old.version + " runs again: " + why.message;
  tell_upgrade("put_back", words);
  quarantine_.release(id);
  waiting_[id] = Error{"put_back", failed + " failed its probation: " + why.message +
                                       "; a newer version, or hawserctl plugin release " + id + " tries again"};
  change_version(plugin, std::move(old));
}

json::Object Supervisor::with_versions(const std::string& id, json::Object answer) const {
  auto keep = json::make_array();
  if (const auto* entry = versions_.find(id)) {
    keep->add(entry->settled.version);
    if (!entry->trial.version.empty()) keep->add(entry->trial.version);
  }
  answer->set("keep", keep);
  return answer;
}

// Of a plugin that is not enabled.
json::Object Supervisor::look_without(const std::string& id) {
  if (trust::wanted_version(paths_.plugin_dir / id))
    return look_answer("not_enabled", "It is not enabled; hawserctl plugin enable " + id + " lets it run.");
  versions_.forget(id);
  return look_answer("not_enabled", "It is not installed and not enabled.");
}

void Supervisor::look(const std::string& id, const Looked& done) {
  if (!trust::is_plugin_id(id))
    return done(Error{"bad_request", "\"" + printable(id, 80) + "\" is no plugin id, as in \"acme.shell\""});
  if (plugins_.count(id) == 0 || retiring_.count(id) > 0) return done(with_versions(id, look_without(id)));
  const bool asked = look_.ask(look_request(id), [this, id, done](Candidates candidates) {
    done(with_versions(id, take_look(id, std::move(candidates))));
  });
  if (!asked) done(Error{"too_many_requests", "too many plugins are being looked at; try again"});
}

json::Object Supervisor::take_look(const std::string& id, Candidates candidates) {
  const auto found = plugins_.find(id);
  if (found == plugins_.end() || retiring_.count(id) > 0 || stopping_) return look_without(id);
  SupervisedPlugin& plugin = *found->second;
  const std::string before = plugin.found().version;
  FoundPlugin fresh = choose(std::move(candidates));
  if (fresh.refusal)
    return look_answer("refused", fresh.refusal->message + (plugin.pid() ? "; what runs goes on running." : "."));
  if (!plugin.found().refusal && same_version(plugin.found(), fresh)) {
    const auto waits = waiting_.find(id);
    if (waits == waiting_.end()) return look_answer("unchanged", "The agent runs this version already.");
    return look_answer(waits->second.code == "consent_needed" ? "waits_for_consent" : "refused",
                       before + " runs on: " + waits->second.message + ".");
  }
  if (const auto* kept = isolation_of(fresh, plugin.settings()))
    return look_answer("refused", "It is in quarantine: " + kept->why);
  if (plugin.state() == PluginState::Held) {
    plugin.renew(std::move(fresh));
    cloud_.set_offers(offers());
    return look_answer("held", "It starts when safe mode is over.");
  }
  change_version(plugin, std::move(fresh));
  if (!versions_.on_trial(plugin.found())) return look_answer("started", "The agent runs it now.");
  return look_answer("upgrading", "The agent runs it on probation for " + in_words(settings_.probation) + "; " +
                                      before + " comes back should it fail.");
}

void Supervisor::consent(const std::string& id, const Looked& done) {
  if (plugins_.count(id) == 0 || retiring_.count(id) > 0)
    return done(
        Error{"not_found", "no plugin \"" + printable(id, 80) + "\" is enabled; plugin list shows those that are"});
  const bool asked = look_.ask(look_request(id), [this, id, done](Candidates candidates) {
    const auto* entry = versions_.find(id);
    const auto against = entry ? objection(candidates.newest, *entry) : std::nullopt;
    if (!against || against->code != "consent_needed")
      return done(Error{"bad_request", "no version of " + id + " waits for consent, and nothing was done"});
    spdlog::info("{}: consent is given: {}", id, against->message);
    versions_.consent(id, *candidates.newest.manifest);
    done(with_versions(id, take_look(id, std::move(candidates))));
  });
  if (!asked) done(Error{"too_many_requests", "too many plugins are being looked at; try again"});
}

const Error* Supervisor::waiting(const std::string& id) const {
  const auto found = waiting_.find(id);
  return found == waiting_.end() ? nullptr : &found->second;
}

}  // namespace hawser::supervisor
