#include "core/control/upload.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/connection/url.hpp"
#include "core/transport/http_turn.hpp"
#include "core/transport/wait.hpp"

namespace hawser::control {
namespace {

using transport::AnswerParser;
using transport::Stream;

// The bytes that are left to send: the head, then the file in pieces.
class Source {
 public:
  Source(std::string head, int file, std::size_t size) : piece_(std::move(head)), file_(file), size_(size) {}

  // What is to be sent next; empty at the end. Error io_error.
  Result<std::string_view> rest() {
    if (at_ == piece_.size() && offset_ < size_) {
      piece_.resize(std::min(size_ - offset_, transport::kRecordBytes * 4));
      const ssize_t got = ::pread(file_, piece_.data(), piece_.size(), static_cast<off_t>(offset_));
      if (got <= 0) return Error{"io_error", std::string("cannot read the archive: ") + std::strerror(errno)};
      piece_.resize(static_cast<std::size_t>(got));
      offset_ += piece_.size();
      at_ = 0;
    }
    return std::string_view(piece_).substr(at_, transport::kRecordBytes);
  }
  void sent(std::size_t bytes) { at_ += bytes; }

 private:
  std::string piece_;
  const int file_;
  const std::size_t size_;
  std::size_t at_ = 0, offset_ = 0;
};

struct Round {
  bool moved = false, complete = false;
  short events = POLLIN;
};

Status write_some(Stream& stream, Source& source, Round& round) {
  const auto rest = source.rest();
  if (!rest) return rest.error();
  if (rest->empty()) return ok();
  std::size_t moved = 0;
  const auto io = stream.write(*rest, moved);
  if (!io) return io.error();
  if (*io == Stream::Io::Closed) return Error{"peer_closed", "the server closed before everything was sent"};
  if (*io == Stream::Io::WantWrite) round.events |= POLLOUT;
  source.sent(moved);
  round.moved = round.moved || moved > 0;
  return ok();
}

Status read_some(Stream& stream, AnswerParser& parser, Round& round) {
  std::array<char, transport::kRecordBytes> buffer;
  std::size_t moved = 0;
  const auto io = stream.read(buffer, moved);
  if (!io) return io.error();
  if (*io == Stream::Io::WantWrite) round.events |= POLLOUT;
  if (*io == Stream::Io::WantRead || *io == Stream::Io::WantWrite) return ok();
  const auto complete = *io == Stream::Io::Closed ? parser.end() : parser.feed({buffer.data(), moved});
  if (!complete) return complete.error();
  round.moved = true;
  round.complete = *complete;
  return ok();
}

// Reads while it writes: a server may refuse what it has not read to the end, and its answer says why.
Status put(Stream& stream, Waker& waker, Source source, AnswerParser& parser) {
  const TimePoint deadline = Clock::now() + kUploadLimit;
  Status write_error = ok();
  for (TimePoint stalls = Clock::now() + kUploadStallLimit;;) {
    Round round;
    if (write_error) write_error = write_some(stream, source, round);
    if (auto read = read_some(stream, parser, round); !read) return write_error ? read : write_error;
    if (round.complete) return ok();
    if (round.moved) {
      stalls = Clock::now() + kUploadStallLimit;
      if (Clock::now() < deadline) continue;
    }
    pollfd ready{stream.descriptor(), round.events, 0};
    const auto waited = transport::wait_ready(waker, std::span(&ready, 1), std::min(stalls, deadline));
    if (waited == transport::Waited::Cancelled) return transport::cancelled_error("the upload");
    if (waited == transport::Waited::TimedOut) return Error{"http_timeout", "the server stopped taking the archive"};
  }
}

}  // namespace

Binding binding_in_force(const config::Settings& settings, const json::Object& state) {
  const std::string domain = state ? json::text_or(state, "cloud_server_domain_name") : "";
  for (const auto& server : settings.servers)
    if (server.domain == domain) return server.binding;
  return settings.servers.empty() ? Binding{} : settings.servers.front().binding;
}

Result<HttpsUrl> parse_https_url(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  const auto bad = [&](const char* what) {
    return Error{"bad_request", "the URL is \"" + printable(url) + "\", must be " + what};
  };
  if (url.substr(0, kScheme.size()) != kScheme) return bad("https://host[:port]/path");
  const std::size_t question = std::min(url.find('?'), url.size());
  const std::string_view query = url.substr(question);
  if (!std::all_of(query.begin(), query.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; }))
    return bad("without blanks, control characters and fragment");
  if (url.size() > connection::kUrlBytesMax) return bad("at most 2048 characters long");
  const auto parts = connection::parse_wss_url("wss" + std::string(url.substr(5, question - 5)));
  if (!parts) return bad("https://host[:port]/path, without user and fragment");
  return HttpsUrl{parts->origin, parts->path + std::string(query)};
}

Status upload(transport::Dialer& dialer, const HttpsUrl& url, int file, std::size_t size, const Binding& binding) {
  transport::HttpRequest request;
  request.method = "PUT";
  request.path = url.path;
  request.headers = {{"Content-Length", std::to_string(size)}, {"Content-Type", "application/zstd"}};
  const auto head = transport::request_text(url.origin, request);
  if (!head) return head.error();
  auto stream = dialer.dial(url.origin, Clock::now() + transport::kAttemptLimit, {}, binding);
  if (!stream) return stream.error();
  AnswerParser parser(AnswerParser::Want::Answer);
  if (auto done = put(**stream, dialer.waker(), Source(*head, file, size), parser); !done)
    return done.error().with_context(url.origin.text());
  const transport::HttpAnswer answer = parser.take_answer();
  (*stream)->shutdown();
  if (answer.status >= 200 && answer.status < 300) return ok();
  return Error{"upload_refused",
               url.origin.text() + " answers HTTP " + std::to_string(answer.status) + ": " + printable(answer.body)};
}

}  // namespace hawser::control
