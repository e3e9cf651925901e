#include "core/host/handover.hpp"

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/control/channel.hpp"
#include "core/host/spool_format.hpp"

namespace hawser::host {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeadBytesMax = 1024;
constexpr std::int64_t kNumberMax = 0xffffffff;

fs::path file_in(const fs::path& state_dir) { return state_dir / control::kHandoverFile; }

}  // namespace

Status write_handover(const fs::path& state_dir, const Handover& handover) {
  auto head = json::make_object();
  head->set("version", handover.version);
  if (!handover.taken_by.empty()) head->set("taken_by", handover.taken_by);
  head->set("format", static_cast<Poco::UInt64>(handover.format));
  head->set("bytes", static_cast<Poco::UInt64>(handover.content.size()));
  head->set("crc32c", static_cast<Poco::UInt64>(spool_format::crc32c(handover.content)));
  return write_file_atomically(file_in(state_dir), json::to_text(head) + "\n" + handover.content);
}

Result<std::optional<Handover>> read_handover(const fs::path& state_dir) {
  const fs::path file = file_in(state_dir);
  std::error_code fault;
  if (!fs::exists(file, fault) && !fault) return std::optional<Handover>();
  const auto bytes = read_file(file, kHeadBytesMax + kHandoverBytesMax);
  if (!bytes) return bytes.error();
  const Error damaged{"bad_handover", file.string() + " is damaged"};
  const auto end = bytes->find('\n');
  const auto head = json::parse_object(bytes->substr(0, end));
  if (end == std::string::npos || !head) return damaged;
  Handover handover{0, json::text_or(*head, "version"), bytes->substr(end + 1), json::text_or(*head, "taken_by")};
  const auto format = json::integer_member(*head, "format", 0, kNumberMax);
  const auto length = json::integer_member(*head, "bytes");
  const auto checksum = json::integer_member(*head, "crc32c", 0, kNumberMax);
  if (!format || !length || !checksum || static_cast<std::size_t>(*length) != handover.content.size() ||
      static_cast<std::uint32_t>(*checksum) != spool_format::crc32c(handover.content))
    return damaged;
  handover.format = static_cast<std::uint32_t>(*format);
  return std::optional(std::move(handover));
}

Status note_taken(const fs::path& state_dir, const std::string& version) {
  auto handover = read_handover(state_dir);
  if (!handover) return handover.error();
  if (!*handover) return ok();
  (*handover)->taken_by = version;
  return write_handover(state_dir, **handover);
}

Status remove_handover(const fs::path& state_dir) {
  for (const char* name : {control::kHandoverFile, control::kStateBeforeFile}) {
    std::error_code fault;
    fs::remove(state_dir / name, fault);
    if (fault) return Error{"bad_handover", (state_dir / name).string() + ": " + fault.message()};
  }
  return ok();
}

}  // namespace hawser::host
