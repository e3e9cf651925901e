#include "file.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "limits.hpp"

namespace hawser::log_upload {

Inode inode_of(const struct stat& found) {
  return {static_cast<std::uint64_t>(found.st_dev), static_cast<std::uint64_t>(found.st_ino)};
}

sdk::FileDescriptor open_regular(const std::string& path, struct stat& found) {
  // Non-blocking: a pipe of that name must not hold the service thread.
  sdk::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return {};
  return file;
}

std::uint64_t size_of(const File& file) {
  struct stat found {};
  if (::fstat(file.descriptor.get(), &found) != 0) sdk::throw_errno("asking the size of " + file.path);
  return static_cast<std::uint64_t>(found.st_size);
}

std::size_t read_at(const File& file, std::uint64_t offset, char* into, std::size_t bytes) {
  std::size_t got = 0;
  while (got < bytes) {
    const ssize_t count = ::pread(file.descriptor.get(), into + got, bytes - got, static_cast<off_t>(offset + got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) sdk::throw_errno("reading " + file.path);
    if (count == 0) break;
    got += static_cast<std::size_t>(count);
  }
  return got;
}

Fingerprint take_fingerprint(int descriptor, std::uint64_t bytes) {
  char beginning[kFingerprintBytesMax];
  const ssize_t got = ::pread(descriptor, beginning, std::min<std::uint64_t>(bytes, sizeof beginning), 0);
  Fingerprint taken{0, 14695981039346656037u};  // FNV-1a
  for (ssize_t i = 0; i < got; ++i) {
    taken.hash = (taken.hash ^ static_cast<unsigned char>(beginning[i])) * 1099511628211u;
    ++taken.bytes;
  }
  return taken;
}

bool has_fingerprint(int descriptor, const Fingerprint& fingerprint) {
  const Fingerprint now = take_fingerprint(descriptor, fingerprint.bytes);
  return now.bytes == fingerprint.bytes && (now.bytes == 0 || now.hash == fingerprint.hash);
}

bool was_rewritten(const File& file) {
  if (has_fingerprint(file.descriptor.get(), file.fingerprint)) return false;
  char first = 0;
  return read_at(file, 0, &first, 1) == 1 && first != '\0';
}

std::string new_file_id(const Inode& inode) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) sdk::throw_errno("asking for random bytes");
  char text[64];
  std::snprintf(text, sizeof text, "%llx:%llx:%016llx", static_cast<unsigned long long>(inode.device),
                static_cast<unsigned long long>(inode.number), static_cast<unsigned long long>(random));
  return text;
}

}  // namespace hawser::log_upload
