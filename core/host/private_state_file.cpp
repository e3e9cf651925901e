#include "core/host/private_state_file.hpp"

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/host/spool_format.hpp"

namespace hawser::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "HWSTATE1";
constexpr std::size_t kNumberBytes = 4;
constexpr std::size_t kHeadBytesMax = 1024;  // of a copy
constexpr std::size_t kStateFileBytesMax = kMagic.size() + (2 + 2 * kStateKeysMax) * kNumberBytes + kStateBytesMax;

void put_number(std::string& bytes, std::size_t number) {
  for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
}

// Takes from the front of what is left; nothing when that is too short.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  std::optional<std::string_view> take(std::size_t length) {
    if (length > left_.size()) return std::nullopt;
    const std::string_view taken = left_.substr(0, length);
    left_.remove_prefix(length);
    return taken;
  }
  std::optional<std::uint32_t> number() {
    const auto bytes = take(kNumberBytes);
    if (!bytes) return std::nullopt;
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < kNumberBytes; ++i)
      number |= static_cast<std::uint32_t>(static_cast<unsigned char>((*bytes)[i])) << (8 * i);
    return number;
  }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

Error damaged(const std::string& how) { return {"bad_state", how}; }

}  // namespace

std::string to_bytes(const StateEntries& entries) {
  std::string bytes(kMagic);
  put_number(bytes, entries.size());
  for (const auto& [key, value] : entries) {
    put_number(bytes, key.size());
    put_number(bytes, value.size());
    bytes += key;
    bytes += value;
  }
  put_number(bytes, spool_format::crc32c(bytes));
  return bytes;
}

Result<StateEntries> read_state(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + 2 * kNumberBytes || !bytes.starts_with(kMagic))
    return damaged("it does not begin as such a file does");
  const std::string_view covered = bytes.substr(0, bytes.size() - kNumberBytes);
  if (Reader(bytes.substr(covered.size())).number() != spool_format::crc32c(covered))
    return damaged("its checksum is wrong");
  Reader reader(covered.substr(kMagic.size()));
  const std::uint32_t count = *reader.number();
  StateEntries entries;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key_length = reader.number(), value_length = reader.number();
    const auto key = key_length ? reader.take(*key_length) : std::nullopt;
    const auto value = key && value_length ? reader.take(*value_length) : std::nullopt;
    if (!value) return damaged("it ends in the middle of an entry");
    entries.emplace(*key, *value);
  }
  if (!reader.empty() || entries.size() != count) return damaged("its entries are not as many as it says");
  return entries;
}

Result<StateEntries> load_state(const fs::path& file, std::string& remark) {
  std::error_code fault;
  if (!fs::exists(file, fault) && !fault) return StateEntries{};
  const auto bytes = read_file(file, kStateFileBytesMax);
  if (!bytes) return bytes.error();
  auto entries = read_state(*bytes);
  if (entries) return entries;
  const fs::path aside = file.string() + ".damaged";
  fs::rename(file, aside, fault);
  if (fault)
    return Error{"bad_state", file.string() + " is damaged (" + entries.error().message + ") and cannot be moved"};
  remark = "the private state is lost: " + file.string() + " was damaged (" + entries.error().message +
           ") and is kept as " + aside.filename().string();
  return StateEntries{};
}

Status save_state(const fs::path& file, const StateEntries& entries) {
  return write_file_atomically(file, to_bytes(entries));
}

Status keep_state(const fs::path& copy, const std::string& version, const StateEntries& entries) {
  auto head = json::make_object();
  head->set("version", version);
  return write_file_atomically(copy, json::to_text(head) + "\n" + to_bytes(entries));
}

Result<bool> restore_state(const fs::path& copy, const std::string& version, const fs::path& file) {
  std::error_code fault;
  if (!fs::exists(copy, fault) && !fault) return false;
  const auto bytes = read_file(copy, kHeadBytesMax + kStateFileBytesMax);
  if (!bytes) return bytes.error();
  const auto end = bytes->find('\n');
  const auto head = json::parse_object(bytes->substr(0, end));
  if (end == std::string::npos || !head) return damaged(copy.string() + " is damaged: it names no version");
  if (json::text_or(*head, "version") != version) return false;
  const auto entries = read_state(bytes->substr(end + 1));
  if (!entries) return damaged(copy.string() + " is damaged: " + entries.error().message);
  const auto written = save_state(file, *entries);
  return written ? Result<bool>(true) : Result<bool>(written.error());
}

}  // namespace hawser::host
