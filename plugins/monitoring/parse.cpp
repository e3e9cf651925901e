#include "parse.hpp"

#include <charconv>
#include <limits>

namespace hawser::monitoring {

namespace {

constexpr std::uint64_t kKibibyte = 1024;

// Takes the next line off `text`.
std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

// Takes the next word off `line`; empty when there is none.
std::string_view take_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t");
  if (begin == line.npos) {
    line = {};
    return {};
  }
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

template <class Number>
std::optional<Number> to_number(std::string_view word) {
  Number value{};
  const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (fault != std::errc() || end != word.data() + word.size() || word.empty()) return std::nullopt;
  return value;
}

// Takes as many numbers as `into` holds; false when there are fewer or one is none.
template <std::size_t count>
bool take_numbers(std::string_view& line, std::array<std::uint64_t, count>& into) {
  for (auto& number : into) {
    const auto value = to_number<std::uint64_t>(take_word(line));
    if (!value) return false;
    number = *value;
  }
  return true;
}

// /proc/mounts and /proc/swaps write space, tab, newline and backslash as \ooo.
std::string unescaped(std::string_view word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto is_octal = [&](std::size_t at, char highest) { return word[at] >= '0' && word[at] <= highest; };
    if (word[i] == '\\' && i + 3 < word.size() && is_octal(i + 1, '3') && is_octal(i + 2, '7') &&
        is_octal(i + 3, '7')) {
      text += static_cast<char>((word[i + 1] - '0') * 64 + (word[i + 2] - '0') * 8 + (word[i + 3] - '0'));
      i += 3;
    } else {
      text += word[i];
    }
  }
  return text;
}

void parse_cpu(std::string_view number, std::string_view line, Stat& out) {
  // user nice system idle iowait irq softirq steal; guest times are in user and nice already.
  std::array<std::uint64_t, 8> ticks{};
  const auto logical_number = to_number<std::uint32_t>(number);
  if (!logical_number || !take_numbers(line, ticks) || out.cpus.size() >= kRowsMax) return;
  out.cpus.push_back(
      {*logical_number, {ticks[0], ticks[1], ticks[2], ticks[3], ticks[4], ticks[5] + ticks[6], ticks[7]}});
}

}  // namespace

void parse_stat(std::string_view text, Stat& out) {
  out.cpus.clear();
  out.boot_time_s.reset();
  out.processes_created.reset();
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = take_word(line);
    if (key.starts_with("cpu") && key.size() > 3) parse_cpu(key.substr(3), line, out);
    if (key == "btime") out.boot_time_s = to_number<std::uint64_t>(take_word(line));
    if (key == "processes") out.processes_created = to_number<std::uint64_t>(take_word(line));
  }
}

std::optional<LoadAverage> parse_loadavg(std::string_view text) {
  std::string_view line = first_line(text);
  std::array<double, 3> values{};
  for (double& value : values) {
    const auto number = to_number<double>(take_word(line));
    if (!number || !(*number >= 0 && *number < 1e9)) return std::nullopt;
    value = *number;
  }
  return LoadAverage{values[0], values[1], values[2]};
}

std::uint64_t Memory::used() const {
  const std::uint64_t others = free + buffers + cached + reclaimable;
  return total > others ? total - others : 0;
}

std::optional<Memory> parse_meminfo(std::string_view text) {
  Memory memory;
  const std::array<std::pair<std::string_view, std::uint64_t*>, 7> rows = {{{"MemTotal:", &memory.total},
                                                                            {"MemFree:", &memory.free},
                                                                            {"MemAvailable:", &memory.available},
                                                                            {"Buffers:", &memory.buffers},
                                                                            {"Cached:", &memory.cached},
                                                                            {"SReclaimable:", &memory.reclaimable},
                                                                            {"Shmem:", &memory.shared}}};
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = take_word(line);
    for (const auto& [name, value] : rows) {
      if (key != name) continue;
      const auto kibibytes = to_number<std::uint64_t>(take_word(line));
      if (kibibytes && *kibibytes <= std::numeric_limits<std::uint64_t>::max() / (16 * kKibibyte)) {
        *value = *kibibytes * kKibibyte;
      }
    }
  }
  if (memory.total == 0) return std::nullopt;
  return memory;
}

void parse_swaps(std::string_view text, std::vector<Swap>& out) {
  out.clear();
  take_line(text);  // the heading
  while (!text.empty() && out.size() < kRowsMax) {
    std::string_view line = take_line(text);
    const std::string_view device = take_word(line);
    take_word(line);  // partition or file
    std::array<std::uint64_t, 2> size_and_used{};
    if (device.empty() || !take_numbers(line, size_and_used)) continue;
    if (size_and_used[0] > std::numeric_limits<std::uint64_t>::max() / kKibibyte ||
        size_and_used[1] > size_and_used[0]) {
      continue;
    }
    out.push_back({unescaped(device), size_and_used[0] * kKibibyte, size_and_used[1] * kKibibyte});
  }
}

void parse_mounts(std::string_view text, std::vector<Mount>& out) {
  out.clear();
  while (!text.empty() && out.size() < kRowsMax) {
    std::string_view line = take_line(text);
    const std::string_view device = take_word(line), point = take_word(line), type = take_word(line);
    const std::string_view options = take_word(line);
    if (options.empty() || !point.starts_with('/')) continue;
    out.push_back(
        {unescaped(device), unescaped(point), std::string(type), options == "ro" || options.starts_with("ro,")});
  }
}

void parse_diskstats(std::string_view text, std::vector<Disk>& out) {
  out.clear();
  while (!text.empty() && out.size() < kRowsMax) {
    std::string_view line = take_line(text);
    take_word(line);  // major
    take_word(line);  // minor
    const std::string_view device = take_word(line);
    // reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, ms of I/O
    std::array<std::uint64_t, 10> numbers{};
    if (device.empty() || !take_numbers(line, numbers)) continue;
    out.push_back(
        {std::string(device), numbers[0], numbers[2], numbers[3], numbers[4], numbers[6], numbers[7], numbers[9]});
  }
}

void parse_net_dev(std::string_view text, std::vector<Interface>& out) {
  out.clear();
  while (!text.empty() && out.size() < kRowsMax) {
    std::string_view line = take_line(text);
    const auto colon = line.rfind(':');  // a name may hold one (eth0:1)
    if (colon == line.npos) continue;
    std::string_view name = line.substr(0, colon);
    name = take_word(name);
    line.remove_prefix(colon + 1);
    std::array<std::uint64_t, 16> numbers{};
    if (name.empty() || !take_numbers(line, numbers)) continue;
    out.push_back({std::string(name),
                   {numbers[0], numbers[1], numbers[2], numbers[3]},
                   {numbers[8], numbers[9], numbers[10], numbers[11]}});
  }
}

std::optional<double> parse_uptime_s(std::string_view text) {
  std::string_view line = first_line(text);
  const auto uptime = to_number<double>(take_word(line));
  if (!uptime || !(*uptime >= 0 && *uptime < 1e11)) return std::nullopt;
  return uptime;
}

std::optional<std::uint64_t> parse_first_number(std::string_view text) {
  std::string_view line = first_line(text);
  return to_number<std::uint64_t>(take_word(line));
}

std::optional<std::uint64_t> parse_last_number(std::string_view text) {
  std::string_view line = first_line(text);
  std::string_view last;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) last = word;
  return to_number<std::uint64_t>(last);
}

std::optional<double> parse_millidegrees(std::string_view text) {
  std::string_view line = first_line(text);
  const auto value = to_number<std::int64_t>(take_word(line));
  if (!value || *value < -273'000 || *value > 1'000'000) return std::nullopt;
  return static_cast<double>(*value) / 1000.0;
}

std::string_view first_line(std::string_view text) {
  std::string_view line = take_line(text);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\0')) line.remove_suffix(1);
  return line;
}

}  // namespace hawser::monitoring
