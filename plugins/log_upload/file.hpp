#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <hawser/plugin.hpp>
#include <hawser/state_file.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hawser::log_upload {

// Which file on disk, whatever its name.
struct Inode {
  std::uint64_t device = 0, number = 0;
  auto operator<=>(const Inode&) const = default;
};
Inode inode_of(const struct stat& found);

// The beginning of a file, to know it again after a restart when its inode may have been given to another one.
struct Fingerprint {
  std::uint64_t bytes = 0;  // how many of the first bytes it covers
  std::uint64_t hash = 0;
};

// One followed file: its descriptor and its place. Owned by LogUpload; on the service thread.
struct File {
  std::string source;
  std::string path;  // its name when it was last seen under one of the patterns
  std::string id;    // file_id: another one after every truncation
  Inode inode;
  Fingerprint fingerprint;
  std::uint64_t acked = 0;  // bytes that the cloud has on stable storage
  std::uint64_t sent = 0;   // bytes handed to the host
  std::uint64_t lost = 0;   // bytes before `sent` that the cloud refused and that the next header has to name

  sdk::FileDescriptor descriptor;
  int watch = -1;                         // inotify
  bool rotated = false;                   // no pattern leads to it any more: read to its end, then forgotten
  bool finished = false;                  // rotated, quiet, and sent to its last byte
  bool abandoned = false;                 // the operator took its source out: nothing more of it is sent
  sdk::Context::TimerId quiet_timer = 0;  // of a rotated file
  std::shared_ptr<File> predecessor;      // had this name before: its lines come first

  bool done() const { return finished && acked >= sent; }
};

// Opens a regular file; nothing when it is none or cannot be opened.
sdk::FileDescriptor open_regular(const std::string& path, struct stat& found);

std::uint64_t size_of(const File& file);

// Reads up to `bytes` at `offset`; how many were there. Throws std::system_error.
std::size_t read_at(const File& file, std::uint64_t offset, char* into, std::size_t bytes);

Fingerprint take_fingerprint(int descriptor, std::uint64_t bytes);
bool has_fingerprint(int descriptor, const Fingerprint& fingerprint);

// Whether another beginning stands there than was sent: cut and grown past its old size before anyone looked. A
// beginning of zeroes is none: a writer that does not append leaves them when its file is cut, and goes on at its old
// place.
bool was_rewritten(const File& file);

// A file_id: device, inode, and a random part that makes each life of an inode another file.
std::string new_file_id(const Inode& inode);

}  // namespace hawser::log_upload
