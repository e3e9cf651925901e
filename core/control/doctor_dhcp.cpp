#include "core/control/doctor_dhcp.hpp"

#include <map>

#include "core/base/encoding.hpp"
#include "core/config/dhcp_lease.hpp"

namespace hawser::control {
namespace {

void say(DoctorReport& report, Found found, const std::string& detail, const std::string& advice = "") {
  DoctorStep step;
  step.name = "DHCP";
  step.found = found;
  step.detail = detail;
  step.advice = advice;
  report.add(std::move(step));
}

// The lease of one interface, where it names a cloud and lives.
std::optional<config::Lease> look_at(const std::filesystem::path& file, const std::string& interface,
                                     const config::Dhcp& settings, DoctorReport& report) {
  const std::string correct = "correct what the DHCP server sends, or leave " + interface +
                              " out with cloud.dhcp.interfaces; until then the configured servers are used";
  const auto content = config::read_lease(file);
  const auto lease =
      content ? config::parse_lease(*content, settings) : Result<std::optional<config::Lease>>(content.error());
  if (!lease) return say(report, Found::Warning, interface + ": " + lease.error().message, correct), std::nullopt;
  if (!*lease) return std::nullopt;
  for (const auto& remark : (**lease).remarks) say(report, Found::Warning, interface + ": " + remark, correct);
  if (!config::is_over(**lease)) return *lease;
  say(report, Found::Warning, interface + ": the lease that named " + printable((**lease).domain) + " is over",
      "look whether the DHCP client of " + interface + " runs, and whether its server answers");
  return std::nullopt;
}

}  // namespace

std::optional<connection::DhcpOffer> check_dhcp(const std::filesystem::path& door, const config::Dhcp& settings,
                                                DoctorReport& report, const DeviceFolders& folders) {
  if (!settings.enabled) return say(report, Found::Ok, "leases are not heard (cloud.dhcp.enabled)"), std::nullopt;
  std::map<std::string, config::Lease> leases;
  for (const auto& file : config::lease_files(door, settings)) {
    const std::string interface = file.filename().string();
    if (auto lease = look_at(file, interface, settings, report)) leases.emplace(interface, std::move(*lease));
  }
  if (leases.empty()) return say(report, Found::Ok, "no lease names the cloud"), std::nullopt;
  std::vector<std::string> interfaces;
  for (const auto& [interface, lease] : leases) interfaces.push_back(interface);
  const std::string best = config::best_default_route(interfaces, folders.proc / "net").value_or(interfaces.front());
  for (const auto& [interface, lease] : leases)
    say(report, Found::Ok,
        interface + " names " + printable(lease.domain) +
            (leases.size() > 1 && interface != best ? "; the lease of " + best + " counts, by its default route" : ""));
  const config::Lease& lease = leases.at(best);
  return connection::DhcpOffer{best, lease.domain, lease.password};
}

}  // namespace hawser::control
