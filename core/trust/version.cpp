#include "core/trust/version.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hawser::trust {
namespace {

constexpr std::size_t kVersionBytesMax = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_part(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'; }
bool is_number(std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); }

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t number = 0;
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Splits at dots; nothing when a part is empty or has a foreign character.
std::optional<std::vector<std::string>> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    if (part.empty() || !std::all_of(part.begin(), part.end(), is_part)) return std::nullopt;
    parts.emplace_back(part);
    if (dot == std::string_view::npos) return parts;
    text.remove_prefix(dot + 1);
  }
}

int sign(auto left, auto right) { return left < right ? -1 : right < left ? 1 : 0; }

int compare_parts(const std::string& left, const std::string& right) {
  const bool left_number = is_number(left), right_number = is_number(right);
  if (left_number != right_number) return left_number ? -1 : 1;  // numbers stand below words
  if (left_number && left.size() != right.size()) return sign(left.size(), right.size());
  return sign(left, right);
}

}  // namespace

Result<Version> Version::parse(std::string_view text) {
  const Error wrong{"bad_request", "is no version of the form 1.2.3 or 1.2.3-rc.1 (semver.org)"};
  if (text.size() > kVersionBytesMax) return wrong;
  Version version;
  version.text_ = text;
  if (const auto plus = text.find('+'); plus != std::string_view::npos) {
    if (!parts_of(text.substr(plus + 1))) return wrong;
    text = text.substr(0, plus);
  }
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    auto parts = parts_of(text.substr(dash + 1));
    if (!parts) return wrong;
    for (const auto& part : *parts) {
      if (is_number(part) && part.size() > 1 && part[0] == '0') return wrong;
    }
    version.prerelease_ = std::move(*parts);
    text = text.substr(0, dash);
  }
  const auto numbers = parts_of(text);
  if (!numbers || numbers->size() != 3) return wrong;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto number = number_of((*numbers)[i]);
    if (!number) return wrong;
    version.numbers_[i] = *number;
  }
  return version;
}

int Version::compare(const Version& other) const {
  for (std::size_t i = 0; i < 3; ++i) {
    if (const int order = sign(numbers_[i], other.numbers_[i])) return order;
  }
  if (prerelease_.empty() || other.prerelease_.empty()) return sign(prerelease_.empty(), other.prerelease_.empty());
  for (std::size_t i = 0; i < std::min(prerelease_.size(), other.prerelease_.size()); ++i) {
    if (const int order = compare_parts(prerelease_[i], other.prerelease_[i])) return order;
  }
  return sign(prerelease_.size(), other.prerelease_.size());
}

}  // namespace hawser::trust
