#include "core/transport/http.hpp"

#include <Poco/Net/HTTPRequest.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/transport/http_turn.hpp"
#include "core/transport/wait.hpp"

namespace hawser::transport {
namespace {

constexpr std::uint16_t kHttpsPort = 443;

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

// What one round of non-blocking calls came to.
struct Progress {
  bool complete = false;
  bool moved = false;
  short events = POLLIN;
};

// The conversation of one request; lives on the stack of converse().
class Conversation {
 public:
  Conversation(Stream& stream, std::string_view text, AnswerParser& parser)
      : stream_(stream), text_(text), parser_(parser) {}

  Result<Progress> round() {
    Progress progress;
    if (Status written = write(progress); !written && !write_error_) write_error_ = written.error();
    if (Status read_some = read(progress); !read_some) {
      // A server that closed because it did not want the rest explains more by its answer than by the broken pipe.
      return write_error_ ? *write_error_ : read_some.error();
    }
    return progress;
  }

 private:
  Status write(Progress& progress) {
    while (!text_.empty() && !write_error_) {
      std::size_t moved = 0;
      const auto io = stream_.write(text_.substr(0, kRecordBytes), moved);
      if (!io) return io.error();
      if (*io == Stream::Io::Closed) return Error{"peer_closed", "the server closed before the request was sent"};
      if (*io == Stream::Io::WantWrite) progress.events |= POLLOUT;
      if (*io != Stream::Io::Done) break;
      text_.remove_prefix(moved);
      progress.moved = true;
    }
    return ok();
  }

  Status read(Progress& progress) {
    std::array<char, kRecordBytes> buffer;
    for (int k = 0; k < kReadsPerTurn; ++k) {
      std::size_t moved = 0;
      const auto io = stream_.read(buffer, moved);
      if (!io) return io.error();
      if (*io == Stream::Io::WantWrite) progress.events |= POLLOUT;
      if (*io == Stream::Io::WantRead || *io == Stream::Io::WantWrite) return ok();
      const Result<bool> done = *io == Stream::Io::Closed ? parser_.end() : parser_.feed({buffer.data(), moved});
      if (!done) return done.error();
      progress.moved = true;
      progress.complete = *done;
      if (*done) return ok();
    }
    return ok();
  }

  Stream& stream_;
  std::string_view text_;
  AnswerParser& parser_;
  std::optional<Error> write_error_;
};

}  // namespace

Result<std::string> request_text(const Origin& origin, const HttpRequest& request) {
  if (request.path.empty() || request.path[0] != '/' || request.path.find(' ') != std::string::npos)
    return Error{"bad_request", "the path of a request begins with / and has no blanks"};
  bool clean = is_printable_ascii(request.path) && is_printable_ascii(request.bearer) &&
               is_printable_ascii(request.method) && is_printable_ascii(origin.host);
  for (const auto& [name, value] : request.headers) clean = clean && is_printable_ascii(name + value);
  if (!clean) return Error{"bad_request", "a request to " + origin.host + " would carry control characters"};

  Poco::Net::HTTPRequest head(request.method, request.path, Poco::Net::HTTPMessage::HTTP_1_1);
  const std::string host = origin.text();
  head.set("Host", origin.port == kHttpsPort ? host.substr(0, host.rfind(':')) : host);
  head.set("User-Agent", "hawser/" HAWSER_VERSION);
  if (!request.bearer.empty()) head.set("Authorization", "Bearer " + request.bearer);
  if (!request.body.empty()) head.set("Content-Type", "application/json");
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
    head.set("Content-Length", std::to_string(request.body.size()));
  for (const auto& [name, value] : request.headers) head.set(name, value);
  std::ostringstream text;
  head.write(text);
  return text.str() + request.body;
}

Status converse(Stream& stream, Waker& waker, std::string_view text, AnswerParser& parser, TimePoint deadline) {
  const TimePoint limit = std::min(deadline, Clock::now() + kHttpLimit);
  Conversation conversation(stream, text, parser);
  for (;;) {
    if (waker.cancelled()) return cancelled_error("the request");
    const Result<Progress> progress = conversation.round();
    if (!progress) return progress.error();
    if (progress->complete) return ok();
    if (Clock::now() >= limit)
      return Error{"http_timeout", parser.began() ? "the server did not finish its answer" : "no answer"};
    if (progress->moved) continue;  // decrypted bytes may wait where poll does not see them
    pollfd ready{stream.descriptor(), progress->events, 0};
    if (wait_ready(waker, std::span(&ready, 1), limit) == Waited::Cancelled) return cancelled_error("the request");
  }
}

std::optional<std::string> HttpAnswer::header(const std::string& name) const {
  const auto [first, last] = headers.equal_range(name);
  if (first == last || std::next(first) != last) return std::nullopt;
  return first->second;
}

Result<HttpAnswer> exchange(Stream& stream, Waker& waker, const Origin& origin, const HttpRequest& request,
                            TimePoint deadline) {
  const Result<std::string> text = request_text(origin, request);
  if (!text) return text.error();
  AnswerParser parser(AnswerParser::Want::Answer);
  if (Status done = converse(stream, waker, *text, parser, deadline); !done)
    return done.error().with_context(origin.text());
  stream.answered();
  return parser.take_answer();
}

std::optional<std::chrono::seconds> retry_after(const HttpAnswer& answer) {
  constexpr std::chrono::seconds kLeast{1}, kMost{3600};
  const auto text = answer.header("retry-after");
  if (!text || text->empty()) return std::nullopt;
  if (!std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  long value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error == std::errc::result_out_of_range) return kMost;
  return std::clamp(std::chrono::seconds(value), kLeast, kMost);
}

std::string hint_of(const HttpAnswer& answer, bool asked_to_upgrade) {
  constexpr std::size_t kTypeShownMax = 64;
  const std::string type = lower(answer.header("content-type").value_or(""));
  const std::string kind = type.substr(0, type.find_first_of("; "));
  const std::string status =
      "HTTP " + std::to_string(answer.status) + (kind.empty() ? "" : " " + printable(kind, kTypeShownMax));
  if (asked_to_upgrade && (answer.status == 400 || answer.status == 426))
    return "a proxy on the way may have removed Upgrade: " + status;
  if (kind == "application/json" || (kind.empty() && answer.body.empty() && answer.status >= 400)) return {};
  if (answer.status >= 502 && answer.status <= 504) return "a proxy before the cloud answers in its place: " + status;
  return "not a Hawser cloud: " + status;
}

}  // namespace hawser::transport
