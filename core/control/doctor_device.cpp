#include "core/control/doctor_device.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "core/base/files.hpp"
#include "core/base/rfc3339.hpp"
#include "core/config/load.hpp"
#include "core/connection/validity_floor.hpp"
#include "core/transport/tls_context.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kCommandLineBytesMax = 64 * 1024;
constexpr std::size_t kTableBytesMax = 4 * 1024 * 1024;  // of a routing table

void warn(DoctorReport& report, const std::string& name, const std::string& detail, const std::string& advice) {
  DoctorStep step;
  step.name = name;
  step.found = Found::Warning;
  step.detail = detail;
  step.advice = advice;
  report.add(std::move(step));
}

void good(DoctorReport& report, const std::string& name, const std::string& detail) {
  report.add(name, "", Clock::now(), ok(), detail);
}

void check_clock(DoctorReport& report) {
  const auto now = std::chrono::system_clock::now();
  const auto built = connection::ValidityFloor::built_at();
  if (now >= built) return good(report, "clock", rfc3339(now) + ", after this program was built");
  warn(report, "clock", rfc3339(now) + " is before this program was built, " + rfc3339(built),
       "set the clock; until then certificates are checked against the build time");
}

// Files under /proc have no size, so read_file() is not for them.
std::string whole(const std::filesystem::path& file, std::size_t limit) {
  std::ifstream in(file, std::ios::binary);
  std::string text(limit, '\0');
  in.read(text.data(), static_cast<std::streamsize>(limit));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

bool has_default_route4(const std::string& table) {
  std::istringstream lines(table);
  std::string line, interface, destination, gateway, flags, skip, mask;
  std::getline(lines, line);  // headings
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    words >> interface >> destination >> gateway >> flags >> skip >> skip >> skip >> mask;
    if (destination == "00000000" && mask == "00000000") return true;
  }
  return false;
}

bool has_default_route6(const std::string& table) {
  const std::string any(32, '0');
  std::istringstream lines(table);
  std::string line, destination, length, skip, interface;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    words >> destination >> length;
    for (int i = 0; i < 8; ++i) words >> interface;
    if (destination == any && length == "00" && interface != "lo") return true;
  }
  return false;
}

void check_routes(const DeviceFolders& folders, DoctorReport& report) {
  const bool v4 = has_default_route4(whole(folders.proc / "net/route", kTableBytesMax));
  const bool v6 = has_default_route6(whole(folders.proc / "net/ipv6_route", kTableBytesMax));
  if (v4 || v6) return good(report, "default route", v4 && v6 ? "IPv4 and IPv6" : v4 ? "IPv4 only" : "IPv6 only");
  warn(report, "default route", "there is none",
       "add one, unless the cloud stands in a network that this device is connected to");
}

void check_name_servers(const DeviceFolders& folders, DoctorReport& report) {
  const std::string text = whole(folders.resolv_conf, kTableBytesMax);
  std::istringstream lines(text);
  std::string line, servers;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string key, value;
    if (words >> key >> value && key == "nameserver") servers += (servers.empty() ? "" : ", ") + value;
  }
  if (!servers.empty()) return good(report, "name servers", servers);
  std::error_code ignored;
  const bool there = std::filesystem::exists(folders.resolv_conf, ignored);
  warn(report, "name servers", folders.resolv_conf.string() + (there ? " names none" : " is missing"),
       "name a name server there, or let the DHCP client do it");
}

// The folder that a hawserd was told, or the usual one; nothing for another program.
std::optional<std::filesystem::path> config_dir_of_agent(const std::string& command_line) {
  std::vector<std::string> words;
  std::istringstream in(command_line);
  for (std::string word; std::getline(in, word, '\0');) words.push_back(word);
  if (words.empty() || std::filesystem::path(words[0]).filename() != "hawserd") return std::nullopt;
  if (std::find(words.begin(), words.end(), "--check") != words.end()) return std::nullopt;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--config" && i + 1 < words.size()) return words[i + 1];
    if (words[i].rfind("--config=", 0) == 0) return words[i].substr(9);
  }
  return "/etc/hawser";
}

void check_other_agents(const std::filesystem::path& config_dir, bool agent_answers, const DeviceFolders& folders,
                        DoctorReport& report) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folders.proc, error)) {
    const std::string name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; })) continue;
    const auto dir = config_dir_of_agent(whole(entry.path() / "cmdline", kCommandLineBytesMax));
    std::error_code ignored;
    if (dir && (*dir == config_dir || std::filesystem::equivalent(*dir, config_dir, ignored))) found.push_back(name);
  }
  std::string list;
  for (const auto& pid : found) list += (list.empty() ? "" : ", ") + pid;
  if (found.size() > 1)
    warn(report, "other agents", "several hawserd run with this configuration: processes " + list,
         "stop all but one: two agents with one serial number push each other off the cloud");
  else if (found.size() == 1 && !agent_answers)
    warn(report, "other agents",
         "a hawserd runs with this configuration (process " + list + "), but does not answer at this control socket",
         "name its socket with --socket");
  else
    good(report, "other agents", "none");
}

void check_ca_file(const config::Settings& settings, DoctorReport& report) {
  const TimePoint began = Clock::now();
  auto context = transport::TlsContext::make("localhost", settings.ca_file);
  Status status = ok();
  if (!context) status = context.error();
  report.add("ca_file", "", began, status, settings.ca_file.empty() ? "the system's authorities" : settings.ca_file);
}

}  // namespace

std::optional<config::Settings> check_configuration(const CtlOptions& options, DoctorReport& report) {
  const TimePoint began = Clock::now();
  config::LoadResult loaded = config::load(options.config_dir, device_sources(options));
  for (const auto& fault : loaded.faults) {
    DoctorStep step;
    step.name = "configuration";
    step.found = Found::Failed;
    step.detail = fault;
    step.advice = "correct it; hawserctl config check looks again";
    report.add(std::move(step));
  }
  for (const auto& warning : loaded.warnings) warn(report, "configuration", warning, "");
  if (loaded.settings) report.add("configuration", "", began, ok(), options.config_dir.string() + " has no fault");
  return std::move(loaded.settings);
}

void check_device(const std::filesystem::path& config_dir, const std::optional<config::Settings>& settings,
                  bool agent_answers, DoctorReport& report, const DeviceFolders& folders) {
  check_clock(report);
  check_routes(folders, report);
  check_name_servers(folders, report);
  check_other_agents(config_dir, agent_answers, folders, report);
  if (settings) check_ca_file(*settings, report);
}

}  // namespace hawser::control
