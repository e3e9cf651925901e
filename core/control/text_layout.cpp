#include "core/control/text_layout.hpp"

#include <Poco/DateTime.h>
#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeParser.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "core/base/encoding.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kCellBytesMax = 400;
constexpr std::size_t kTextBytesMax = 1000;
constexpr std::size_t kGap = 2;

void trim_end(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

void flatten(const json::Object& object, const std::string& prefix, std::string& out) {
  for (const auto& [name, value] : *object) {
    const std::string key = prefix + printable(name, 64);
    if (object->isObject(name)) {
      flatten(object->getObject(name), key + ".", out);
    } else {
      out += key + ": " + member_text(object, name) + "\n";
    }
  }
}

// Poco's parser takes nearly anything for a time.
bool looks_like_time(const std::string& text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() <= kShape.size()) return false;
  return std::equal(kShape.begin(), kShape.end(), text.begin(),
                    [](char shape, char c) { return shape == '0' ? c >= '0' && c <= '9' : c == shape; });
}

}  // namespace

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

void TextTable::add(std::vector<std::string> row) {
  row.resize(headings_.size());
  for (auto& cell : row) cell = cell.empty() ? "-" : printable(cell, kCellBytesMax);
  rows_.push_back(std::move(row));
}

std::string TextTable::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const auto& heading : headings_) widths.push_back(columns(heading));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  std::size_t all = 0;
  for (const std::size_t one : widths) all += one + kGap;
  std::string out;
  if (width != kUnlimitedWidth && all - kGap > width) {
    for (const auto& row : rows_) {
      if (!out.empty()) out += "\n";
      for (std::size_t i = 0; i < row.size(); ++i) out += headings_[i] + ": " + row[i] + "\n";
    }
    return out;
  }
  const auto put = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i)
      line += cells[i] + std::string(widths[i] + kGap - columns(cells[i]), ' ');
    trim_end(line);
    out += line + "\n";
  };
  put(headings_);
  for (const auto& row : rows_) put(row);
  return out;
}

std::string local_time(const std::string& rfc3339) {
  int zone = 0;
  Poco::DateTime moment;
  if (!looks_like_time(rfc3339) ||
      !Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::ISO8601_FRAC_FORMAT, rfc3339, moment, zone))
    return printable(rfc3339, kTextBytesMax);
  moment.makeUTC(zone);
  const std::time_t seconds = moment.timestamp().epochTime();
  std::tm parts{};
  if (!::localtime_r(&seconds, &parts)) return printable(rfc3339, kTextBytesMax);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts)};
}

std::string duration(std::int64_t seconds) {
  const std::int64_t s = std::max<std::int64_t>(seconds, 0);
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), "%02lldd %02lldh %02lldm %02llds",
                                   static_cast<long long>(s / 86400), static_cast<long long>(s / 3600 % 24),
                                   static_cast<long long>(s / 60 % 60), static_cast<long long>(s % 60));
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string member_text(const json::Object& object, const std::string& name) {
  const auto value = object->get(name);
  if (value.isEmpty()) return "N/A";
  if (object->isArray(name)) return printable(json::to_text(object->getArray(name)), kTextBytesMax);
  if (object->isObject(name)) return printable(json::to_text(object->getObject(name)), kTextBytesMax);
  return printable(value.convert<std::string>(), kTextBytesMax);
}

std::string flat_text(const json::Object& object) {
  std::string out;
  flatten(object, "", out);
  return out;
}

}  // namespace hawser::control
