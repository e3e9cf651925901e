#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/transport/http.hpp"
#include "core/transport/limits.hpp"

namespace hawser::transport {

// Reads one HTTP/1.1 answer from bytes that come in pieces. Stricter than RFC 9112 asks: what two readers could take
// for two different things is refused (folded lines, bare CR or LF, two lengths, bytes after the body). Poco's own
// parser takes HTTP/1.0, folded and broken lines, and decodes values. No sockets, no clock; one thread.
class AnswerParser {
 public:
  enum class Want { Answer, Upgrade };  // Upgrade: a 101 ends the answer, and what follows is rest()

  explicit AnswerParser(Want want) : want_(want) {}
  // The body of a 200 goes to `sink` as it comes, and may have `body_bytes_max`; other answers are as usual.
  using Sink = std::function<Status(std::string_view)>;
  AnswerParser(Sink sink, std::size_t body_bytes_max)
      : want_(Want::Answer), sink_(std::move(sink)), body_bytes_max_(body_bytes_max) {}

  // True once the answer is complete. Error bad_response.
  Result<bool> feed(std::string_view bytes);
  // The orderly end of the connection, which ends a body that has no length. Error peer_closed when it ends anything
  // else.
  Result<bool> end();

  HttpAnswer take_answer() { return std::move(answer_); }
  const std::string& rest() const { return buffer_; }  // bytes behind a 101
  bool began() const { return began_; }                // whether any byte of an answer came

 private:
  enum class Part { Head, Length, ChunkSize, ChunkData, ChunkEnd, Trailer, UntilClose, Done };

  Result<bool> step();
  Result<bool> take_head();
  Status read_head(std::string_view head);
  Status read_status_line(std::string_view line);
  Status read_field(std::string_view line);
  Status choose_body();
  Result<bool> take_counted();
  Result<bool> take_line();
  Status read_chunk_size(std::string_view line);
  Error bad(const std::string& what) const;
  std::size_t body_limit() const { return sink_ && answer_.status == 200 ? body_bytes_max_ : kBodyBytesMax; }
  Error body_too_large() const;
  Status add_body(std::string_view bytes);

  const Want want_;
  const Sink sink_;
  const std::size_t body_bytes_max_ = kBodyBytesMax;
  std::size_t body_bytes_ = 0;
  Part part_ = Part::Head;
  HttpAnswer answer_;
  std::string buffer_;     // bytes not yet understood
  std::string sample_;     // the first bytes of the answer, for the words of an error
  std::size_t left_ = 0;   // of a counted body or chunk
  std::size_t lines_ = 0;  // bytes of chunk lines and trailers
  int interim_ = 0;
  bool began_ = false;
};

// Whether a comma-separated header value holds `token` (lower case), without regard to case.
bool has_token(std::string_view value, std::string_view token);
std::string lower(std::string_view text);

}  // namespace hawser::transport
