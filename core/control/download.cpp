#include "core/control/download.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/transport/http_turn.hpp"
#include "core/transport/wait.hpp"

namespace hawser::control {
namespace {

using transport::AnswerParser;
using transport::Stream;

Status write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error{"io_error", std::string("cannot write the download: ") + std::strerror(errno)};
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ok();
}

// The request is small: one answer to it is read until its end.
Status get(Stream& stream, Waker& waker, std::string_view request, AnswerParser& parser) {
  const TimePoint deadline = Clock::now() + kDownloadLimit;
  std::array<char, transport::kRecordBytes> buffer;
  for (TimePoint stalls = Clock::now() + kDownloadStallLimit;;) {
    short events = POLLIN;
    std::size_t moved = 0;
    auto io = request.empty() ? stream.read(buffer, moved) : stream.write(request, moved);
    if (!io) return io.error();
    if (request.empty()) {
      const auto complete = *io == Stream::Io::Closed ? parser.end()
                            : moved > 0               ? parser.feed({buffer.data(), moved})
                                                      : Result<bool>(false);
      if (!complete) return complete.error();
      if (*complete) return ok();
    } else {
      if (*io == Stream::Io::Closed) return Error{"peer_closed", "the server closed before it was asked"};
      request.remove_prefix(moved);
    }
    if (moved > 0) {
      stalls = Clock::now() + kDownloadStallLimit;
      if (Clock::now() < deadline) continue;
    }
    if (*io == Stream::Io::WantWrite) events |= POLLOUT;
    pollfd ready{stream.descriptor(), events, 0};
    const auto waited = transport::wait_ready(waker, std::span(&ready, 1), std::min(stalls, deadline));
    if (waited == transport::Waited::Cancelled) return transport::cancelled_error("the download");
    if (waited == transport::Waited::TimedOut)
      return Error{"http_timeout",
                   Clock::now() >= deadline ? "the download took over 15 minutes" : "the server sent nothing for 30 s"};
  }
}

}  // namespace

Status download(transport::Dialer& dialer, const HttpsUrl& url, int file, std::size_t bytes_max,
                const Binding& binding) {
  transport::HttpRequest request;
  request.method = "GET";
  request.path = url.path;
  const auto head = transport::request_text(url.origin, request);
  if (!head) return head.error();
  auto stream = dialer.dial(url.origin, Clock::now() + transport::kAttemptLimit, {}, binding);
  if (!stream) return stream.error();
  AnswerParser parser([file](std::string_view bytes) { return write_all(file, bytes); }, bytes_max);
  if (auto done = get(**stream, dialer.waker(), *head, parser); !done)
    return done.error().with_context(url.origin.text());
  const transport::HttpAnswer answer = parser.take_answer();
  (*stream)->shutdown();
  if (answer.status == 200) return ok();
  return Error{"download_refused",
               url.origin.text() + " answers HTTP " + std::to_string(answer.status) + ": " + printable(answer.body)};
}

}  // namespace hawser::control
