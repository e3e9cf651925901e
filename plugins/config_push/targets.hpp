#pragma once

#include <sys/types.h>

#include <hawser/state_file.hpp>
#include <optional>
#include <string>

// The files that are replaced. No link is ever followed, in no component of a path: each step opens the folder anew
// from the root and works inside it by descriptor. What is no plain file with one name is refused.
//
// Functions throw Refusal "path_refused" for what must not be touched, std::system_error for what fails.
namespace hawser::config_push {

enum class Resolve { openat2_if_there, by_component };  // the second is for kernels without openat2, and tests

// The folder that holds `path`, which is a plain path.
sdk::FileDescriptor open_folder_of(const std::string& path, Resolve how = Resolve::openat2_if_there);
std::string name_of(const std::string& path);  // the last component

struct Attributes {
  mode_t mode = 0644;
  uid_t owner = 0;
  gid_t group = 0;
  bool operator==(const Attributes&) const = default;
};

struct Present {
  Attributes attributes;
  std::size_t size = 0;
};

// What stands there now; nothing when there is no such file.
std::optional<Present> look_at(const std::string& path);

// Its content, at most `max_bytes`.
std::string read_target(const std::string& path, std::size_t max_bytes);

// Writes a new file beside `path` under `temporary`, ready to be renamed: content, owner, group, mode, on disk.
void stage(const std::string& path, const std::string& temporary, const std::string& content_file,
           const Attributes& attributes);

void swap_in(const std::string& path, const std::string& temporary);  // rename, folder on disk
void remove_target(const std::string& path);                          // one that is not there is fine
void remove_temporary(const std::string& path, const std::string& temporary);

uid_t owner_of(const std::string& name);  // a name or a number; throws Refusal "owner_unknown"
gid_t group_of(const std::string& name);

}  // namespace hawser::config_push
