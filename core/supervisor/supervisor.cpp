#include "core/supervisor/supervisor.hpp"

#include <algorithm>
#include <stdexcept>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

json::Object typed(const char* type) {
  auto message = json::make_object();
  message->set("type", type);
  return message;
}

json::Object service_message(const char* type, const std::string& service, const std::string& reason) {
  auto message = typed(type);
  message->set("service", service);
  message->set("reason", reason);
  return message;
}

json::Array services_of(const Manifest& manifest) {
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

config::PluginSettings settings_of(const config::Settings& settings, const std::string& id) {
  const auto found = settings.plugins.find(id);
  if (found != settings.plugins.end()) return found->second;
  config::PluginSettings none;
  none.id = id;
  return none;
}

// A state that the cloud should hear of; what lies between two of them is told by the log.
bool is_worth_a_report(PluginState state) {
  return state == PluginState::Ready || state == PluginState::Degraded || state == PluginState::Stopped ||
         state == PluginState::Backoff || state == PluginState::Refused;
}

}  // namespace

Supervisor::Supervisor(Loop& loop, const config::Settings& settings, Paths paths, Cloud& cloud, Timing timing)
    : loop_(loop), settings_(settings), paths_(std::move(paths)), cloud_(cloud), actions_(loop), reaches_(loop) {
  SupervisedPlugin::Keeper& keeper = *this;
  for (auto& found : find_plugins(paths_.plugin_dir, settings.enabled)) {
    const std::string id = found.id;
    if (found.manifest && !found.refusal) {
      for (const auto& service : found.manifest->services) book_.add(id, service.name);
    }
    event_rates_.emplace(id, RateLimit(kEventsPerSecond, kEventsBurst));
    plugins_[id] = std::make_unique<SupervisedPlugin>(loop, keeper, paths_.host_program, timing, std::move(found),
                                                      settings_of(settings, id));
  }
}

Supervisor::~Supervisor() { loop_.cancel(stop_clock_); }

std::vector<connection::Offer> Supervisor::offers() const {
  std::vector<connection::Offer> offers;
  for (const auto& [id, plugin] : plugins_) {
    const FoundPlugin& found = plugin->found();
    if (found.refusal) continue;
    for (const auto& service : found.manifest->services)
      offers.push_back({service.name, id, found.version, found.digest, service.protocols});
  }
  return offers;
}

void Supervisor::start() {
  for (auto& [id, plugin] : plugins_) {
    if (!plugin->found().refusal) plugin->start();
  }
}

void Supervisor::stop(milliseconds limit, std::function<void()> done) {
  on_stopped_ = std::move(done);
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

FoundPlugin Supervisor::look_again(const std::string& id) const {
  FoundPlugin found = std::move(find_plugins(paths_.plugin_dir, {id}).at(0));
  if (found.refusal) return found;
  for (const auto& service : found.manifest->services) {
    const auto row = book_.rows().find(service.name);
    if (row == book_.rows().end() || row->second.plugin == id) continue;
    found.refusal = Error{"service_claimed", "the service \"" + service.name + "\" is claimed by " +
                                                 row->second.plugin + " already; enable only one of the two"};
    break;
  }
  return found;
}

Status Supervisor::restart(const std::string& id) {
  const auto found = plugins_.find(id);
  if (found == plugins_.end())
    return Error{"not_found", "no plugin \"" + printable(id, 80) + "\" is enabled; plugin list shows those that are"};
  SupervisedPlugin& plugin = *found->second;
  FoundPlugin fresh = look_again(id);
  if (fresh.refusal) return fresh.refusal->with_context("plugin " + id + " is refused");
  const bool changed = fresh.digest != plugin.found().digest || fresh.version != plugin.found().version;
  for (const auto& service : fresh.manifest->services) {
    if (!book_.find(service.name)) book_.add(id, service.name);
  }
  plugin.renew(std::move(fresh));
  if (changed) cloud_.set_offers(offers());
  plugin.restart();
  return ok();
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
  for (auto& [id, plugin] : plugins_) plugin->send(typed("server_changed"));
}

void Supervisor::reached(std::uint64_t id, const std::string& how) { reaches_.answer(id, true, how); }

void Supervisor::set_validity_floor(std::chrono::system_clock::time_point floor) { validity_floor_ = floor; }

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
  const std::filesystem::path state_dir = paths_.state_dir / "plugins" / plugin.id();
  if (const auto made = make_folder(state_dir); !made) spdlog::error("{}: {}", plugin.id(), made.error().message);
  auto actions = json::make_array();
  for (const auto& [name, action] : plugin.settings().actions) actions->add(name);
  const auto floor = std::chrono::floor<std::chrono::seconds>(validity_floor_.time_since_epoch()).count();
  auto setup = typed("setup");
  setup->set("plugin", plugin.id());
  setup->set("version", plugin.found().version);
  setup->set("digest", plugin.found().digest);
  setup->set("instance", plugin.instance());
  setup->set("library", plugin.found().library.string());
  setup->set("state_dir", state_dir.string());
  setup->set("config", plugin.settings().config);
  setup->set("serial", settings_.serial);
  setup->set("hostname", settings_.hostname);
  setup->set("site", settings_.site);
  setup->set("ca_file", settings_.ca_file);
  setup->set("validity_floor", static_cast<Poco::Int64>(floor));
  setup->set("actions", actions);
  setup->set("services", services_of(*plugin.found().manifest));
  return setup;
}

void Supervisor::on_started(SupervisedPlugin& plugin) {
  bool without = false;
  for (const auto& service : plugin.found().manifest->services) without |= !send_grant(plugin, service.name);
  // At the start of the agent the main connection asks by itself.
  if (without && plugin.restarts() > 0) cloud_.request_grants();
}

void Supervisor::on_state(SupervisedPlugin& plugin) {
  if (!is_worth_a_report(plugin.state())) return;
  std::string detail = plugin.id() + " is " + std::string(name_of(plugin.state()));
  if (!plugin.reason().message.empty()) detail += ": " + plugin.reason().message;
  report(plugin, {"plugin_state", "", plugin.reason().code, detail});
}

void Supervisor::on_host_ended(SupervisedPlugin& plugin, const Error& why) {
  const bool asked = plugin.state() == PluginState::Draining;
  reaches_.forget(plugin.id());
  const auto lost = book_.host_ended(plugin.id(), asked ? "stopped_by_operator" : why.code, asked ? "" : why.message);
  for (const auto& [service, count] : lost) {
    const std::string words = std::to_string(count) + " messages that its host had not delivered when it ended";
    plugin.log_line(spdlog::level::warn, "dropped " + service + " expired: " + words);
    report(plugin, {"dropped", service, "expired", words});
  }
  // Not from inside the ended host's own call.
  if (on_stopped_) loop_.after(milliseconds{0}, [this] { finish_stop(false); });
}

}  // namespace hawser::supervisor
