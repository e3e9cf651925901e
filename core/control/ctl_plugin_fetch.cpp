// `plugin fetch`: what the cloud's command plugin_install comes to, in a process of its own.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/control/ctl_plugins.hpp"
#include "core/control/download.hpp"
#include "core/trust/installation.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::control {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRequestBytesMax = 16 * 1024;
constexpr std::size_t kPluginBundleBytesMax = 64 * 1024 * 1024;
constexpr const char* kDownloads = "downloads";  // in the state folder; empty between two calls

struct FetchRequest {
  std::string plugin, version, url, sha256;
};

Result<FetchRequest> read_request(const std::string& file) {
  const auto text = read_file(file, kRequestBytesMax);
  if (!text) return text.error();
  const auto object = json::parse_object(*text);
  if (!object) return object.error().with_context(file);
  FetchRequest request;
  for (const auto& [name, into] : {std::pair("plugin", &request.plugin), std::pair("version", &request.version),
                                   std::pair("url", &request.url), std::pair("sha256", &request.sha256)}) {
    auto member = json::text_member(*object, name, 1, 2048);
    if (!member) return member.error();
    *into = std::move(*member);
  }
  return request;
}

// A file that is gone with this object, in a folder that holds nothing else.
class StagedBundle {
 public:
  static Result<StagedBundle> make(const fs::path& state_dir) {
    const fs::path folder = state_dir / kDownloads;
    std::error_code ignored;
    fs::remove_all(folder, ignored);  // of a download that was cut off
    if (auto made = make_folder(folder); !made) return made.error();
    StagedBundle staged(folder / "plugin.hawser");
    staged.file_ = Descriptor(::open(staged.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!staged.file_) return Error{"io_error", "cannot make " + staged.path_.string() + ": " + std::strerror(errno)};
    return staged;
  }
  StagedBundle(StagedBundle&& other) noexcept : path_(std::exchange(other.path_, {})), file_(std::move(other.file_)) {}
  StagedBundle& operator=(StagedBundle&&) = delete;
  ~StagedBundle() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_.parent_path(), ignored);
  }
  const fs::path& path() const { return path_; }
  const Descriptor& file() const { return file_; }

 private:
  explicit StagedBundle(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
  Descriptor file_;
};

// Said before anything is downloaded.
Status check_writable(const fs::path& plugin_dir) {
  if (plugin_dir.empty() || ::access(plugin_dir.c_str(), W_OK) == 0 || errno == ENOENT) return ok();
  const std::string why = std::strerror(errno);
  return Error{"not_permitted",
               "the agent cannot write to " + plugin_dir.string() + " (" + why +
                   "); on the device, let its unit do so: systemctl edit hawserd, then [Service] and ReadWritePaths=" +
                   plugin_dir.string() + ", and restart it; or install there: hawserctl plugin install FILE"};
}

Status fetch_bundle(const CtlOptions& options, const FetchRequest& request, const StagedBundle& staged) {
  const auto url = parse_https_url(request.url);
  if (!url) return url.error();
  const auto loaded = config::load(options.config_dir, device_sources(options));
  if (!loaded.settings)
    return Error{"bad_config", "the configuration in " + options.config_dir.string() +
                                   " has faults, and it tells whom to trust; see hawserctl config check"};
  const auto state = ask(options, "state");
  Waker waker;
  transport::Dialer dialer({loaded.settings->ca_file, earliest_time(options), loaded.settings->proxy}, waker);
  const Binding binding = binding_in_force(*loaded.settings, state ? *state : json::Object());
  if (auto got = download(dialer, *url, staged.file().get(), kPluginBundleBytesMax, binding); !got)
    return got.error().with_context("the bundle was not downloaded");
  const auto digest = trust::sha256_of(staged.file(), "the download");
  if (!digest) return digest.error();
  if (*digest == request.sha256) return ok();
  return Error{"digest_mismatch", "the bundle that came has the SHA-256 " + *digest + ", and " +
                                      printable(request.sha256) + " was asked for; upload it at the cloud once more"};
}

// Signed by a key of trust.d, and what was asked for: the cloud cannot widen what the device trusts.
Status check_bundle(const CtlOptions& options, const FetchRequest& request, const StagedBundle& staged) {
  config::Faults faults;
  const auto store = trust::TrustStore::load(options.config_dir / "trust.d", faults);
  const auto now = std::max<trust::Time>(std::chrono::system_clock::now(), earliest_time(options));
  const auto bundle = trust::verify_bundle(staged.path(), store, now);
  if (!bundle) return bundle.error();
  const std::string version = bundle->manifest.version.text();
  if (bundle->manifest.id == request.plugin && version == request.version) return ok();
  return Error{"bad_request", "the bundle holds " + bundle->manifest.id + " " + version + ", and " +
                                  printable(request.plugin) + " " + printable(request.version) + " was asked for"};
}

}  // namespace

CtlOutcome fetch_plugin(const CtlOptions& options, const std::string& file) {
  const auto request = read_request(file);
  if (!request) return failed(options, request.error());
  if (auto writable = check_writable(options.plugin_dir); !writable) return failed(options, writable.error());
  const auto staged = StagedBundle::make(options.state_dir);
  if (!staged) return failed(options, staged.error());
  if (auto fetched = fetch_bundle(options, *request, *staged); !fetched) return failed(options, fetched.error());
  if (auto good = check_bundle(options, *request, *staged); !good) return failed(options, good.error());
  return install_plugin(options, staged->path().string(), false);
}

}  // namespace hawser::control
