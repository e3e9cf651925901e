#include "core/trust/plugin_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/base/encoding.hpp"
#include "core/trust/manifest.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

Error refuse(const std::string& sentence) { return {"signature_refused", sentence}; }

std::string shown(const fs::path& path) { return printable(path.string(), 512); }

Error failure(const std::string& doing, const fs::path& path) {
  const int number = errno;
  return refuse("cannot " + doing + " " + shown(path) + ": " + std::strerror(number));
}

// Opens the files of one folder and of those below it.
class Walk {
 public:
  Status enter(Descriptor folder, const fs::path& path, const std::string& prefix, int depth) {
    struct stat about {};
    if (::fstat(folder.get(), &about) != 0) return failure("look at", path);
    if (auto status = check_owner(about, path); !status) return status;
    const std::unique_ptr<DIR, int (*)(DIR*)> list(::fdopendir(folder.get()), ::closedir);
    if (!list) return failure("list", path);
    folder.release();  // closedir() closes it
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(list.get());
      if (!entry) return errno == 0 ? ok() : Status(failure("list", path));
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (auto status = take(::dirfd(list.get()), name, path / name, prefix + name, depth); !status) return status;
    }
  }

  OpenFiles files;

 private:
  Status take(int folder, const std::string& name, const fs::path& path, const std::string& inside, int depth) {
    struct stat about {};
    if (::fstatat(folder, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return failure("look at", path);
    const bool is_folder = S_ISDIR(about.st_mode);
    if (S_ISLNK(about.st_mode)) return refuse(shown(path) + " is a symbolic link; put the file itself there");
    if (!is_folder && !S_ISREG(about.st_mode))
      return refuse(shown(path) + " is neither a file nor a folder; remove it from the plugin");
    Descriptor file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!file) return failure("open", path);
    if (is_folder && depth == kFoldersDeepMax)
      return refuse(shown(path) + " lies deeper than the " + std::to_string(kFoldersDeepMax) + " folders allowed");
    if (is_folder) return enter(std::move(file), path, inside + "/", depth + 1);
    return keep(std::move(file), path, inside);
  }

  Status keep(Descriptor file, const fs::path& path, const std::string& inside) {
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) return failure("look at", path);
    if (!S_ISREG(about.st_mode)) return refuse(shown(path) + " changed while it was looked at; try again");
    if (auto status = check_owner(about, path); !status) return status;
    bytes_ += static_cast<std::uint64_t>(about.st_size);
    if (bytes_ > kFolderBytesMax)
      return refuse("with " + shown(path) + " the plugin is larger than the 512 MiB allowed; make it smaller");
    if (files.size() == kFilesMax)
      return refuse("with " + shown(path) + " the plugin has more than the " + std::to_string(kFilesMax) +
                    " files allowed; put them into fewer");
    files[inside] = std::move(file);
    return ok();
  }

  std::uint64_t bytes_ = 0;
};

// Hands the file's bytes over in pieces, from the beginning.
template <typename Take>
Status read_through(const Descriptor& file, const std::string& name, Take take) {
  std::array<char, 65536> piece;
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(file.get(), piece.data(), piece.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", name);
    if (got == 0) return ok();
    if (!take(std::string_view(piece.data(), static_cast<std::size_t>(got)))) return ok();
    at += got;
  }
}

}  // namespace

Status check_owner(const struct stat& about, const fs::path& path, bool shared) {
  const uid_t own = ::geteuid();
  if (about.st_uid != 0 && about.st_uid != own)
    return refuse(shown(path) + " belongs to uid " + std::to_string(about.st_uid) + ", and must belong to root" +
                  (own == 0 ? "" : " or to uid " + std::to_string(own)) + "; chown it");
  if (shared && (about.st_mode & S_ISVTX) != 0) return ok();
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) == 0) return ok();
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(about.st_mode & 07777));
  return refuse(shown(path) + " has mode " + mode.data() +
                ", so that others than its owner may write to it; chmod go-w it");
}

Result<OpenFiles> open_folder(const fs::path& folder) {
  Descriptor top(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!top && errno == ENOTDIR)
    return refuse(shown(folder) +
                  " is no folder, or a link to one; name the folder <id>/<version> of the plugin itself");
  if (!top) return failure("open", folder);
  Walk walk;
  if (const auto status = walk.enter(std::move(top), folder, "", 0); !status) return status.error();
  return std::move(walk.files);
}

Result<std::string> read_whole(const Descriptor& file, const std::string& name, std::size_t bytes_max) {
  std::string content;
  bool fits = true;
  const auto status = read_through(file, name, [&](std::string_view piece) {
    fits = piece.size() <= bytes_max - content.size();
    if (fits) content += piece;
    return fits;
  });
  if (!status) return status.error();
  if (!fits)
    return refuse(name + " is larger than the " + std::to_string(bytes_max) + " bytes allowed; make it smaller");
  return content;
}

Result<std::string> sha256_of(const Descriptor& file, const std::string& name, const std::atomic<bool>* ending) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  bool good = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  const auto status = read_through(file, name, [&](std::string_view piece) {
    good = good && EVP_DigestUpdate(hash.get(), piece.data(), piece.size()) == 1;
    return good && !(ending && *ending);
  });
  if (!status) return status.error();
  if (ending && *ending) return Error{"canceled", name + " is not checked: the agent is stopping"};
  std::string digest(32, '\0');
  if (!good || EVP_DigestFinal_ex(hash.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr) != 1)
    return refuse(name + " cannot be checked: the system's OpenSSL has no SHA-256");
  return hex(digest);
}

}  // namespace hawser::trust
