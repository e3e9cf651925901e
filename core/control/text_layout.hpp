#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/json.hpp"

// Text for a terminal. Every text that comes from elsewhere passes printable(). Any thread.
namespace hawser::control {

inline constexpr std::size_t kUnlimitedWidth = 0;

// Rows under their headings, columns aligned, no white space at the ends of lines. Where a line would be wider than
// `width` columns, each row becomes a block of "heading: value" lines instead.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> row);  // as many cells as headings; escaped here; an empty one is shown as "-"
  std::string text(std::size_t width) const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that a text takes on a terminal, one for each character: enough for what passes through here.
std::size_t columns(const std::string& text);

// "Wed Jan 27 14:18:40 2018" in local time; the text itself, escaped, when it is no RFC 3339 time.
std::string local_time(const std::string& rfc3339);
// "00d 00h 02m 01s"
std::string duration(std::int64_t seconds);

// Escaped text of a member, whatever its type: "N/A" for null and for none.
std::string member_text(const json::Object& object, const std::string& name);

// Nested members as "a.b: value" lines.
std::string flat_text(const json::Object& object);

}  // namespace hawser::control
