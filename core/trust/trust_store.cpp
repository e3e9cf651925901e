#include "core/trust/trust_store.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/config/rules.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;
using config::Faults;

constexpr std::string_view kBelow = ".*";
constexpr std::string_view kDigestMark = "sha256:";
constexpr const char* kDateWanted = "the last day of the key, written as \"2027-12-31\"";

void blame(Faults& faults, const fs::path& file, const std::string& text) {
  faults.add({std::make_shared<const std::string>(file.string()), 0, 0}, "", text);
}

Status check_place(const fs::path& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0)
    return Error{errno == ENOENT ? "not_found" : "io_error", std::string("cannot look at it: ") + std::strerror(errno)};
  if (S_ISLNK(about.st_mode)) return Error{"io_error", "is a symbolic link; put the file itself there"};
  return check_owner(about, path);
}

bool is_word(std::string_view text) { return is_plugin_id("a." + std::string(text)); }

std::string check_id(const std::string& text) {
  if (text.ends_with(kBelow) && is_word(text.substr(0, text.size() - kBelow.size()))) return "";
  return is_plugin_id(text) ? "" : "a plugin id as in \"com.acme.heartbeat\", or \"com.acme.*\" for all below com.acme";
}

std::string check_key(const std::string& text) {
  return canonical_key_id(text).empty() ? "a key's id as minisign prints it, as in \"E7620F1842B4E81F\"" : "";
}

std::string check_digest(const std::string& text) {
  return text.starts_with(kDigestMark) && is_sha256(text.substr(kDigestMark.size()))
             ? ""
             : "\"sha256:\" and 64 of 0-9 and a-f, as sha256sum prints them";
}

// The end of that day.
std::optional<Time> end_of_day(const std::string& text) {
  const auto number = [&text](std::size_t at, std::size_t digits) {
    int value = -1;
    const char* const end = text.data() + at + digits;
    return std::from_chars(text.data() + at, end, value).ptr == end ? value : -1;
  };
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (year < 1970 || month < 0 || day < 0 || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::days(1);
}

std::string check_date(const std::string& text) { return end_of_day(text) ? "" : kDateWanted; }

std::vector<fs::path> key_files(const fs::path& folder, Faults& faults) {
  std::vector<fs::path> files;
  std::error_code problem;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    const auto& file = at->path();
    if (file.extension() == ".pub" && !file.filename().string().starts_with('.')) files.push_back(file);
  }
  if (problem) blame(faults, folder, "cannot list it: " + problem.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool TrustedKey::may_sign(std::string_view plugin_id) const {
  return std::any_of(ids.begin(), ids.end(), [plugin_id](const std::string& id) {
    if (!id.ends_with(kBelow)) return plugin_id == id;
    return plugin_id.starts_with(std::string_view(id).substr(0, id.size() - 1));  // with its dot
  });
}

TrustStore TrustStore::load(const fs::path& folder, Faults& faults) {
  TrustStore store;
  store.folder_ = folder;
  if (const auto status = check_place(folder); !status) {
    if (status.error().code == "not_found") return store;  // a device on which nobody is trusted
    blame(faults, folder, status.error().message);
    store.broken_ = Error{"signature_refused", "no key is trusted: " + status.error().message};
    return store;
  }
  store.read_revoked(faults);
  for (const auto& file : key_files(folder, faults)) store.read_key(file, faults);
  return store;
}

const TrustedKey* TrustStore::find(const std::string& key_id) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [&](const TrustedKey& one) { return one.key.id == key_id; });
  return found == keys_.end() ? nullptr : &*found;
}

void TrustStore::read_key(const fs::path& file, Faults& faults) {
  if (keys_.size() == kKeysMax) return blame(faults, file, "is one key too many, at most 256 are allowed");
  if (const auto status = check_place(file); !status) return blame(faults, file, status.error().message);
  const auto text = read_file(file, kPublicKeyFileBytesMax);
  if (!text) return blame(faults, file, text.error().message);
  auto key = read_public_key(*text);
  if (!key) return blame(faults, file, key.error().message);
  if (const auto* other = find(key->id))
    return blame(faults, file, "has the id " + key->id + " of " + other->file.string() + " too; remove one of them");
  TrustedKey trusted{std::move(*key), file, {}, {}, {}};
  const fs::path companion = trusted.companion();
  if (const auto status = check_place(companion); !status) {
    const bool missing = status.error().code == "not_found";
    return blame(faults, companion,
                 missing ? "is missing; write ids = [\"com.acme.*\"] there, the plugins that " +
                               file.filename().string() + " may sign"
                         : status.error().message);
  }
  const std::size_t before = faults.count();
  const auto tree = config::read_toml(companion, faults);
  if (!tree) return;
  walk(*tree, "",
       {{"ids", config::texts(trusted.ids, kIdsMax, check_id)}, {"until", config::text(trusted.last_day, check_date)}},
       faults);
  if (faults.count() == before && trusted.ids.empty())
    blame(faults, companion, "ids: names no plugin; write ids = [\"com.acme.*\"], the plugins that the key may sign");
  if (faults.count() != before) return;
  if (!trusted.last_day.empty()) trusted.until = end_of_day(trusted.last_day);
  keys_.push_back(std::move(trusted));
}

void TrustStore::read_revoked(Faults& faults) {
  const fs::path file = folder_ / kRevokedFile;
  const std::size_t before = faults.count();
  std::vector<std::string> keys, digests;
  const auto place = check_place(file);
  if (!place && place.error().code == "not_found") return;
  if (!place) blame(faults, file, place.error().message);
  if (const auto tree = place ? config::read_toml(file, faults) : std::nullopt)
    walk(*tree, "",
         {{"keys", config::texts(keys, kRevokedMax, check_key)},
          {"digests", config::texts(digests, kRevokedMax, check_digest)}},
         faults);
  if (faults.count() != before) {
    broken_ =
        Error{"signature_refused", file.string() + " cannot be read, so no key is trusted; mend what is named of it"};
    return;
  }
  for (const auto& key : keys) revoked_keys_.insert(canonical_key_id(key));
  for (const auto& digest : digests) revoked_digests_.insert(digest.substr(kDigestMark.size()));
}

}  // namespace hawser::trust
