#include "core/trust/installation.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/trust/bundle.hpp"
#include "core/trust/plugin_folder.hpp"
#include "core/trust/under_way.hpp"
#include "core/trust/verify.hpp"
#include "core/trust/versions.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

Error failure(const std::string& doing, const fs::path& path) {
  const int number = errno;
  const bool rights = number == EACCES || number == EPERM;
  return {rights ? "not_permitted" : "io_error",
          "cannot " + doing + " " + path.string() + ": " + std::strerror(number) + (rights ? "; run it as root" : "")};
}

// A folder of its own for what is under way, gone with this object.
class Workshop {
 public:
  static Result<Workshop> make(const fs::path& in) {
    std::string name = (in / (std::string(kUnderWay) + "XXXXXX")).string();
    if (!::mkdtemp(name.data())) return failure("make a folder in", in);
    return Workshop(name);
  }
  Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit Workshop(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Result<Manifest> manifest_of(const fs::path& folder) {
  const auto text = read_file(folder / kManifestFile, kManifestBytesMax);
  if (!text && text.error().code == "not_found")
    return Error{"manifest_missing",
                 (folder / kManifestFile).string() + " is not there: the plugin has no manifest; have it packed again"};
  if (!text) return Error{"manifest_refused", text.error().message};
  auto manifest = read_manifest(*text);
  if (!manifest)
    return Error{manifest.error().code,
                 manifest.error().message + " (" + (folder / kManifestFile).string() + "); have it packed again"};
  return manifest;
}

// Where nobody signed it, and development mode takes it all the same.
Result<Installed> take_unsigned(Manifest manifest, const fs::path& folder) {
  if (!fs::exists(folder / kLibraryFile))
    return Error{"plugin_missing", (folder / kLibraryFile).string() + " is not there; have it packed again"};
  return Installed{std::move(manifest), "", folder, true, ""};
}

// Unpacked and verified in the workshop, at <workshop>/<id>/<version>.
Result<Installed> prepare(const fs::path& bundle, const fs::path& workshop, const TrustStore& store, Time now,
                          bool development_mode) {
  const fs::path fresh = workshop / "content";
  if (::mkdir(fresh.c_str(), 0700) != 0) return failure("make the folder", fresh);
  if (auto status = unpack_bundle(bundle, fresh); !status) return status.error();
  auto manifest = manifest_of(fresh);
  if (!manifest) return manifest.error();
  const fs::path home = workshop / manifest->id;
  const fs::path folder = home / manifest->version.text();
  if (::mkdir(home.c_str(), 0755) != 0 || ::chmod(home.c_str(), 0755) != 0) return failure("make the folder", home);
  if (::chmod(fresh.c_str(), 0755) != 0 || ::rename(fresh.c_str(), folder.c_str()) != 0)
    return failure("rename", fresh);
  auto verified = verify_plugin(folder, store, now);
  if (verified) return Installed{std::move(verified->manifest), std::move(verified->key_id), folder, true, ""};
  if (!development_mode) return verified.error();
  return take_unsigned(std::move(*manifest), folder);
}

// The sentences name files by where they stood for a moment; who reads them knows the bundle.
Error in_terms_of(const fs::path& bundle, const fs::path& workshop, Error error) {
  const auto drop = [&error](const std::string& what, const std::string& with) {
    for (auto at = error.message.find(what); at != error.message.npos; at = error.message.find(what, at + with.size()))
      error.message.replace(at, what.size(), with);
  };
  const std::string shown = printable(bundle.string(), 200) + ": ";
  drop(workshop.string() + "/content/", shown);
  drop(workshop.string() + "/", shown);
  return error;
}

Result<Installed> prepare_in(const fs::path& bundle, const Workshop& workshop, const TrustStore& store, Time now,
                             bool development_mode) {
  auto made = prepare(bundle, workshop.path(), store, now, development_mode);
  if (made) return made;
  if (made.error().code == "io_error") return made.error();  // no fault of the bundle
  return in_terms_of(bundle, workshop.path(), made.error());
}

// What stands at the place already: the same, something else, or rubbish.
enum class Place { Free, Same, Other, Damaged };
Place look_at(const fs::path& target, const fs::path& fresh, const InstallRules& rules) {
  std::error_code unknown;
  if (!fs::exists(fs::symlink_status(target, unknown))) return Place::Free;
  const auto text_of = [](const fs::path& folder) { return read_file(folder / kManifestFile, kManifestBytesMax); };
  const auto old = text_of(target), now = text_of(fresh);
  const auto good = verify_plugin(target, rules.store, rules.now);
  if (!good) return Place::Damaged;
  return old && now && *old == *now ? Place::Same : Place::Other;
}

// No moment in which neither stands there, but on a file system that cannot exchange.
Status exchange(const fs::path& fresh, const fs::path& target) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return ok();
  if (errno != EINVAL && errno != ENOSYS) return failure("replace", target);
  const fs::path away = fresh.string() + ".old";
  if (::rename(target.c_str(), away.c_str()) != 0) return failure("remove", target);
  if (::rename(fresh.c_str(), target.c_str()) != 0) return failure("put in place", target);
  return ok();
}

Status put_in_place(const fs::path& fresh, const fs::path& target, Place place) {
  const fs::path home = target.parent_path();
  if (::mkdir(home.c_str(), 0755) != 0 && errno != EEXIST) return failure("make the folder", home);
  if (::chmod(home.c_str(), 0755) != 0) return failure("set the mode of", home);
  if (place != Place::Damaged) {
    if (::rename(fresh.c_str(), target.c_str()) != 0) return failure("put in place", target);
  } else if (auto status = exchange(fresh, target); !status) {
    return status;
  }
  if (auto status = sync_folder(home); !status) return status;
  return sync_folder(home.parent_path());
}

Status check_age(const Installed& fresh, const fs::path& home, bool allow_older, std::string& before) {
  const auto wanted = wanted_version(home);
  if (!wanted) return ok();
  before = wanted->text();
  if (!(fresh.manifest.version < *wanted) || allow_older) return ok();
  return Error{"older_version", fresh.manifest.id + " " + fresh.manifest.version.text() + " is older than the " +
                                    before +
                                    " that is installed, and older versions may have known faults; if you want to go "
                                    "back to it, add --allow-older"};
}

}  // namespace

Result<Installed> install_bundle(const fs::path& bundle, const InstallRules& rules) {
  const auto locked = lock_plugin_dir(rules.plugin_dir);
  if (!locked) return locked.error();
  const auto workshop = Workshop::make(rules.plugin_dir);
  if (!workshop) return workshop.error();
  auto made = prepare_in(bundle, *workshop, rules.store, rules.now, rules.development_mode);
  if (!made) return made.error();
  const fs::path home = rules.plugin_dir / made->manifest.id;
  const fs::path target = home / made->manifest.version.text();
  if (auto status = check_age(*made, home, rules.allow_older, made->before); !status) return status.error();
  const Place place = look_at(target, made->folder, rules);
  if (place == Place::Other)
    return Error{"version_taken", target.string() +
                                      " holds another build of this version, and a version never changes; "
                                      "have the vendor raise it, or remove that one first: hawserctl plugin "
                                      "remove " +
                                      made->manifest.id + " " + made->manifest.version.text()};
  if (place != Place::Same) {
    if (auto status = put_in_place(made->folder, target, place); !status) return status.error();
  }
  if (auto status = want_version(home, made->manifest.version); !status) return status.error();
  made->changed = place != Place::Same;
  made->folder = target;
  return made;
}

Result<Installed> verify_bundle(const fs::path& bundle, const TrustStore& store, Time now) {
  const auto workshop = Workshop::make(fs::temp_directory_path());
  if (!workshop) return workshop.error();
  return prepare_in(bundle, *workshop, store, now, false);
}

Status remove_plugin(const fs::path& plugin_dir, const std::string& id, const std::string& version) {
  if (!is_plugin_id(id))
    return Error{"bad_request", "\"" + printable(id, 80) + "\" is no plugin id, as in \"acme.shell\""};
  if (!version.empty() && !Version::parse(version))
    return Error{"bad_request", "\"" + printable(version, 80) + "\" is no version, as in 1.2.3"};
  const auto locked = lock_plugin_dir(plugin_dir);
  if (!locked) return locked.error();
  const fs::path home = plugin_dir / id;
  fs::path target = version.empty() ? home : home / version;
  struct stat about {};
  if (::lstat(target.c_str(), &about) != 0)
    return Error{"plugin_missing", target.string() + " is not there, so there is nothing to remove"};
  if (const auto left = installed_versions(home); !version.empty() && left && left->size() == 1) target = home;
  const auto workshop = Workshop::make(plugin_dir);
  if (!workshop) return workshop.error();
  const fs::path away = workshop->path() / "removed";
  if (::rename(target.c_str(), away.c_str()) != 0) return failure("remove", target);
  return sync_folder(target.parent_path());
}

}  // namespace hawser::trust
