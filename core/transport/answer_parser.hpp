#pragma once

#include <string>
#include <string_view>

#include "core/transport/http.hpp"

namespace hawser::transport {

// Reads one HTTP/1.1 answer from bytes that come in pieces. Stricter than RFC 9112 asks: what two readers could take
// for two different things is refused (folded lines, bare CR or LF, two lengths, bytes after the body). Poco's own
// parser takes HTTP/1.0, folded and broken lines, and decodes values. No sockets, no clock; one thread.
class AnswerParser {
 public:
  enum class Want { Answer, Upgrade };  // Upgrade: a 101 ends the answer, and what follows is rest()

  explicit AnswerParser(Want want) : want_(want) {}

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

  const Want want_;
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
