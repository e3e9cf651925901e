#include "core/config/toml_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <map>
#include <sstream>
#include <system_error>
#include <variant>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

// The library's own limit, made ours: its recursion, and ours over its tree, stay shallow.
#define TOML_MAX_NESTED_VALUES 16
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 1
#include <toml++/toml.h>

namespace hawser::config {
namespace {

static_assert(TOML_MAX_NESTED_VALUES == kNestingMax);

using File = std::shared_ptr<const std::string>;

Place place_of(const File& file, const toml::source_region& source) {
  return {file, static_cast<unsigned>(source.begin.line), static_cast<unsigned>(source.begin.column)};
}

Node convert(const toml::node& from, const File& file);

void convert_table(const toml::table& from, const File& file, Node& node) {
  node.kind = Node::Kind::Table;
  for (const auto& [key, value] : from)
    node.members.push_back({std::string(key.str()), place_of(file, key.source()), convert(value, file)});
  std::stable_sort(node.members.begin(), node.members.end(), [](const Member& a, const Member& b) {
    return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
  });
}

Node convert(const toml::node& from, const File& file) {
  Node node;
  node.place = place_of(file, from.source());
  switch (from.type()) {
    case toml::node_type::string:
      node.kind = Node::Kind::Text;
      node.text = from.as_string()->get();
      break;
    case toml::node_type::integer:
      node.kind = Node::Kind::Integer;
      node.integer = from.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      node.kind = Node::Kind::Float;
      node.number = from.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      node.kind = Node::Kind::Boolean;
      node.truth = from.as_boolean()->get();
      break;
    case toml::node_type::array:
      node.kind = Node::Kind::Array;
      for (const auto& item : *from.as_array()) node.items.push_back(convert(item, file));
      break;
    case toml::node_type::table:
      convert_table(*from.as_table(), file, node);
      break;
    default:
      node.kind = Node::Kind::DateTime;
      break;
  }
  return node;
}

using Value = std::variant<std::string, std::int64_t, double, bool, toml::array, toml::table>;

toml::table to_table(const Node& from);
toml::array to_array(const Node& from);

// No key of ours is a date or time: a file with one does not get this far.
Value to_value(const Node& from) {
  switch (from.kind) {
    case Node::Kind::Integer:
      return from.integer;
    case Node::Kind::Float:
      return from.number;
    case Node::Kind::Boolean:
      return from.truth;
    case Node::Kind::Array:
      return to_array(from);
    case Node::Kind::Table:
      return to_table(from);
    default:
      return from.text;
  }
}

toml::array to_array(const Node& from) {
  toml::array list;
  for (const Node& item : from.items)
    std::visit([&](auto&& value) { list.push_back(std::forward<decltype(value)>(value)); }, to_value(item));
  return list;
}

toml::table to_table(const Node& from) {
  toml::table table;
  for (const Member& member : from.members)
    std::visit([&](auto&& value) { table.insert_or_assign(member.name, std::forward<decltype(value)>(value)); },
               to_value(member.node));
  return table;
}

// Line and column (both from 1, columns in characters) of a byte.
Place place_at(const File& file, std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return {file, static_cast<unsigned>(1 + std::count(before.begin(), before.end(), '\n')),
          static_cast<unsigned>(
              1 + std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_start), before.end(), is_start))};
}

// The end of the string or comment that begins at `at`, as TOML 1.0 has them; `at` itself where none begins.
std::size_t skip_opaque(std::string_view text, std::size_t at) {
  if (text[at] == '#') return std::min(text.find('\n', at), text.size());
  const char quote = text[at];
  if (quote != '"' && quote != '\'') return at;
  const std::string triple(3, quote);
  const bool multiline = text.substr(at, 3) == triple;
  std::size_t i = at + (multiline ? 3 : 1);
  for (; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (multiline ? text.substr(i, 3) == triple : text[i] == quote) {
      i += multiline ? 3 : 1;
      while (multiline && i < text.size() && text[i] == quote) ++i;  // ""a"""" ends with a quote of its own
      return i;
    } else if (!multiline && text[i] == '\n') {
      return i;  // a syntax error, which the parser will name
    }
  }
  return text.size();
}

// Where a dotted key has more than kNestingMax names: the library would nest one table for each, without a bound, and
// run out of stack when it lets go of them.
std::optional<std::size_t> overlong_key(std::string_view text) {
  int dots = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t end = skip_opaque(text, i); end != i) {
      i = end;
      continue;
    }
    const char c = text[i];
    if (c == '.') {
      if (++dots >= kNestingMax) return i;
    } else if (c == '\n' || c == '=' || c == ',' || c == '{' || c == '[') {
      dots = 0;
    }
    ++i;
  }
  return std::nullopt;
}

// What the parser would misreport or choke on.
std::optional<std::pair<std::size_t, std::string>> find_hostile(std::string_view text) {
  if (!is_utf8(text)) {
    std::size_t good = 0;
    for (std::size_t length = 1; good < text.size() && length <= 4;) {
      const bool whole = is_utf8(text.substr(good, length));
      good += whole ? length : 0;
      length = whole ? 1 : length + 1;
    }
    return std::pair(good, std::string("is not UTF-8 here; save the file as UTF-8"));
  }
  if (const auto nul = text.find('\0'); nul != text.npos)
    return std::pair(nul, std::string("holds a NUL byte here; this is no text file"));
  if (const auto deep = overlong_key(text))
    return std::pair(*deep, "is nested deeper than " + std::to_string(kNestingMax) + " tables; make it flatter");
  return std::nullopt;
}

std::string syntax_words(std::string_view description) {
  std::string words(description);
  if (const auto name = words.find(" (TOML_MAX_NESTED_VALUES)"); name != words.npos) words.erase(name, 25);
  if (!words.empty()) words[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(words[0])));
  return "is not TOML: " + words;
}

std::string unreadable(const std::filesystem::path& file, int number) {
  const std::string reason = std::error_code(number, std::generic_category()).message();
  if (number == ENOENT) return "does not exist; create it, or name the right folder with --config";
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0)
    return "cannot be reached by uid " + std::to_string(::geteuid()) + ": " + reason +
           "; let that user pass the folders above it";
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(about.st_mode & 07777));
  return "cannot be read by uid " + std::to_string(::geteuid()) + ": " + reason + " (mode " + mode + ", owner uid " +
         std::to_string(about.st_uid) + "); let that user read it";
}

}  // namespace

std::string to_toml(const Node& table) {
  std::ostringstream out;
  out << toml::toml_formatter{to_table(table)} << "\n";
  return out.str();
}

const Node* Node::find(std::string_view name) const {
  const auto member = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.name == name; });
  return member == members.end() ? nullptr : &member->node;
}

std::optional<Node> parse_toml(std::string_view text, const std::string& name, Faults& faults) {
  const auto file = std::make_shared<const std::string>(name);
  if (const auto hostile = find_hostile(text)) {
    faults.add(place_at(file, text, hostile->first), "", hostile->second);
    return std::nullopt;
  }
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    faults.add(place_of(file, parsed.error().source()), "", syntax_words(parsed.error().description()));
    return std::nullopt;
  }
  Node node;
  node.place = {file, 1, 1};
  convert_table(parsed.table(), file, node);
  return node;
}

std::optional<Node> read_toml(const std::filesystem::path& path, Faults& faults) {
  const Place whole{std::make_shared<const std::string>(path.string()), 0, 0};
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0 || ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) {
    faults.add(whole, "", unreadable(path, errno));
    return std::nullopt;
  }
  if (S_ISDIR(about.st_mode)) {
    faults.add(whole, "", "is a folder, must be a file");
    return std::nullopt;
  }
  const auto text = read_file(path, kFileBytesMax);
  if (!text) {
    const bool too_big = text.error().code == "too_big";
    faults.add(whole, "",
               too_big ? "is larger than 1 MiB, which is the limit; this is no configuration file"
                       : "cannot be read: " + text.error().message);
    return std::nullopt;
  }
  return parse_toml(*text, path.string(), faults);
}

void merge(Node& into, Node over) {
  if (into.kind != Node::Kind::Table || over.kind != Node::Kind::Table) {
    into = std::move(over);
    return;
  }
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < into.members.size(); ++i) index.emplace(into.members[i].name, i);
  for (Member& member : over.members) {
    const auto old = index.find(member.name);
    if (old == index.end()) {
      into.members.push_back(std::move(member));
    } else {
      into.members[old->second].place = member.place;
      merge(into.members[old->second].node, std::move(member.node));
    }
  }
}

std::vector<std::filesystem::path> toml_files(const std::filesystem::path& folder, Faults& faults) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  if (!std::filesystem::exists(folder, error) && !error) return files;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto& path = entry->path();
    if (path.extension() == ".toml" && path.filename().string()[0] != '.') files.push_back(path);
  }
  if (error)
    faults.add({std::make_shared<const std::string>(folder.string()), 0, 0}, "",
               "cannot be listed: " + error.message() + "; it must be a folder that the agent may read");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace hawser::config
