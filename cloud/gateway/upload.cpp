#include "cloud/gateway/upload.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "cloud/gateway/tokens.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kMagicBytes = 4, kSuffixBytesMax = 4;
constexpr const char* kStagedSuffix = ".tar.new";

struct Kept {
  std::filesystem::file_time_type at;
  std::filesystem::path path;
  std::uint64_t bytes;
};

// So that the folder stays below its limit with one more of the largest size.
void make_room(const std::filesystem::path& folder) {
  std::vector<Kept> kept;
  std::uint64_t total = Upload::kBytesMax;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (!entry.is_regular_file(ignored)) continue;
    kept.push_back({entry.last_write_time(ignored), entry.path(), entry.file_size(ignored)});
    total += kept.back().bytes;
  }
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) { return a.at < b.at; });
  for (const Kept& oldest : kept) {
    if (total <= Upload::kFolderBytesMax) return;
    if (std::filesystem::remove(oldest.path, ignored)) total -= oldest.bytes;
  }
}

const char* suffix_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x1f\x8b")) return ".tar.gz";
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return ".tar.zst";
  return ".tar";
}

std::string name_of(const std::string& serial, Millis now) {
  const std::time_t seconds = now / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return serial + "-" + text + "-" + random_uuid().substr(0, 8);
}

// What name_of() gave it, whatever its suffix; not of a serial that only begins alike.
bool is_bundle_of(const std::string& serial, const std::string& file) {
  constexpr std::string_view kForm = "-99999999T999999Z-xxxxxxxx.tar";
  if (!file.starts_with(serial)) return false;
  const std::string rest = file.substr(serial.size());
  if (rest.size() < kForm.size() || rest.size() > kForm.size() + kSuffixBytesMax) return false;
  return std::equal(kForm.begin(), kForm.end(), rest.begin(), [](char form, char c) {
    return form == '9' ? c >= '0' && c <= '9' : form == 'x' ? c != '-' : c == form;
  });
}

}  // namespace

std::filesystem::path bundle_folder(const Settings& settings) {
  return std::filesystem::path(settings.database).parent_path() / "bundles";
}

void remove_bundles(const Settings& settings, const std::string& serial) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(bundle_folder(settings), ignored))
    if (is_bundle_of(serial, entry.path().filename().string())) std::filesystem::remove(entry.path(), ignored);
}

Result<Upload> Upload::begin(const Settings& settings, Store& store, const std::string& token, Millis now) {
  const std::string hash = token_hash(token);
  const auto serial = store.take_upload(hash, now);
  if (!serial) return Error{"not_found", "nothing is to be uploaded here, or no longer"};
  UploadRecord outcome;
  outcome.serial = *serial;
  Upload upload(store, hash, outcome);
  if (auto opened = upload.open(bundle_folder(settings), now); !opened) {
    spdlog::error("bundle of {}: {}", *serial, opened.error().message);
    upload.fail(opened.error().message);
    return Error{"unavailable", "this cloud has no place for a bundle now"};
  }
  return upload;
}

Status Upload::open(const std::filesystem::path& folder, Millis now) {
  if (auto made = make_folder(folder, 0700); !made) return made;
  make_room(folder);
  outcome_.path = (folder / name_of(outcome_.serial, now)).string();
  staged_ = outcome_.path + kStagedSuffix;
  file_.reset(::open(staged_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file_) return ok();
  return Error{"io_error", staged_ + ": " + std::strerror(errno)};
}

Status Upload::write(std::string_view bytes) {
  if (first_bytes_.size() < kMagicBytes) first_bytes_ += bytes.substr(0, kMagicBytes - first_bytes_.size());
  outcome_.bytes += static_cast<std::int64_t>(bytes.size());
  if (static_cast<std::uint64_t>(outcome_.bytes) > kBytesMax)
    return Error{"body_too_large", "it is larger than 64 MiB"};
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error{"unavailable", staged_ + ": " + std::strerror(errno)};
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ok();
}

Status Upload::finish() {
  const std::string kept = outcome_.path + suffix_of(first_bytes_);
  if (::rename(staged_.c_str(), kept.c_str()) != 0) return Error{"unavailable", kept + ": " + std::strerror(errno)};
  file_.reset();
  outcome_.path = kept;
  outcome_.state = "done";
  if (!store_->finish_upload(hash_, outcome_)) {
    ::unlink(kept.c_str());
    return Error{"unavailable", "the device was removed meanwhile"};
  }
  spdlog::info("{}: bundle of {} bytes in {}", serial(), outcome_.bytes, kept);
  return ok();
}

void Upload::fail(const std::string& reason) {
  file_.reset();
  if (!staged_.empty()) ::unlink(staged_.c_str());
  outcome_.state = "failed";
  outcome_.path.clear();
  outcome_.reason = reason;
  store_->finish_upload(hash_, outcome_);
}

Upload::~Upload() {
  if (!file_) return;
  try {
    fail("the connection ended before all of it had come");
  } catch (const std::exception& error) {
    spdlog::error("bundle of {}: {}", serial(), error.what());
  }
}

}  // namespace hawser::cloud
