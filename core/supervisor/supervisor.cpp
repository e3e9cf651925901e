#include "core/supervisor/supervisor.hpp"

#include <algorithm>
#include <stdexcept>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

json::Object typed(const char* type) {
  auto message = json::make_object();
  message->set("type", type);
  return message;
}

Poco::Int64 in_seconds(std::chrono::system_clock::time_point when) {
  return std::chrono::floor<std::chrono::seconds>(when.time_since_epoch()).count();
}

json::Object service_message(const char* type, const std::string& service, const std::string& reason) {
  auto message = typed(type);
  message->set("service", service);
  message->set("reason", reason);
  return message;
}

json::Array services_of(const trust::Manifest& manifest) {
  auto services = json::make_array();
  for (const auto& service : manifest.services) {
    auto entry = json::make_object();
    auto protocols = json::make_array();
    for (const auto& protocol : service.protocols) protocols->add(protocol);
    entry->set("service", service.name);
    entry->set("protocols", protocols);
    services->add(entry);
  }
  return services;
}

Poco::Dynamic::Var proxy_of(const Proxy& proxy) {
  if (proxy.host.empty()) return {};
  auto exempt = json::make_array();
  for (const auto& name : proxy.no_proxy) exempt->add(name);
  auto object = json::make_object();
  object->set("host", proxy.host);
  object->set("port", static_cast<int>(proxy.port));
  object->set("user", proxy.user);
  object->set("password", proxy.password);
  object->set("no_proxy", exempt);
  return object;
}

json::Object spool_of(const config::SpoolSettings& settings) {
  auto spool = json::make_object();
  spool->set("bytes", static_cast<Poco::Int64>(settings.bytes));
  spool->set("mode", settings.mode == config::SpoolMode::Safe ? "safe" : "relaxed");
  return spool;
}

// A state that the cloud should hear of; what lies between two of them is told by the log.
bool is_worth_a_report(PluginState state) {
  return state == PluginState::Ready || state == PluginState::Degraded || state == PluginState::Stopped ||
         state == PluginState::Backoff || state == PluginState::Refused;
}

// States that a plugin can change between as often as it likes.
bool is_its_own_word(PluginState state) { return state == PluginState::Ready || state == PluginState::Degraded; }

}  // namespace

Supervisor::Supervisor(Loop& loop, config::Settings settings, Paths paths, Cloud& cloud, Timing timing,
                       Result<CgroupTree> cgroups)
    : loop_(loop),
      settings_(std::move(settings)),
      paths_(std::move(paths)),
      cloud_(cloud),
      timing_(timing),
      policies_(loop, paths_.state_dir, settings_.first_uid, std::move(cgroups),
                [this](const std::string& id, const Error& why) { plugins_.at(id)->condemn(why); }),
      quarantine_(paths_.state_dir / "quarantine.json"),
      versions_(paths_.state_dir / "versions.json"),
      look_(loop),
      actions_(loop),
      reaches_(loop),
      exchange_(loop,
                [this](SupervisedPlugin& plugin, ConfigExchange::Outcome outcome, const config::PluginSettings& now,
                       const std::string& why) { on_offered(plugin, outcome, now, why); }) {
  if (settings_.development_mode) spdlog::warn("{}", config::kDevelopmentModeWords);
  for (auto& found : find_plugins(paths_.plugin_dir, settings_.enabled, trust_rules())) {
    Candidates candidates;
    candidates.newest = std::move(found);
    read_others(look_request(candidates.newest.id), candidates);
    enter(select(std::move(candidates)));
  }
}

// Into the book only what is to run.
SupervisedPlugin& Supervisor::enter(Choice choice) {
  const auto* kept = quarantine_.find(choice.plugin.id);
  const bool isolated =
      kept && !choice.plugin.refusal && kept->make == make_of(choice.plugin, settings_of(choice.plugin.id));
  if (!choice.plugin.refusal && !isolated) note(choice);
  return add(std::move(choice.plugin));
}

SupervisedPlugin& Supervisor::add(FoundPlugin found) {
  const std::string id = found.id;
  if (found.manifest && !found.refusal) {
    for (const auto& service : found.manifest->services) book_.add(id, service.name);
  }
  event_rates_.insert_or_assign(id, RateLimit(kEventsPerSecond, kEventsBurst));
  SupervisedPlugin::Keeper& keeper = *this;
  auto plugin = std::make_unique<SupervisedPlugin>(loop_, keeper, paths_.host_program, timing_, std::move(found),
                                                   settings_of(id));
  return *(plugins_[id] = std::move(plugin));
}

config::PluginSettings Supervisor::settings_of(const std::string& id) const {
  const auto found = settings_.plugins.find(id);
  if (found != settings_.plugins.end()) return found->second;
  config::PluginSettings none;
  none.id = id;
  return none;
}

Supervisor::~Supervisor() {
  loop_.cancel(stop_clock_);
  loop_.cancel(round_clock_);
  for (const auto& [id, clock] : probation_clocks_) loop_.cancel(clock);
}

std::vector<connection::Offer> Supervisor::offers() const {
  std::vector<connection::Offer> offers;
  for (const auto& [id, plugin] : plugins_) {
    const FoundPlugin& found = plugin->found();
    if (found.refusal || retiring_.count(id) > 0) continue;
    for (const auto& service : found.manifest->services)
      offers.push_back({service.name, id, found.version, found.digest, service.protocols});
  }
  return offers;
}

void Supervisor::start() {
  last_round_ = Clock::now();
  round_clock_ = loop_.every(timing_.ping_interval, [this] { look_around(); });
  for (auto& [id, plugin] : plugins_) begin(*plugin);
}

void Supervisor::stop(milliseconds limit, std::function<void()> done) {
  on_stopped_ = std::move(done);
  stopping_ = true;
  for (auto& [id, plugin] : plugins_) plugin->stop(limit);
  stop_clock_ = loop_.after(limit, [this] {
    for (auto& [id, plugin] : plugins_) plugin->kill();
    stop_clock_ = loop_.after(kLastMoment, [this] { finish_stop(true); });
  });
  finish_stop(false);
}

void Supervisor::finish_stop(bool even_if_some_are_left) {
  if (!on_stopped_) return;
  for (const auto& [id, plugin] : plugins_) {
    if (plugin->pid() && !even_if_some_are_left) return;
  }
  loop_.cancel(stop_clock_);
  std::exchange(on_stopped_, nullptr)();
}

// A clock that is behind at boot does not lend a key more time.
TrustRules Supervisor::trust_rules() const {
  return {paths_.trust_dir, settings_.development_mode, std::max(std::chrono::system_clock::now(), validity_floor_)};
}

void Supervisor::set_grants(const std::vector<json::Object>& grants, const std::vector<connection::Refusal>& refused) {
  std::map<std::string, std::string> refusals;
  for (const auto& refusal : refused) refusals[refusal.service] = refusal.reason;
  const auto revoked = grants_.replace(grants, refusals, Clock::now());
  for (const auto& service : revoked) {
    if (auto* owner = find_owner(service)) owner->send(service_message("revoke", service, "revoked"));
  }
  for (const auto& [service, row] : book_.rows()) {
    if (auto* owner = find_owner(service)) send_grant(*owner, service);
  }
  for (auto& [id, plugin] : plugins_) follow_binding(*plugin);
}

bool Supervisor::send_grant(SupervisedPlugin& plugin, const std::string& service) {
  if (const auto grant = grants_.grant(service, Clock::now())) {
    auto message = typed("grant");
    message->set("grant", grant);
    plugin.send(message);
    return true;
  }
  const auto reason = grants_.refusal(service);
  if (reason) plugin.send(service_message("grant_refused", service, *reason));
  return reason.has_value();
}

void Supervisor::revoke(const std::string& service, const std::string& reason) {
  grants_.forget(service);
  if (auto* owner = find_owner(service)) owner->send(service_message("revoke", service, reason));
}

void Supervisor::server_changed() {
  grants_.forget_all();
  send_to_all(typed("server_changed"));
}

void Supervisor::unbound() {
  grants_.forget_all();
  send_to_all(typed("unbound"));
}

void Supervisor::network_changed(bool resumed) {
  auto message = typed("network_changed");
  message->set("resumed", resumed);
  send_to_all(message);
}

void Supervisor::send_to_all(const json::Object& message) {
  for (auto& [id, plugin] : plugins_) plugin->send(message);
}

void Supervisor::reached(std::uint64_t id, const std::string& how) { reaches_.answer(id, true, how); }

void Supervisor::set_validity_floor(std::chrono::system_clock::time_point floor) {
  if (floor == validity_floor_) return;
  validity_floor_ = floor;
  auto message = typed("validity_floor");
  message->set("at", in_seconds(floor));
  send_to_all(message);
}

std::vector<const SupervisedPlugin*> Supervisor::plugins() const {
  std::vector<const SupervisedPlugin*> all;
  for (const auto& [id, plugin] : plugins_) all.push_back(plugin.get());
  return all;
}

const SupervisedPlugin* Supervisor::find(const std::string& id) const {
  const auto found = plugins_.find(id);
  return found == plugins_.end() ? nullptr : found->second.get();
}

SupervisedPlugin* Supervisor::find_owner(const std::string& service) {
  const auto* row = book_.find(service);
  return row ? plugins_.at(row->plugin).get() : nullptr;
}

json::Object Supervisor::setup_of(const SupervisedPlugin& plugin) {
  const Policy& policy =
      policies_.put_in_force(plugin.found(), plugin.settings(), plugin.pid().value_or(0), namespace_for(plugin));
  auto actions = json::make_array();  // those without a permission, too: on_action_run() says what is missing
  for (const auto& [name, action] : plugin.settings().actions) actions->add(name);
  auto setup = typed("setup");
  setup->set("plugin", plugin.id());
  setup->set("version", plugin.found().version);
  setup->set("digest", plugin.found().digest);
  setup->set("instance", plugin.instance());
  setup->set("library", plugin.found().library.string());
  setup->set("state_dir", policies_.state_folder(plugin.id()).string());
  setup->set("config", plugin.settings().config);
  setup->set("serial", settings_.serial);
  setup->set("hostname", settings_.hostname);
  setup->set("site", settings_.site);
  setup->set("ca_file", settings_.ca_file);
  setup->set("validity_floor", in_seconds(validity_floor_));
  setup->set("proxy", proxy_of(settings_.proxy));
  setup->set("actions", actions);
  setup->set("services", services_of(*plugin.found().manifest));
  setup->set("confinement", control::to_json(policy.confinement));
  setup->set("spool", spool_of(plugin.settings().spool));
  setup->set("probation", versions_.on_trial(plugin.found()));
  setup->set("takes_over", takes_over(plugin.found()));
  setup->set("bytes_per_second", static_cast<Poco::Int64>(*policy.limits.bytes_per_second));
  return setup;
}

Policy Supervisor::plan(const SupervisedPlugin& plugin, const config::PluginSettings& settings) {
  return policies_.plan(plugin.found(), settings, namespace_for(plugin));
}

// Of the grants that the plugin has. Before the first one: of the servers, when all of them say the same.
std::string Supervisor::namespace_for(const SupervisedPlugin& plugin) const {
  for (const auto& service : plugin.found().manifest->services) {
    const auto grant = grants_.grant(service.name, Clock::now());
    if (!grant) continue;
    const auto binding = json::object_member(grant, "binding");
    return binding ? namespace_of(json::text_or(*binding, "vpn_instance")) : "";
  }
  std::set<std::string> named;
  for (const auto& server : settings_.servers) named.insert(server.binding.vpn_instance);
  return named.size() == 1 ? namespace_of(*named.begin()) : "";
}

// A host enters its network namespace before its walls stand: for another one it takes another host.
void Supervisor::follow_binding(SupervisedPlugin& plugin) {
  const Policy* policy = policies_.in_force(plugin.id());
  if (!policy || !plugin.pid() || plugin.state() == PluginState::Draining) return;
  const std::string now = namespace_for(plugin);
  if (policy->confinement.network_namespace == now) return;
  plugin.log_line(spdlog::level::info, "the main connection runs in " +
                                           (now.empty() ? "no network namespace" : "network namespace " + now) +
                                           " now: its host starts again there");
  plugin.restart();
}

void Supervisor::on_started(SupervisedPlugin& plugin) {
  if (const Policy* policy = policies_.in_force(plugin.id()))
    plugin.set_log_lines(static_cast<double>(*policy->limits.log_lines));
  watch_probation(plugin);
  bool without = false;
  for (const auto& service : plugin.found().manifest->services) without |= !send_grant(plugin, service.name);
  // At the start of the agent the main connection asks by itself.
  if (without && plugin.restarts() > 0) cloud_.request_grants();
}

std::optional<Error> Supervisor::explain_end(const SupervisedPlugin& plugin, const ExitCause&) {
  return policies_.cause_of_end(plugin.id());
}

Error Supervisor::over_memory(const SupervisedPlugin& plugin, const std::string& uses) {
  return policies_.over_memory(plugin.id(), uses);
}

void Supervisor::on_state(SupervisedPlugin& plugin) {
  if (!is_worth_a_report(plugin.state())) return;
  std::string detail = plugin.id() + " is " + std::string(name_of(plugin.state()));
  if (!plugin.reason().message.empty()) detail += ": " + plugin.reason().message;
  connection::Event event{"plugin_state", "", plugin.reason().code, detail};
  // Why it ended must not be lost among events that it flooded us with before.
  is_its_own_word(plugin.state()) ? report(plugin, std::move(event)) : cloud_.report(std::move(event));
}

void Supervisor::on_host_ended(SupervisedPlugin& plugin, const Error& why) {
  const bool asked = plugin.state() == PluginState::Draining;
  policies_.host_ended(plugin.id());
  reaches_.forget(plugin.id());
  metrics_.forget(plugin.id());
  if (auto next = exchange_.forget(plugin.id())) plugin.set_settings(std::move(*next));
  const auto lost = book_.host_ended(plugin.id(), asked ? "stopped_by_operator" : why.code, asked ? "" : why.message);
  for (const auto& [service, count] : lost) {
    const std::string words = std::to_string(count) + " messages that its host had not delivered when it ended";
    plugin.log_line(spdlog::level::warn, "dropped " + service + " expired: " + words);
    report(plugin, {"dropped", service, "expired", words});
  }
  if (!asked && versions_.on_trial(plugin.found())) {
    loop_.after(milliseconds{0}, [this, id = plugin.id(), why, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) fail_probation(id, why);
    });
  }
  // Not from inside the ended host's own call.
  if (!on_stopped_ && retiring_.empty() && arriving_.empty()) return;
  loop_.after(milliseconds{0}, [this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    change_guard();
    finish_stop(false);
  });
}

}  // namespace hawser::supervisor
