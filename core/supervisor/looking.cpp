// A plugin is looked at on the disk anew, at the wish of an operator, and what comes of it is told (sdk-10).
#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/supervisor/words.hpp"
#include "core/trust/versions.hpp"

namespace hawser::supervisor {
namespace {

json::Object look_answer(const char* state, const std::string& detail) {
  auto answer = json::make_object();
  answer->set("state", state);
  answer->set("detail", detail);
  return answer;
}

Error not_enabled(const std::string& id) {
  return {"not_found", "no plugin \"" + printable(id, 80) + "\" is enabled; plugin list shows those that are"};
}

// Consent to one version is none to what is newest by now.
std::optional<Error> mismatch(const std::string& id, const Supervisor::Consent& given,
                              const Supervisor::Consent& asked) {
  const auto known = std::set<std::string>(given.permissions.begin(), given.permissions.end());
  const bool more = std::any_of(asked.permissions.begin(), asked.permissions.end(),
                                [&known](const std::string& one) { return known.count(one) == 0; });
  if (given.version == asked.version && !more) return std::nullopt;
  return Error{"bad_request", "nothing was done: consent was given to " + printable(given.version, 64) + " with " +
                                  printable(joined(given.permissions), 512) + ", but " + id + " " + asked.version +
                                  " waits, which asks for " + joined(asked.permissions) +
                                  "; look again: hawserctl plugin list"};
}

}  // namespace

// With the services that others have.
Supervisor::Choice Supervisor::choose(Candidates candidates) {
  Choice choice = select(std::move(candidates));
  FoundPlugin& found = choice.plugin;
  const std::string id = found.id;
  if (found.refusal) return choice;
  for (const auto& service : found.manifest->services) {
    const auto row = book_.rows().find(service.name);
    if (row == book_.rows().end() || row->second.plugin == id) continue;
    found.refusal = Error{"service_claimed", "the service \"" + service.name + "\" is claimed by " +
                                                 row->second.plugin + " already; enable only one of the two"};
    break;
  }
  return choice;
}

void Supervisor::restart(const std::string& id, const Answered& done) {
  if (look_.is_full()) return done(Error{"too_many_requests", "too many plugins are being looked at; try again"});
  restart_in_any_case(id, done);
}

void Supervisor::restart_in_any_case(const std::string& id, const Answered& done) {
  if (plugins_.count(id) == 0 || retiring_.count(id) > 0) return done(not_enabled(id));
  ++restarting_[id];
  look_.ask_in_any_case(look_request(id), [this, id, done](Candidates candidates) {
    if (--restarting_[id] == 0) restarting_.erase(id);
    done(take_restart(id, std::move(candidates)));
  });
}

Status Supervisor::take_restart(const std::string& id, Candidates candidates) {
  const auto found = plugins_.find(id);
  if (found == plugins_.end() || retiring_.count(id) > 0) return not_enabled(id);
  if (stopping_ || arriving_.count(id) > 0) return ok();  // it does not start any more, or starts anyway
  SupervisedPlugin& plugin = *found->second;
  Choice choice = choose(std::move(candidates));
  if (choice.plugin.refusal) return choice.plugin.refusal->with_context("plugin " + id + " is refused");
  if (const auto* entry = isolation_of(choice.plugin, plugin.settings()))
    return Error{"quarantined", "plugin " + id + " is in quarantine: " + entry->why};
  change_version(plugin, std::move(choice));
  return ok();
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

// Of a plugin that is not enabled. It is forgotten only when it is gone for sure, and not when the disk cannot be read.
json::Object Supervisor::look_without(const std::string& id) {
  std::error_code problem;
  if (std::filesystem::exists(paths_.plugin_dir / id, problem) || problem)
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

// Where something keeps the newest version from running.
std::optional<json::Object> Supervisor::waiting_answer(const std::string& id, const std::string& runs) const {
  const auto waits = waiting_.find(id);
  if (waits == waiting_.end()) return std::nullopt;
  return look_answer(waits->second.code == "consent_needed" ? "waits_for_consent" : "refused",
                     runs + " runs on: " + waits->second.message + ".");
}

json::Object Supervisor::take_look(const std::string& id, Candidates candidates) {
  const auto found = plugins_.find(id);
  if (found == plugins_.end() || retiring_.count(id) > 0 || stopping_) return look_without(id);
  SupervisedPlugin& plugin = *found->second;
  const std::string before = plugin.found().version;
  Choice choice = choose(std::move(candidates));
  const FoundPlugin& fresh = choice.plugin;
  if (fresh.refusal)
    return look_answer("refused", fresh.refusal->message + (plugin.pid() ? "; what runs goes on running." : "."));
  if (!plugin.found().refusal && mark_of(plugin.found()) == mark_of(fresh))
    return waiting_answer(id, before).value_or(look_answer("unchanged", "The agent runs this version already."));
  if (const auto* kept = isolation_of(fresh, plugin.settings()))
    return look_answer("refused", "It is in quarantine: " + kept->why);
  if (plugin.state() == PluginState::Held) {
    note(choice);
    plugin.renew(std::move(choice.plugin));
    cloud_.set_offers(offers());
    return look_answer("held", "It starts when safe mode is over.");
  }
  change_version(plugin, std::move(choice));
  if (auto waits = waiting_answer(id, plugin.found().version)) return *waits;
  if (!versions_.on_trial(plugin.found())) return look_answer("started", "The agent runs it now.");
  return look_answer("upgrading", "The agent runs it on probation for " + in_words(settings_.probation) + "; " +
                                      before + " comes back should it fail.");
}

void Supervisor::consent(const std::string& id, const Consent& given, const Looked& done) {
  if (plugins_.count(id) == 0 || retiring_.count(id) > 0) return done(not_enabled(id));
  const bool asked = look_.ask(look_request(id), [this, id, given, done](Candidates candidates) {
    const FoundPlugin& newest = candidates.newest;
    const auto* entry = versions_.find(id);
    const auto against = entry ? objection(newest, *entry) : std::nullopt;
    if (!against || against->code != "consent_needed")
      return done(Error{"bad_request", "no version of " + id + " waits for consent, and nothing was done"});
    const Consent wanted{newest.version, beyond(entry->permissions, newest.manifest->permissions)};
    if (const auto other = mismatch(id, given, wanted)) return done(*other);
    spdlog::info("{}: consent is given: {}", id, against->message);
    versions_.consent(id, *newest.manifest);
    done(with_versions(id, take_look(id, std::move(candidates))));
  });
  if (!asked) done(Error{"too_many_requests", "too many plugins are being looked at; try again"});
}

const Supervisor::Consent* Supervisor::consent_asked(const std::string& id) const {
  const auto found = consents_.find(id);
  return found == consents_.end() ? nullptr : &found->second;
}

const Error* Supervisor::waiting(const std::string& id) const {
  const auto found = waiting_.find(id);
  return found == waiting_.end() ? nullptr : &found->second;
}

}  // namespace hawser::supervisor
