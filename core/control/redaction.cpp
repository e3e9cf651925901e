#include "core/control/redaction.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/json.hpp"
#include "core/config/faults.hpp"
#include "core/config/toml_reader.hpp"

namespace hawser::control {
namespace {

using config::Node;
using Kind = config::Node::Kind;

constexpr const char* kRemoved = "(removed)";
constexpr std::array<std::string_view, 6> kSecretWords = {"password", "passwd", "secret", "token", "key", "credential"};

bool sounds_secret(std::string name, const std::string& table) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (name == "user" && table.find("proxy") != std::string::npos) return true;
  return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

// JSON's escapes are TOML's as well.
std::string quoted(const std::string& text) {
  auto one = json::make_array();
  one->add(text);
  const std::string list = json::to_text(one);
  return list.substr(1, list.size() - 2);
}

std::string key_text(const std::string& name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  return bare ? name : quoted(name);
}

std::string value_text(const Node& node, const std::string& table) {
  switch (node.kind) {
    case Kind::Text:
      return quoted(without_url_secrets(node.text));
    case Kind::Integer:
      return std::to_string(node.integer);
    case Kind::Float:
      return std::to_string(node.number);
    case Kind::Boolean:
      return node.truth ? "true" : "false";
    case Kind::DateTime:
      return node.text.empty() ? quoted("(a date)") : node.text;
    case Kind::Array: {
      std::string text;
      for (const Node& item : node.items) text += (text.empty() ? "" : ", ") + value_text(item, table);
      return "[" + text + "]";
    }
    case Kind::Table: {
      std::string text;
      for (const auto& member : node.members)
        text += (text.empty() ? "" : ", ") + key_text(member.name) + " = " +
                (sounds_secret(member.name, table) ? quoted(kRemoved) : value_text(member.node, member.name));
      return "{" + text + "}";
    }
  }
  return "";
}

// A table's own values first, then the tables within it under their headings.
void put_table(const Node& table, const std::string& path, std::string& out) {
  for (const auto& member : table.members) {
    if (member.node.kind == Kind::Table && !sounds_secret(member.name, path)) continue;
    const bool secret = sounds_secret(member.name, path);
    const std::string value = secret ? quoted(kRemoved) : value_text(member.node, path + "." + member.name);
    out += key_text(member.name) + " = " + value + "\n";
  }
  for (const auto& member : table.members) {
    if (member.node.kind != Kind::Table || sounds_secret(member.name, path)) continue;
    const std::string inner = (path.empty() ? "" : path + ".") + key_text(member.name);
    out += "\n[" + inner + "]\n";
    put_table(member.node, inner, out);
  }
}

}  // namespace

std::string without_url_secrets(std::string text) {
  constexpr std::string_view kMark = "://";
  for (std::size_t at = text.find(kMark); at != std::string::npos; at = text.find(kMark, at + kMark.size())) {
    const std::size_t host = at + kMark.size();
    const std::size_t end = std::min(text.find_first_of("/?# \t\r\n\"'", host), text.size());
    const std::size_t sign = text.rfind('@', end);
    if (sign != std::string::npos && sign >= host && sign < end) text.replace(host, sign - host, kRemoved);
    // A query may be a token or a signature.
    const std::size_t stop = std::min(text.find_first_of(" \t\r\n\"'\\", host), text.size());
    const std::size_t query = std::min(text.find('?', host), stop);
    if (query + 1 < stop) text.replace(query + 1, stop - query - 1, kRemoved);
  }
  return text;
}

Result<std::string> without_secrets(std::string_view toml, const std::string& file) {
  config::Faults faults;
  const auto tree = config::parse_toml(toml, file, faults);
  if (!tree) return Error{"bad_config", "is no TOML, and was left out since its secrets cannot be told apart"};
  std::string out;
  put_table(*tree, "", out);
  return out;
}

}  // namespace hawser::control
