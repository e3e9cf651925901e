#include "core/trust/tar_header.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hawser::trust {
namespace {

Error wrong(const std::string& clause) { return {"bundle_refused", clause}; }

std::string text_at(std::string_view block, std::size_t at, std::size_t most) {
  const auto field = block.substr(at, most);
  return std::string(field.substr(0, field.find('\0')));
}

// Digits to base 8, with spaces before and a space or NUL behind.
std::optional<std::uint64_t> octal_at(std::string_view block, std::size_t at, std::size_t most) {
  std::string_view field = block.substr(at, most);
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  const auto end = std::find_if(field.begin(), field.end(), [](char c) { return c < '0' || c > '7'; });
  std::uint64_t number = 0;
  const auto digits = static_cast<std::size_t>(end - field.begin());
  if (digits == 0 || digits > 12 || (end != field.end() && *end != ' ' && *end != '\0')) return std::nullopt;
  std::from_chars(field.data(), field.data() + digits, number, 8);
  return number;
}

std::uint64_t checksum_of(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i)
    sum += i >= 148 && i < 156 ? std::uint64_t{' '} : static_cast<unsigned char>(block[i]);
  return sum;
}

TarHeader::Kind kind_of(char type) {
  if (type == '0' || type == '\0') return TarHeader::Kind::File;
  if (type == '5') return TarHeader::Kind::Folder;
  if (type == 'x') return TarHeader::Kind::Pax;
  if (type == 'L') return TarHeader::Kind::LongName;
  return TarHeader::Kind::Other;
}

}  // namespace

bool is_tar_end(std::string_view block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

Result<TarHeader> read_tar_header(std::string_view block) {
  const auto checksum = octal_at(block, 148, 8);
  if (!checksum || *checksum != checksum_of(block))
    return wrong("holds no tar archive, or a damaged one; have it made by hawser-plugin");
  TarHeader header;
  header.type = block[156];
  header.kind = kind_of(header.type);
  header.name = text_at(block, 0, 100);
  if (block.substr(257, 6) == std::string_view("ustar\0", 6)) {
    if (const std::string prefix = text_at(block, 345, 155); !prefix.empty()) header.name = prefix + "/" + header.name;
  }
  const auto size = octal_at(block, 124, 12);
  if (!size) return wrong("has an entry whose size is no number of tar's; have it made by hawser-plugin");
  header.size = *size;
  return header;
}

// "<bytes of the record> <key>=<value>\n", one behind the other.
Result<std::string> path_of_pax(std::string_view records) {
  const Error damaged = wrong("has a damaged pax header; have it made by hawser-plugin");
  std::string path;
  while (!records.empty()) {
    std::size_t size = 0;
    const auto [end, fault] = std::from_chars(records.data(), records.data() + records.size(), size);
    const auto digits = static_cast<std::size_t>(end - records.data());
    if (fault != std::errc() || size > records.size() || size < digits + 3 || records[digits] != ' ' ||
        records[size - 1] != '\n')
      return damaged;
    const auto record = records.substr(digits + 1, size - digits - 2);
    records.remove_prefix(size);
    const auto equals = record.find('=');
    if (equals == record.npos) return damaged;
    const auto key = record.substr(0, equals);
    if (key == "path") path = record.substr(equals + 1);
    if (key == "size" || key == "linkpath" || key.starts_with("GNU.sparse"))
      return wrong("has a pax header with " + std::string(key) +
                   ", which no plugin needs; have it made by hawser-plugin");
  }
  return path;
}

}  // namespace hawser::trust
