#include <algorithm>

#include "cloud/gateway/strict_json.hpp"
#include "cloud/services/microservice.hpp"

// hawser.log.v1: u32 header length, header JSON, whole lines. sdk/protocol.md §6.
namespace hawser::cloud {
namespace {

constexpr std::size_t kHeaderBytesMax = 4096;

bool flag(const Json& header, const char* name) { return header.contains(name) && bool_of(header, name); }

LogChunk read_header(const Json& header) {
  LogChunk chunk;
  chunk.source = text_of(header, "source");
  chunk.file_id = text_of(header, "file_id");
  chunk.offset = integer_of(header, "offset", 0);
  chunk.end_offset = integer_of(header, "end_offset", chunk.offset);
  chunk.lines = integer_of(header, "lines", 0);
  chunk.first_at = text_of(header, "first_at", 0);
  chunk.format = text_of(header, "format");
  if (chunk.format != "text" && chunk.format != "journal-json")
    throw SchemaFault("format is neither text nor journal-json");
  chunk.cursor = text_if_any(header, "cursor", 1024);
  chunk.pull = text_if_any(header, "pull");
  chunk.partial = flag(header, "partial");
  chunk.end = flag(header, "end");
  if (header.contains("lost")) chunk.lost = integer_of(header, "lost", 1);
  if (header.contains("error")) {
    const Json& error = header["error"];
    if (!error.is_object()) throw SchemaFault("error is no object");
    chunk.error = text_of(error, "code") + ": " + text_if_any(error, "message", 4096);
  }
  return chunk;
}

// What the header says of the lines must be true of them, or a later reader would trust a wrong position.
void check_body(const LogChunk& chunk) {
  const bool ends_open = !chunk.body.empty() && chunk.body.back() != '\n';
  if (ends_open && !chunk.partial) throw SchemaFault("the last line has no newline and partial is not set");
  const auto newlines = std::count(chunk.body.begin(), chunk.body.end(), '\n');
  if (chunk.lines != newlines + (ends_open ? 1 : 0)) throw SchemaFault("lines is not the number of lines");
  if (chunk.pull.empty() && chunk.end_offset - chunk.offset != static_cast<std::int64_t>(chunk.body.size()))
    throw SchemaFault("end_offset - offset is not the number of bytes");
}

class LogUpload final : public Microservice {
 public:
  std::string service() const override { return "log_upload"; }
  std::string protocol() const override { return "hawser.log.v1"; }
  Result<Effect> receive(const std::string&, std::string_view payload, Now) const override {
    if (payload.size() < 4) return Error{"bad_payload", "shorter than its header length"};
    std::size_t size = 0;
    for (int i = 0; i < 4; ++i) size = (size << 8) | static_cast<unsigned char>(payload[static_cast<std::size_t>(i)]);
    if (size > kHeaderBytesMax || size > payload.size() - 4)
      return Error{"bad_payload", "the header is longer than 4 KiB or than the message"};
    auto header = parse_strict(payload.substr(4, size));
    if (!header) return header.error().with_context("header");
    try {
      LogChunk chunk = read_header(*header);
      chunk.body = payload.substr(4 + size);
      check_body(chunk);
      return Effect(std::move(chunk));
    } catch (const SchemaFault& fault) {
      return Error{"bad_payload", std::string("header: ") + fault.what()};
    }
  }
};

}  // namespace

std::unique_ptr<Microservice> make_log_upload() { return std::make_unique<LogUpload>(); }

}  // namespace hawser::cloud
