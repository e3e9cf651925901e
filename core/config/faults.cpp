#include "core/config/faults.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"

namespace hawser::config {
namespace {
constexpr std::size_t kLineBytesMax = 2000;
}

std::size_t Faults::number_of(const std::string& file) {
  const auto known = std::find(files_.begin(), files_.end(), file);
  const auto number = static_cast<std::size_t>(known - files_.begin());
  if (known == files_.end()) files_.push_back(file);
  return number;
}

void Faults::put(std::vector<Entry>& list, const Place& place, const std::string& key, const std::string& text) {
  if (list.size() >= kListedMax) return;
  Entry entry{number_of(place.file ? *place.file : ""), place.line, place.column, key, text};
  if (std::find(list.begin(), list.end(), entry) == list.end()) list.push_back(std::move(entry));
}

std::vector<std::string> Faults::lines(std::vector<Entry> list) const {
  std::stable_sort(list.begin(), list.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  std::vector<std::string> out;
  for (const Entry& entry : list) {
    std::string line = files_[entry.file];
    if (entry.line > 0) line += ":" + std::to_string(entry.line) + ":" + std::to_string(entry.column);
    if (!entry.key.empty()) line += ": " + entry.key;
    out.push_back(printable(line + ": " + entry.text, kLineBytesMax));
  }
  return out;
}

}  // namespace hawser::config
