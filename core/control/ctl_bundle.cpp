#include "core/control/ctl_bundle.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <set>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/config/load.hpp"
#include "core/control/bundle_content.hpp"
#include "core/control/ctl_support.hpp"
#include "core/control/upload.hpp"

namespace hawser::control {
namespace {

Error broken(const std::string& doing) { return {"io_error", doing + ": " + std::strerror(errno)}; }

// "hawser-219801A2BC1234-20261125T010203Z"
std::string bundle_name(const std::string& serial) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", ::gmtime_r(&now, &parts));
  std::string safe = serial.substr(0, 40);
  std::replace_if(
      safe.begin(), safe.end(), [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '_');
  return "hawser-" + (safe.empty() ? "" : safe + "-") + text.data();
}

// The archive on the disk while it is sent; it has no name, so nothing of it stays.
Result<Descriptor> nameless_file() {
  std::error_code ignored;
  const auto folder = std::filesystem::temp_directory_path(ignored);
  Descriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) file.reset(::memfd_create("bundle", MFD_CLOEXEC));
  if (!file) return broken("cannot make room for the archive");
  return file;
}

const std::set<std::string> kOtherArchives{".gz", ".tgz", ".xz", ".bz2", ".zip"};

struct BundleOptions {
  std::string output, url;
};

std::string warning(const std::string& text) { return text.empty() ? "" : "Warning: " + text + ".\n"; }

CtlOutcome keep_bundle(const CtlOptions& options, const std::string& name, std::string path) {
  if (path.empty()) path = name + ".tar.zst";
  if (const std::string suffix = std::filesystem::path(path).extension(); kOtherArchives.count(suffix) > 0)
    return failed(options, {"bad_argument", "the archive is a tar of zstd, and \"" + suffix +
                                                "\" would mislead who opens it: name it ....tar.zst"});
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file && errno == EEXIST)
    return failed(options, {"io_error", path + " exists already; remove it, or name another file with --output"});
  if (!file) return failed(options, broken("cannot make " + path));
  ArchiveWriter archive(file.get(), name, kBundleBytesMax);
  const auto filled = fill_bundle(options, archive);
  if (!filled) {
    ::unlink(path.c_str());
    return failed(options, filled.error().with_context(path));
  }
  auto result = one_argument("file", path);
  result->set("bytes", archive.bytes());
  if (!filled->empty()) result->set("warning", *filled);
  return done(options, result,
              "The bundle is " + printable(path, kMessageBytesMax) + " (" + std::to_string(archive.bytes()) +
                  " bytes). Secrets of the configuration were removed; look through it before you send it away.\n" +
                  warning(*filled));
}

constexpr std::size_t kUrlBytesMax = 4096;

// "@FILE": the URL stands in the file, and not where everybody sees it.
Result<std::string> url_text(const std::string& typed) {
  if (!typed.starts_with('@')) return typed;
  auto text = read_file(typed.substr(1), kUrlBytesMax);
  if (text && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

CtlOutcome send_bundle(const CtlOptions& options, const std::string& name, const std::string& typed) {
  const auto text = url_text(typed);
  if (!text) return failed(options, text.error());
  const auto url = parse_https_url(*text);
  if (!url) return failed(options, url.error());
  const auto loaded = config::load(options.config_dir, device_sources(options));
  if (!loaded.settings)
    return failed(options, {"bad_config", "the configuration in " + options.config_dir.string() +
                                              " has faults, and it tells whom to trust; see hawserctl config check"});
  const auto file = nameless_file();
  if (!file) return failed(options, file.error());
  ArchiveWriter archive(file->get(), name, kBundleBytesMax);
  const auto filled = fill_bundle(options, archive);
  if (!filled) return failed(options, filled.error());
  const auto state = ask(options, "state");
  Waker waker;
  transport::Dialer dialer({loaded.settings->ca_file, earliest_time(options), loaded.settings->proxy}, waker);
  const Binding binding = binding_in_force(*loaded.settings, state ? *state : json::Object());
  if (auto sent = upload(dialer, *url, file->get(), archive.bytes(), binding); !sent)
    return failed(options, sent.error().with_context("the bundle was not uploaded"));
  auto result = json::make_object();
  result->set("bytes", archive.bytes());
  if (!filled->empty()) result->set("warning", *filled);
  return done(options, result,
              "The bundle was uploaded (" + std::to_string(archive.bytes()) + " bytes).\n" + warning(*filled));
}

CtlOutcome make_bundle(const CtlOptions& options, const BundleOptions& typed) {
  const auto state = ask(options, "state");
  const auto loaded = config::load(options.config_dir, device_sources(options));
  std::string serial = loaded.settings ? loaded.settings->serial : "";
  if (state) serial = json::text_or(*state, "serial", serial);
  const std::string name = bundle_name(serial);
  return typed.url.empty() ? keep_bundle(options, name, typed.output) : send_bundle(options, name, typed.url);
}

}  // namespace

void add_bundle_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  auto* bundle = app.add_subcommand(
      "bundle", "Gather state, history, configuration without secrets, logs and doctor's findings in one archive");
  const auto typed = std::make_shared<BundleOptions>();
  auto* output = bundle->add_option("--output", typed->output, "The archive; without it, hawser-...tar.zst here");
  bundle->add_option("--upload", typed->url, "Put it to this https URL, or to the one in @FILE, and keep no file")
      ->excludes(output);
  bundle->callback([&, typed] { run = [&, typed] { return make_bundle(options, *typed); }; });
}

}  // namespace hawser::control
