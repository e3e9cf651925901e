#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>

#include "core/base/files.hpp"
#include "core/control/control_socket.hpp"
#include "core/control/socket_address.hpp"
#include "tests/test_folder.hpp"

// For tests: a control server on a thread of its own, and a client that writes raw bytes.
namespace hawser::control {

class ServerThread {
 public:
  // `make_handler` gets the loop, for answers that come later.
  explicit ServerThread(const std::filesystem::path& path, std::function<ControlServer::Handler(Loop&)> make_handler,
                        AccessGroups groups = {}) {
    std::promise<Status> listening;
    auto told = listening.get_future();
    thread_ = std::thread([this, path, make_handler, groups, &listening] {
      auto server = ControlServer::listen(loop_, path, make_handler(loop_), groups);
      listening.set_value(server ? ok() : Status(server.error()));
      if (server) loop_.run();
    });
    status_ = told.get();
  }
  ~ServerThread() {
    loop_.stop();
    thread_.join();
  }
  const Status& status() const { return status_; }

 private:
  Loop loop_;
  std::thread thread_;
  Status status_ = ok();
};

class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{20, 0};  // a test that hangs fails
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const auto address = socket_address(path);
    connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
  }
  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (done <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return true;
  }
  // Up to the next newline, without it; "(closed)" at the end.
  std::string line() {
    for (;;) {
      if (const auto end = received_.find('\n'); end != std::string::npos) {
        const std::string one = received_.substr(0, end);
        received_.erase(0, end + 1);
        return one;
      }
      char piece[65536];
      const ssize_t got = ::recv(socket_.get(), piece, sizeof piece, 0);
      if (got <= 0) return "(closed)";
      received_.append(piece, static_cast<std::size_t>(got));
    }
  }
  std::string ask(const std::string& request) { return send(request + "\n") ? line() : "(closed)"; }
  // Waits, without reading, until the other end is gone.
  bool hangs_up(milliseconds limit) {
    pollfd one{socket_.get(), 0, 0};
    return ::poll(&one, 1, static_cast<int>(limit.count())) == 1 && (one.revents & POLLHUP);
  }
  void close() { socket_.reset(); }
  void end_input() { ::shutdown(socket_.get(), SHUT_WR); }

 private:
  Descriptor socket_;
  bool connected_ = false;
  std::string received_;
};

}  // namespace hawser::control
