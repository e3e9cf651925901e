#include "diff.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "limits.hpp"

namespace hawser::config_push {

namespace {

constexpr std::size_t kContext = 3;
constexpr std::size_t kTableCellsMax = 1'000'000;  // beyond it the changed middle is shown as a whole

using Lines = std::vector<std::string_view>;

struct Edit {
  char kind;  // ' ' both, '-' old only, '+' new only
  std::string_view line;
};

Lines split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const auto newline = text.find('\n');
    const std::size_t length = newline == text.npos ? text.size() : newline + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

void add_all(std::vector<Edit>& edits, char kind, Lines::const_iterator from, Lines::const_iterator to) {
  for (; from != to; ++from) edits.push_back({kind, *from});
}

// The longest common subsequence by the textbook's table: cell (i, j) is its length for old[i..] and new[j..].
void add_middle(std::vector<Edit>& edits, Lines::const_iterator old_from, Lines::const_iterator old_to,
                Lines::const_iterator new_from, Lines::const_iterator new_to) {
  const auto rows = static_cast<std::size_t>(old_to - old_from), columns = static_cast<std::size_t>(new_to - new_from);
  if (rows * columns > kTableCellsMax) {
    add_all(edits, '-', old_from, old_to);
    add_all(edits, '+', new_from, new_to);
    return;
  }
  const auto old_line = [&](std::size_t i) { return *(old_from + static_cast<std::ptrdiff_t>(i)); };
  const auto new_line = [&](std::size_t j) { return *(new_from + static_cast<std::ptrdiff_t>(j)); };
  std::vector<std::uint32_t> table((rows + 1) * (columns + 1));
  const auto cell = [&](std::size_t i, std::size_t j) -> std::uint32_t& { return table[i * (columns + 1) + j]; };
  for (std::size_t i = rows; i-- > 0;) {
    for (std::size_t j = columns; j-- > 0;) {
      cell(i, j) = old_line(i) == new_line(j) ? cell(i + 1, j + 1) + 1 : std::max(cell(i + 1, j), cell(i, j + 1));
    }
  }
  std::size_t i = 0, j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && old_line(i) == new_line(j)) {
      edits.push_back({' ', old_line(i++)});
      ++j;
    } else if (i < rows && (j == columns || cell(i + 1, j) >= cell(i, j + 1))) {
      edits.push_back({'-', old_line(i++)});
    } else {
      edits.push_back({'+', new_line(j++)});
    }
  }
}

std::vector<Edit> compare(const Lines& old_lines, const Lines& new_lines) {
  const auto [old_begin, new_begin] =
      std::mismatch(old_lines.begin(), old_lines.end(), new_lines.begin(), new_lines.end());
  auto old_end = old_lines.end();
  auto new_end = new_lines.end();
  while (old_end != old_begin && new_end != new_begin && *(old_end - 1) == *(new_end - 1)) {
    --old_end;
    --new_end;
  }
  std::vector<Edit> edits;
  add_all(edits, ' ', old_lines.begin(), old_begin);
  add_middle(edits, old_begin, old_end, new_begin, new_end);
  add_all(edits, ' ', old_end, old_lines.end());
  return edits;
}

// "12,3" of a hunk's head; an empty range names the line before it.
std::string range(std::size_t first, std::size_t count) {
  const std::string start = std::to_string(count == 0 ? first - 1 : first);
  return count == 1 ? start : start + "," + std::to_string(count);
}

void add_hunk(std::string& out, const std::vector<Edit>& edits, std::size_t from, std::size_t to) {
  std::size_t old_first = 1, new_first = 1, old_count = 0, new_count = 0;
  for (std::size_t i = 0; i < to; ++i) {
    (i < from ? old_first : old_count) += edits[i].kind != '+';
    (i < from ? new_first : new_count) += edits[i].kind != '-';
  }
  out += "@@ -" + range(old_first, old_count) + " +" + range(new_first, new_count) + " @@\n";
  for (std::size_t i = from; i < to; ++i) {
    out += edits[i].kind;
    out += edits[i].line;
    if (!edits[i].line.ends_with('\n')) out += "\n\\ No newline at end of file\n";
  }
}

}  // namespace

std::string unified_diff(std::string_view old_name, std::string_view old_text, std::string_view new_name,
                         std::string_view new_text) {
  if (old_text == new_text) return {};
  const std::string names = std::string(old_name) + " and " + std::string(new_name);
  if (old_text.find('\0') != old_text.npos || new_text.find('\0') != new_text.npos) {
    return "Binary files " + names + " differ\n";
  }
  if (std::max(old_text.size(), new_text.size()) > kDiffFileBytesMax) return "Large files " + names + " differ\n";
  const std::vector<Edit> edits = compare(split(old_text), split(new_text));
  std::string out = "--- " + std::string(old_name) + "\n+++ " + std::string(new_name) + "\n";
  for (std::size_t i = 0; i < edits.size();) {
    if (edits[i].kind == ' ') {
      ++i;
      continue;
    }
    const std::size_t from = i > kContext ? i - kContext : 0;
    std::size_t last = i;  // the last change that is near enough to stand in the same hunk
    for (std::size_t k = i; k < edits.size() && k <= last + 2 * kContext; ++k) {
      if (edits[k].kind != ' ') last = k;
    }
    const std::size_t to = std::min(edits.size(), last + kContext + 1);
    add_hunk(out, edits, from, to);
    i = to;
  }
  return out;
}

}  // namespace hawser::config_push
