#include "core/control/ctl_doctor.hpp"

#include <CLI/CLI.hpp>

#include "core/control/ctl_support.hpp"
#include "core/control/ctl_terminal.hpp"
#include "core/control/doctor_cloud.hpp"
#include "core/control/doctor_device.hpp"
#include "core/control/doctor_dhcp.hpp"
#include "core/control/doctor_walk.hpp"

namespace hawser::control {
namespace {

using connection::Target;

IpVersion ip_version_of(const std::string& text) {
  if (text == "4") return IpVersion::V4;
  return text == "6" ? IpVersion::V6 : IpVersion::Any;
}

// The agent's own list; without an agent what it would make of configuration and lease.
std::vector<Target> targets(const config::Settings& settings, const json::Object& state,
                            const std::optional<connection::DhcpOffer>& leased) {
  std::vector<Target> all;
  const auto servers = json::array_member(state ? state : json::make_object(), "servers");
  for (std::size_t i = 0; servers && i < (*servers)->size(); ++i) {
    const auto one = json::object_at(*servers, i);
    if (!one) continue;
    Target target;
    target.domain = json::text_or(*one, "domain");
    target.port = static_cast<std::uint16_t>(json::integer_or(*one, "port", 0));
    target.primary = json::text_or(*one, "role") != "backup";
    target.source = json::text_or(*one, "source") == "dhcp" ? Target::Source::Dhcp : Target::Source::Config;
    target.binding = {ip_version_of(json::text_or(*one, "ip_version")), json::text_or(*one, "vpn_instance"),
                      json::text_or(*one, "source_ip")};
    if (!target.domain.empty() && target.port != 0) all.push_back(std::move(target));
  }
  return all.empty() ? connection::targets_of(settings, leased) : all;
}

std::string heading(const Target& target) {
  return "Server " + transport::Origin{target.domain, target.port}.text() +
         (target.primary ? " (primary, " : " (backup, ") +
         (target.source == Target::Source::Dhcp ? "from DHCP)" : "from the configuration)");
}

void say(DoctorReport& report, Found found, const std::string& name, const std::string& detail,
         const std::string& advice = "") {
  DoctorStep step;
  step.name = name;
  step.found = found;
  step.detail = detail;
  step.advice = advice;
  report.add(std::move(step));
}

// The agent's state; null without an agent.
json::Object look_for_agent(const CtlOptions& options, DoctorReport& report) {
  const auto state = ask(options, "state");
  if (!state) {
    const auto& code = state.error().code;  // one that runs, and yet does not answer, is a failure
    const bool absent = code == "not_running" || code == "not_permitted";
    say(report, absent ? Found::Skipped : Found::Failed, "agent",
        state.error().message + "; without it authentication, registration, upgrade and services are not tried",
        absent ? "" : "look at the agent's log (journalctl -u hawserd), and restart it where it hangs");
    return nullptr;
  }
  say(report, Found::Ok, "agent",
      "answers; the cloud connection is " + json::text_or(*state, "cloud_connection_state", "of unknown state"));
  return *state;
}

const Binding& binding_for_services(const std::vector<Target>& all, const json::Object& state) {
  for (const Target& target : all)
    if (state && target.domain == json::text_or(state, "cloud_server_domain_name")) return target.binding;
  return all.front().binding;
}

std::string proxy_words(const Proxy& proxy) {
  return proxy.host.empty() ? "no proxy" : "the proxy " + transport::Origin{proxy.host, proxy.port}.text();
}

// The environment of this shell is not that of the agent: the agent's way is examined, and the difference told. False:
// that way cannot be gone from here.
bool take_proxy_of_agent(const CtlOptions& options, config::Settings& settings, DoctorReport& report) {
  const auto shown = ask(options, "config_show");
  const auto cloud = shown ? json::object_member(*shown, "cloud") : Result<json::Object>(shown.error());
  if (!cloud) return true;
  Proxy theirs;
  bool has_credentials = false;
  if (const auto proxy = json::object_member(*cloud, "proxy")) {
    theirs.host = json::text_or(*proxy, "host");
    theirs.port = static_cast<std::uint16_t>(json::integer_or(*proxy, "port", 0));
    has_credentials = json::bool_or(*proxy, "has_credentials", false);
    const auto names = json::array_member(*proxy, "no_proxy");
    for (std::size_t i = 0; names && i < (*names)->size(); ++i)
      theirs.no_proxy.push_back((*names)->get(static_cast<unsigned>(i)).toString());
  }
  const bool same = theirs.host == settings.proxy.host && theirs.port == settings.proxy.port;
  if (has_credentials && (!same || settings.proxy.user.empty())) {
    say(report, Found::Skipped, "servers",
        "the agent uses " + proxy_words(theirs) + " with a user and a password, which it tells nobody",
        "type doctor with the agent's https_proxy in the environment, or set cloud.proxy.url");
    return false;
  }
  if (same) return true;
  say(report, Found::Warning, "proxy",
      "the agent uses " + proxy_words(theirs) + ", but the files and this shell's environment name " +
          proxy_words(settings.proxy) + "; the agent's way is examined",
      "set cloud.proxy.url, and let the agent take it (hawserctl config reload)");
  settings.proxy = std::move(theirs);
  return true;
}

// Ends an examination whose reader is gone ("| head").
struct NobodyReads {};

CtlOutcome run_doctor(const CtlOptions& options) {
  DoctorReport report([&](const std::string& text) {
    if (!options.json && !print_now(text)) throw NobodyReads();
  });
  CtlOutcome outcome;
  try {
    examine(options, kDoctorLimit, report);
  } catch (const NobodyReads&) {
    return outcome;
  }
  outcome.exit = report.failures() > 0 ? CtlExit::Failed : CtlExit::Done;
  outcome.out = options.json ? json::to_text(report.to_json()) + "\n" : report.closing_line();
  return outcome;
}

}  // namespace

void examine(const CtlOptions& options, milliseconds limit, DoctorReport& report) {
  const TimePoint deadline = Clock::now() + limit;
  Waker waker;
  report.begin("This device");
  auto settings = check_configuration(options, report);
  const auto state = look_for_agent(options, report);
  check_device(options.config_dir, settings, !state.isNull(), report);
  if (settings && state && !take_proxy_of_agent(options, *settings, report)) return;
  if (!settings) return say(report, Found::Skipped, "servers", "they are tried once the configuration has no fault");
  const auto leased = check_dhcp(options.socket.parent_path() / "dhcp", settings->dhcp, report);
  const auto all = targets(*settings, state, leased);
  if (all.empty()) return say(report, Found::Skipped, "servers", "there are none: no DHCP lease has named one yet");
  ServerWalk to_cloud(*settings, earliest_time(options), waker, deadline, report);
  CloudWalk in_cloud(options, *settings, state, waker, deadline, report);
  for (const Target& target : all) {
    report.begin(heading(target));
    if (Clock::now() >= deadline) {
      say(report, Found::Skipped, "all", "not tried: the time for the whole examination is over");
      continue;
    }
    in_cloud.walk(target, to_cloud.walk(target));
  }
  in_cloud.walk_services(binding_for_services(all, state));
}

void add_doctor_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  auto* doctor = app.add_subcommand("doctor",
                                    "Try every step of the way to the cloud, and say what to do; exit 1 for "
                                    "a failure");
  doctor->callback([&] { run = [&] { return run_doctor(options); }; });
}

}  // namespace hawser::control
