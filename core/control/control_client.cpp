#include "core/control/control_client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/control/control_socket.hpp"
#include "core/control/socket_address.hpp"

namespace hawser::control {
namespace {
Error broken(const char* doing) { return {"closed", std::string(doing) + ": " + std::strerror(errno)}; }
}  // namespace

Result<ControlClient> ControlClient::connect(const std::filesystem::path& path) {
  const auto address = socket_address(path);
  if (!address) return address.error();
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error{"io_error", std::string("cannot make a socket: ") + std::strerror(errno)};
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0)
    return ControlClient(std::move(socket));
  const int number = errno;
  if (number == ENOENT || number == ECONNREFUSED || number == ENOTDIR)
    return Error{"not_running", "no agent is running: nothing listens at " + path.string() +
                                    "; start hawserd, or name its socket with --socket"};
  if (number == EACCES || number == EPERM)
    return Error{"not_permitted", "the socket " + path.string() + " is not open to this user; run hawserctl as root"};
  if (number == EAGAIN)
    return Error{"too_many_connections",
                 "the agent at " + path.string() + " takes no more connections; try again later"};
  return Error{"io_error", "cannot connect to " + path.string() + ": " + std::strerror(number)};
}

Status ControlClient::wait(short events, TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd both[] = {{socket_.get(), events, 0}, {end_at_, POLLIN, 0}};  // -1 is passed over
    const int ready = ::poll(both, 2, static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000)));
    if (ready > 0 && both[1].revents != 0) return Error{"cancelled", "the wait for the agent was ended"};
    if (ready > 0) return ok();
    if (ready == 0) return Error{"timeout", "the agent did not answer in time"};
    if (errno != EINTR) return broken("cannot wait for the agent");
  }
}

Status ControlClient::send_all(std::string_view bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t done = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (done >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno == EAGAIN) {
      if (auto waited = wait(POLLOUT, deadline); !waited) return waited;
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return ok();  // it has hung up, and may have said why: read that
    } else if (errno != EINTR) {
      return broken("cannot send to the agent");
    }
  }
  return ok();
}

Result<std::string> ControlClient::receive_line(TimePoint deadline) {
  std::size_t searched = 0;
  for (;;) {
    const auto end = received_.find('\n', searched);
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    searched = received_.size();
    if (received_.size() > kControlAnswerMax) return Error{"bad_response", "the agent's answer is longer than 4 MiB"};
    if (auto waited = wait(POLLIN, deadline); !waited) return waited.error();
    std::array<char, 65536> piece;
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (got == 0) return Error{"closed", "the agent closed the connection without an answer"};
    if (got < 0 && errno != EINTR && errno != EAGAIN) return broken("the agent's answer broke off");
    if (got > 0) received_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

Result<json::Object> ControlClient::call(const std::string& command, const json::Object& args, milliseconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  auto request = json::make_object();
  request->set("command", command);
  request->set("args", args);
  if (auto sent = send_all(json::to_text(request) + "\n", deadline); !sent) return sent.error();
  const auto line = receive_line(deadline);
  if (!line) return line.error();
  const auto answer = json::parse_object(*line);
  if (!answer) return Error{"bad_response", "the agent's answer is " + answer.error().message};
  const auto good = json::bool_member(*answer, "ok");
  if (!good) return Error{"bad_response", "the agent's answer: " + good.error().message};
  if (*good) return json::object_member(*answer, "result");
  const auto error = json::object_member(*answer, "error");
  if (!error) return Error{"bad_response", "the agent's answer: " + error.error().message};
  return Error{json::text_or(*error, "code", "bad_response"), json::text_or(*error, "message", "no reason was given")};
}

}  // namespace hawser::control
