#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace hawser::bench {

// A TLS server in a process of its own that reads and forgets, so that the caller's CPU time is the client's alone. The
// request line says what comes: /raw/N: N bytes, answered with one byte; /websocket/N: an upgrade, then N bytes of
// frames, answered with Close 1000. Ends with its destructor, or when its parent dies.
class Sink {
 public:
  Sink(const std::string& certificate, const std::string& key);
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  ~Sink();

  std::uint16_t port() const { return port_; }

 private:
  pid_t child_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace hawser::bench
