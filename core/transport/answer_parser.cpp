#include "core/transport/answer_parser.hpp"

#include <algorithm>
#include <cctype>

#include "core/base/encoding.hpp"

namespace hawser::transport {
namespace {

constexpr std::size_t kSampleBytes = 120;
constexpr std::size_t kChunkLineMax = 256;
constexpr std::size_t kChunkLinesMax = 32 * 1024;  // all chunk lines and trailers of one answer
constexpr int kInterimMax = 4;                     // 100 Continue before the answer

bool is_token(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string::npos;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
// RFC 9110 §5.5: visible characters, blanks, tabs, and bytes above ASCII.
bool is_value(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F); }

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return small;
}

bool has_token(std::string_view value, std::string_view token) {
  while (true) {
    const std::size_t comma = value.find(',');
    if (lower(trim(value.substr(0, comma))) == token) return true;
    if (comma == std::string_view::npos) return false;
    value.remove_prefix(comma + 1);
  }
}

Error AnswerParser::bad(const std::string& what) const {
  return {"bad_response", what + ": \"" + printable(sample_, kSampleBytes) + "\""};
}

Error AnswerParser::body_too_large() const {
  return bad("a body over " + std::to_string(body_limit() / 1024) + " KiB");
}

Status AnswerParser::add_body(std::string_view bytes) {
  if (bytes.size() > body_limit() - body_bytes_) return body_too_large();
  body_bytes_ += bytes.size();
  if (sink_ && answer_.status == 200) return sink_(bytes);
  answer_.body += bytes;
  return ok();
}

Result<bool> AnswerParser::feed(std::string_view bytes) {
  began_ |= !bytes.empty();
  if (sample_.size() < kSampleBytes) sample_ += bytes.substr(0, kSampleBytes - sample_.size());
  buffer_ += bytes;
  while (part_ != Part::Done) {
    Result<bool> moved = step();
    if (!moved) return moved;
    if (!*moved) return false;
  }
  if (!buffer_.empty() && answer_.status != 101) return bad("bytes after the answer");
  return true;
}

Result<bool> AnswerParser::end() {
  if (part_ == Part::UntilClose) {
    part_ = Part::Done;
    return true;
  }
  return Error{"peer_closed", began_ ? "the server ended the connection in the middle of its answer"
                                     : "the server ended the connection without an answer"};
}

// One step forward: false when more bytes are needed.
Result<bool> AnswerParser::step() {
  switch (part_) {
    case Part::Head:
      return take_head();
    case Part::Length:
    case Part::ChunkData:
      return take_counted();
    case Part::UntilClose:
      if (Status added = add_body(buffer_); !added) return added.error();
      buffer_.clear();
      return false;
    case Part::Done:
      return false;
    default:
      return take_line();
  }
}

Result<bool> AnswerParser::take_head() {
  constexpr std::string_view kProtocol = "HTTP/1.1 ";
  const std::size_t known = std::min(kProtocol.size(), buffer_.size());
  if (buffer_.compare(0, known, kProtocol, 0, known) != 0) return bad("not an HTTP/1.1 answer");
  const std::size_t end = buffer_.find("\r\n\r\n");
  if (std::min(end, buffer_.size()) > kHeaderBytesMax) return bad("a header block over 16 KiB");
  if (end == std::string::npos) return false;
  if (Status read = read_head(std::string_view(buffer_).substr(0, end)); !read) return read.error();
  buffer_.erase(0, end + 4);
  if (answer_.status == 100) {
    if (++interim_ > kInterimMax) return bad("too many interim answers");
    answer_ = {};
    return true;
  }
  if (answer_.status == 101 && want_ == Want::Upgrade) {
    part_ = Part::Done;
    return true;
  }
  if (answer_.status < 200) return bad("an interim answer that was not asked for");
  if (Status chosen = choose_body(); !chosen) return chosen.error();
  return true;
}

Status AnswerParser::read_head(std::string_view head) {
  bool first = true;
  while (true) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    if (Status read = first ? read_status_line(line) : read_field(line); !read) return read;
    first = false;
    if (end == std::string_view::npos) return ok();
    head.remove_prefix(end + 2);
  }
}

Status AnswerParser::read_status_line(std::string_view line) {
  const std::string_view code = line.substr(9, 3);  // behind "HTTP/1.1 ", which was compared
  const bool digits = code.size() == 3 && std::all_of(code.begin(), code.end(), is_digit);
  if (!digits || code[0] < '1' || code[0] > '5' || (line.size() > 12 && line[12] != ' '))
    return bad("a status line without a status");
  if (!std::all_of(line.begin(), line.end(), is_value)) return bad("a status line with control characters");
  answer_.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  return ok();
}

Status AnswerParser::read_field(std::string_view line) {
  if (line.empty() || line.front() == ' ' || line.front() == '\t') return bad("a folded header line");
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() || !std::all_of(name.begin(), name.end(), is_token))
    return bad("a header line without a proper name");
  const std::string_view value = trim(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value)) return bad("a header value with control characters");
  if (answer_.headers.size() >= kHeaderFieldsMax) return bad("more than 100 header lines");
  answer_.headers.emplace(lower(name), std::string(value));
  return ok();
}

Status AnswerParser::choose_body() {
  const auto lengths = answer_.headers.equal_range("content-length");
  const auto codings = answer_.headers.equal_range("transfer-encoding");
  const bool counted = lengths.first != lengths.second, coded = codings.first != codings.second;
  bool close = false;
  const auto connection = answer_.headers.equal_range("connection");
  for (auto row = connection.first; row != connection.second; ++row) close |= has_token(row->second, "close");
  answer_.keep_alive = !close;
  if (counted && coded) return bad("Content-Length beside Transfer-Encoding");
  if (coded) {
    if (std::next(codings.first) != codings.second || lower(codings.first->second) != "chunked")
      return bad("a Transfer-Encoding other than chunked");
    part_ = Part::ChunkSize;
  } else if (counted) {
    const std::string& text = lengths.first->second;
    if (std::next(lengths.first) != lengths.second || text.empty() || !std::all_of(text.begin(), text.end(), is_digit))
      return bad("a Content-Length that is no number");
    if (text.size() > 9 || std::stoul(text) > body_limit()) return body_too_large();
    left_ = std::stoul(text);
    part_ = left_ == 0 ? Part::Done : Part::Length;
  } else {
    part_ = Part::UntilClose;
  }
  if (answer_.status == 204 || answer_.status == 304) part_ = Part::Done;  // never with a body
  if (part_ == Part::UntilClose) answer_.keep_alive = false;
  return ok();
}

Result<bool> AnswerParser::take_counted() {
  const std::size_t count = std::min(left_, buffer_.size());
  if (Status added = add_body(std::string_view(buffer_).substr(0, count)); !added) return added.error();
  buffer_.erase(0, count);
  left_ -= count;
  if (left_ > 0) return false;
  part_ = part_ == Part::Length ? Part::Done : Part::ChunkEnd;
  return true;
}

// The lines of the chunked coding.
Result<bool> AnswerParser::take_line() {
  const std::size_t end = buffer_.find("\r\n");
  if (std::min(end, buffer_.size()) > kChunkLineMax) return bad("a chunk line over 256 bytes");
  if (end == std::string::npos) return false;
  const std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  lines_ += end + 2;
  if (lines_ > kChunkLinesMax) return bad("too many chunks");
  if (part_ == Part::ChunkSize) {
    if (Status read = read_chunk_size(line); !read) return read.error();
  } else if (part_ == Part::ChunkEnd) {
    if (!line.empty()) return bad("a chunk longer than it says");
    part_ = Part::ChunkSize;
  } else if (line.empty()) {  // trailers are read past
    part_ = Part::Done;
  }
  return true;
}

Status AnswerParser::read_chunk_size(std::string_view line) {
  const std::string_view text = trim(line.substr(0, line.find(';')));  // extensions are read past
  const auto is_hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_hex)) return bad("a chunk without a size");
  if (text.size() > 8) return body_too_large();
  left_ = std::stoul(std::string(text), nullptr, 16);
  if (left_ > body_limit() - body_bytes_) return body_too_large();
  part_ = left_ == 0 ? Part::Trailer : Part::ChunkData;
  return ok();
}

}  // namespace hawser::transport
