#include "core/control/bundle_content.hpp"

#include <Poco/Environment.h>
#include <openssl/crypto.h>
#include <sys/utsname.h>

#include <algorithm>
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
  std::size_t bytes_max = kBundleOutputBytesMax;
};

const std::vector<Program>& programs() {
  static const std::vector<Program> kPrograms = {
      {"log/journal.txt",
       {"journalctl", "--unit=hawserd", "--no-pager", "--output=short-iso-precise", "--lines=50000"},
       kBundleJournalBytesMax},
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

// One run over all that a bundle holds.
class Filling {
 public:
  Filling(const CtlOptions& options, ArchiveWriter& archive) : options_(options), archive_(archive) {}

  Status run() {
    put("versions.txt", versions());
    ask_agent();
    put_configuration();
    for (const auto& [name, path] : kSystemFiles) put(name, hawser::read_file(path, kBundleOutputBytesMax));
    for (const Program& program : programs())
      put(program.file, program_output(program.words, program.bytes_max, kBundleProgramLimit));
    put_doctor();
    if (!missing_.empty()) put("missing.txt", missing_);
    return broken_;
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
  Status broken_ = ok();
};

}  // namespace

Status fill_bundle(const CtlOptions& options, ArchiveWriter& archive) {
  if (auto filled = Filling(options, archive).run(); !filled) return filled;
  return archive.finish();
}

}  // namespace hawser::control
