#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hawser::config_push {

// What stands in every part of a revision.
struct Order {
  std::string revision;
  bool check_only = false;
  int confirm_timeout_s = 120;
  std::vector<std::string> reload;
  std::size_t parts = 1;
  bool operator==(const Order&) const = default;
};

// A file, or one piece of it.
struct Piece {
  std::string path;
  bool remove = false;
  std::optional<unsigned> mode;
  std::optional<std::string> owner, group;
  std::string sha256;   // of the whole file
  std::string content;  // decoded
  std::uint64_t offset = 0;
};

struct Part {
  Order order;
  std::size_t part = 1;
  std::vector<Piece> pieces;
};

struct Fault {
  std::string revision;  // empty: not even that could be read, so nobody can be told but by refusing the message
  std::string detail;
};

// Reads one `apply` message (sdk/protocol.md §6). `with_content` false: pieces stay empty, for a first look.
std::variant<Part, Fault> read_part(std::string_view json, bool with_content);

}  // namespace hawser::config_push
