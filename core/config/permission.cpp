#include "core/config/permission.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"

namespace hawser::config {
namespace {

constexpr std::size_t kActionBytesMax = 64;
constexpr std::size_t kPointerPartsMax = 16;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_number(std::string_view text, std::size_t digits_max) {
  return !text.empty() && text.size() <= digits_max && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_port(std::string_view text) {
  if (!is_number(text, 5)) return false;
  const int port = std::stoi(std::string(text));
  return port >= 1 && port <= 65535;
}

// RFC 6901, of names that need no escapes.
bool is_pointer(std::string_view text) {
  const auto parts = static_cast<std::size_t>(std::count(text.begin(), text.end(), '/'));
  return text.size() > 1 && text[0] == '/' && parts <= kPointerPartsMax && text.find('~') == text.npos &&
         text.find("//") == text.npos && text.back() != '/' && printable(text, kPermissionBytesMax) == text;
}

bool is_file(std::string_view text) {
  if (text.substr(0, kConfigPointer.size()) == kConfigPointer) return is_pointer(text.substr(kConfigPointer.size()));
  return is_glob(text);
}

bool is_action(std::string_view text) {
  return text == "*" || (!text.empty() && text.size() <= kActionBytesMax &&
                         std::all_of(text.begin(), text.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-';
                         }));
}

struct Form {
  std::string_view name;
  Permission::Kind kind;
  bool (*is_value)(std::string_view);
};
// In the order of Permission::Kind.
constexpr Form kForms[] = {
    {"file.read:", Permission::Kind::FileRead, is_file},
    {"file.write:", Permission::Kind::FileWrite, is_file},
    {"action:", Permission::Kind::Action, is_action},
    {"listen:", Permission::Kind::Listen, is_port},
    {"state:", Permission::Kind::State, [](std::string_view text) { return is_number(text, 15); }},
    {"threads:", Permission::Kind::Threads, [](std::string_view text) { return is_number(text, 3); }},
    {"exec", Permission::Kind::Exec, [](std::string_view text) { return text.empty(); }},
};

}  // namespace

bool is_glob(std::string_view text) {
  if (text.size() < 2 || text[0] != '/' || printable(text, kPermissionBytesMax) != text) return false;
  for (std::size_t begin = 1; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const auto part = text.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return text.back() != '/';
}

std::string Permission::text() const { return std::string(kForms[static_cast<std::size_t>(kind)].name) + value; }

Result<Permission> read_permission(std::string_view text) {
  for (const Form& form : kForms) {
    if (text.size() > kPermissionBytesMax || text.substr(0, form.name.size()) != form.name) continue;
    const auto value = text.substr(form.name.size());
    if (form.is_value(value)) return Permission{form.kind, std::string(value)};
  }
  return Error{"bad_permission",
               "is \"" + printable(std::string(text), 64) + "\"; known are " + std::string(kPermissionForms)};
}

}  // namespace hawser::config
