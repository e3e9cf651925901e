#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::config {

inline constexpr std::size_t kPermissionsMax = 64;
inline constexpr std::size_t kPermissionBytesMax = 512;

// One permission as a manifest asks for it and an operator names it: "file.read:/var/log/**", "exec". Checked.
//   file.read:GLOB file.write:GLOB     an absolute glob, or config:POINTER, the globs that the operator wrote at that JSON
//                                      pointer of the plugin's own [config]; * stands for every member of an array
//   action:NAME action:*               the operator's command lines
//   listen:PORT state:BYTES threads:N exec
struct Permission {
  enum class Kind { FileRead, FileWrite, Action, Listen, State, Threads, Exec };
  Kind kind = Kind::Exec;
  std::string value;  // what stands behind the colon
  std::string text() const;
  bool is_file() const { return kind == Kind::FileRead || kind == Kind::FileWrite; }
  bool operator==(const Permission&) const = default;
};

inline constexpr std::string_view kPermissionForms =
    "file.read:/PATH, file.write:/PATH, file.read:config:/POINTER, file.write:config:/POINTER, action:NAME, listen:PORT, "
    "state:BYTES, threads:N and exec";

// The Error is one clause that says what is wrong and what is known. Any thread.
Result<Permission> read_permission(std::string_view text);

// An absolute path without an empty part, "." or ".."; wildcards may stand in it.
bool is_glob(std::string_view text);
inline constexpr std::string_view kConfigPointer = "config:";  // in front of a pointer in a permission's value

}  // namespace hawser::config
