#include "core/control/bundle_content.hpp"

#include <Poco/Environment.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/base/files.hpp"
#include "core/config/toml_reader.hpp"
#include "core/control/ctl_bundle.hpp"
#include "core/control/ctl_doctor.hpp"
#include "core/control/program_output.hpp"
#include "core/control/redaction.hpp"
#include "core/control/state_text.hpp"

namespace hawser::control {
namespace {

struct Program {
  const char* file;
  std::vector<std::string> words;
};

const std::vector<std::string> kJournalWords = {"journalctl", "--unit=hawserd", "--no-pager",
                                                "--output=short-iso-precise", "--lines=50000"};

const std::vector<Program>& programs() {
  static const std::vector<Program> kPrograms = {
      {"system/ip_address.txt", {"ip", "-details", "address"}},
      {"system/ip_route.txt", {"ip", "route", "show", "table", "all"}},
      {"system/ip_route6.txt", {"ip", "-6", "route", "show", "table", "all"}},
      {"system/ip_rule.txt", {"ip", "rule"}},
      {"system/ip_vrf.txt", {"ip", "-brief", "link", "show", "type", "vrf"}},
      {"system/disk_space.txt", {"df", "-h"}},
      {"system/memory.txt", {"free", "-m"}},
  };
  return kPrograms;
}

// Files of the system that hold no secret.
constexpr std::pair<const char*, const char*> kSystemFiles[] = {{"system/resolv_conf.txt", "/etc/resolv.conf"},
                                                                {"system/hosts.txt", "/etc/hosts"},
                                                                {"system/os_release.txt", "/etc/os-release"}};

std::string versions() {
  utsname system{};
  ::uname(&system);
  const auto poco = Poco::Environment::libraryVersion();
  return std::string("hawserctl " HAWSER_VERSION "\n") + OpenSSL_version(OPENSSL_VERSION) + "\nPoco " +
         std::to_string(poco >> 24) + "." + std::to_string(poco >> 16 & 255) + "." + std::to_string(poco >> 8 & 255) +
         "\n" + system.sysname + " " + system.release + " " + system.version + " " + system.machine + "\n";
}

// The last bytes of a regular file, which may be written to meanwhile.
Result<std::string> end_of_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return Error{"io_error", path + ": " + std::strerror(errno)};
  if (!S_ISREG(status.st_mode)) return Error{"io_error", path + " is no regular file"};
  const auto size = static_cast<std::size_t>(status.st_size);
  std::string text(std::min(size, bytes_max), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), static_cast<off_t>(size - text.size()));
  if (got < 0) return Error{"io_error", path + ": " + std::strerror(errno)};
  text.resize(static_cast<std::size_t>(got));
  return text;
}

// One run over all that a bundle holds.
class Filling {
 public:
  Filling(const CtlOptions& options, ArchiveWriter& archive) : options_(options), archive_(archive) {}

  Result<std::string> run() {
    put("versions.txt", versions());
    ask_agent();
    put_configuration();
    for (const auto& [name, path] : kSystemFiles) put(name, hawser::read_file(path, kBundleOutputBytesMax));
    for (const Program& program : programs())
      put(program.file, program_output(program.words, kBundleOutputBytesMax, kBundleProgramLimit));
    put_logs();
    put_doctor();
    if (!has_log_) missing_ += no_log() + "\n";
    if (!missing_.empty()) put("missing.txt", missing_);
    if (!broken_) return broken_.error();
    return has_log_ ? std::string() : no_log();
  }

 private:
  void put(const std::string& name, const Result<std::string>& content) {
    if (!broken_) return;
    Status status = ok();
    if (!content)
      status = content.error();
    else
      status = archive_.add(name, *content);
    if (status) return;
    if (status.error().code == "io_error" && content) broken_ = status;
    missing_ += name + ": " + status.error().message + "\n";
  }

  void ask_agent() {
    std::optional<Error> hangs;  // each question would wait as long again
    for (const char* command : {"state", "history", "plugin_list", "config_show", "version"}) {
      const auto answer = hangs ? Result<json::Object>(*hangs) : ask(options_, command);
      if (!answer && answer.error().code == "timeout") hangs = answer.error();
      const std::string name = "agent/" + std::string(command);
      if (!answer) {
        put(name + ".json", Result<std::string>(answer.error()));
        continue;
      }
      put(name + ".json", without_url_secrets(json::to_text(*answer)) + "\n");
      if (name == "agent/state") put("agent/state.txt", state_text(*answer, kUnlimitedWidth));
      if (name == "agent/plugin_list") ask_for_plugins(*answer);
    }
  }

  void ask_for_plugins(const json::Object& list) {
    const auto plugins = json::array_member(list, "plugins");
    for (std::size_t i = 0; plugins && i < (*plugins)->size(); ++i) {
      const auto one = json::object_at(*plugins, i);
      const std::string id = one ? json::text_or(*one, "id") : "";
      const auto answer = ask(options_, "plugin_show", one_argument("plugin", id));
      const std::string name = "agent/plugin_" + std::to_string(i + 1) + ".json";
      put(name, answer ? Result<std::string>(json::to_text(*answer) + "\n") : Result<std::string>(answer.error()));
    }
  }

  // The four places that core/config/load.hpp reads.
  void put_configuration() {
    put_config_file(options_.config_dir / "hawser.toml", "config/hawser.toml");
    std::size_t count = 0;
    for (const char* folder : {"conf.d", "sites", "plugins.d"}) {
      std::vector<std::filesystem::path> files;
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator(options_.config_dir / folder, error))
        if (entry.path().extension() == ".toml") files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const auto& file : files) {
        if (++count > kBundleConfigFilesMax) return;
        // A name is the operator's, and may be longer than a tar archive takes: the first line of the file has it.
        put_config_file(file, "config/" + std::string(folder) + "/" + file.filename().string().substr(0, 40));
      }
    }
  }

  void put_config_file(const std::filesystem::path& file, const std::string& name) {
    const auto text = hawser::read_file(file, config::kFileBytesMax);
    if (!text) return put(name, text);
    auto clean = without_secrets(*text, file.string());
    if (clean) *clean = "# " + file.string() + ", without its comments and secrets\n" + *clean;
    put(name, clean);
  }

  void put_logs() {
    put_log("log/journal.txt", journal());
    const auto answer = ask(options_, "log");
    if (!answer) return put("log/agent_last_lines.txt", Result<std::string>(answer.error()));
    put_log("log/agent_last_lines.txt", json::text_or(*answer, "lines"));
    goes_to_ = json::text_or(*answer, "goes_to");
    if (const std::string path = json::text_or(*answer, "path"); !path.empty())
      put_log("log/agent.txt", end_of_file(path, kBundleLogBytesMax));
  }

  void put_log(const std::string& name, const Result<std::string>& text) {
    if (text && text->empty()) return put(name, Result<std::string>(Error{"not_found", "it has no line"}));
    put(name, text);
    has_log_ = has_log_ || text;
  }

  // Without an entry journalctl says something too, and succeeds; each entry begins with its year.
  static Result<std::string> journal() {
    auto text = program_output(kJournalWords, kBundleLogBytesMax, kBundleProgramLimit);
    if (!text || ("\n" + *text).find("\n20") != std::string::npos) return text;
    return Error{"not_found", "the journal has no entry of hawserd: " + text->substr(0, text->find('\n'))};
  }

  std::string no_log() const {
    const std::string where = goes_to_.empty() ? "" : " (here: " + goes_to_ + ")";
    return "the agent's log is not in this bundle: hawserd writes it to its standard error" + where +
           ", and no journal has it; look where the service script of this device sends that (a file behind 2>, "
           "logread, "
           "/var/log/syslog)";
  }

  void put_doctor() {
    std::string text;
    DoctorReport report([&](const std::string& lines) { text += lines; });
    examine(options_, kBundleDoctorLimit, report);
    put("doctor.txt", text + report.closing_line());
    put("doctor.json", json::to_text(report.to_json()) + "\n");
  }

  const CtlOptions& options_;
  ArchiveWriter& archive_;
  std::string missing_;
  std::string goes_to_;  // where the agent says that its log goes
  bool has_log_ = false;
  Status broken_ = ok();
};

}  // namespace

Result<std::string> fill_bundle(const CtlOptions& options, ArchiveWriter& archive) {
  auto filled = Filling(options, archive).run();
  if (!filled) return filled;
  if (auto finished = archive.finish(); !finished) return finished.error();
  return filled;
}

}  // namespace hawser::control
