#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/faults.hpp"

// TOML files as plain trees that know where each value stands. The TOML library itself is known to toml_reader.cpp
// only. Any thread; read_toml blocks on the disk.
namespace hawser::config {

inline constexpr std::size_t kFileBytesMax = 1024 * 1024;
inline constexpr int kNestingMax = 16;  // of inline values, and of names in one dotted key

struct Member;

struct Node {
  enum class Kind { Text, Integer, Float, Boolean, DateTime, Array, Table };

  Kind kind = Kind::Table;
  Place place;
  std::string text;
  std::int64_t integer = 0;
  double number = 0;
  bool truth = false;
  std::vector<Node> items;
  std::vector<Member> members;  // in the order in which they stand in the file

  const Node* find(std::string_view name) const;  // a table's member
};

struct Member {
  std::string name;
  Place place;  // of the name
  Node node;
};

// The file's tree; nothing when it could not be read or parsed, and then at least one fault was added, which tells what
// it is (missing, a folder, unreadable for which user, too large, not UTF-8, which syntax where) and what to do.
std::optional<Node> read_toml(const std::filesystem::path& file, Faults& faults);
std::optional<Node> parse_toml(std::string_view text, const std::string& file, Faults& faults);

// *.toml of a folder in the order of their names, hidden ones left out. A folder that is not there has none; one that
// cannot be listed is a fault.
std::vector<std::filesystem::path> toml_files(const std::filesystem::path& folder, Faults& faults);

// The tree as TOML: keys alphabetically, without comments.
std::string to_toml(const Node& table);

// Tables merge key by key; anything else of `over` replaces what stands in `into`.
void merge(Node& into, Node over);

}  // namespace hawser::config
