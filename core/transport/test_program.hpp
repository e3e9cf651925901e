#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/files.hpp"

namespace hawser::transport::test {

// A program that a test starts and talks to by its standard input and output. It is told to end by the end of its input
// and killed when it does not within five seconds.
class Program {
 public:
  Program(const std::vector<std::string>& command, const std::vector<std::string>& more_environment = {});
  ~Program();
  // One line, without its end; empty when none came within 20 s.
  std::string line();
  bool has_ended();

 private:
  pid_t pid_ = -1;
  Descriptor input_, output_;
  std::string buffer_;
};

// WebSocket echo servers of other hands, on a free port of 127.0.0.1 with TLS and the subprotocol hawser.main.v1. The
// text "close" makes them close with 4010 "unbound", "ping" makes them send a ping first. They print their port.
std::vector<std::string> node_ws_echo(const std::string& certificate, const std::string& key);
std::vector<std::string> python_websockets_echo(const std::string& certificate, const std::string& key);

// Clients of the same hands, without TLS: they connect to ws://127.0.0.1:port/0, /1, ... up to `count`, one after
// another, listen, and end.
std::vector<std::string> node_ws_client(std::uint16_t port, std::size_t count);
std::vector<std::string> python_websockets_client(std::uint16_t port, std::size_t count);

}  // namespace hawser::transport::test
