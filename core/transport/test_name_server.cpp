#include "core/transport/test_name_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace hawser::transport::test {
namespace {

constexpr std::size_t kHeader = 12;

void put16(std::string& to, unsigned value) {
  to += static_cast<char>(value >> 8);
  to += static_cast<char>(value & 0xFF);
}

}  // namespace

NameServer::NameServer(Script script, const char* ip, std::uint16_t port)
    : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), ip_(ip), script_(script) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, ip, &address.sin_addr);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  int ends[2];
  if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 || ::pipe2(ends, O_CLOEXEC) != 0)
    throw std::runtime_error("the test's name server cannot start");
  stop_reader_.reset(ends[0]);
  stop_.reset(ends[1]);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

NameServer::~NameServer() {
  stop_.reset();  // seen as the end of the pipe
  thread_.join();
}

std::string NameServer::address() const { return ip_ + ":" + std::to_string(port_); }

std::string NameServer::last_asker() const {
  const std::lock_guard lock(mutex_);
  return last_asker_;
}

void NameServer::run() {
  for (;;) {
    pollfd ready[2] = {{socket_.get(), POLLIN, 0}, {stop_reader_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 || ready[1].revents != 0) return;
    char packet[1500];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket_.get(), packet, sizeof packet, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < static_cast<ssize_t>(kHeader)) continue;
    {
      const std::lock_guard lock(mutex_);
      char text[INET_ADDRSTRLEN] = "";
      last_asker_ = ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
    }
    const std::string answer = answer_to({packet, static_cast<std::size_t>(got)});
    if (!answer.empty())
      ::sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

std::string NameServer::answer_to(const std::string& question) const {
  std::string name;
  std::size_t at = kHeader;
  while (at < question.size() && question[at] != '\0') {
    const auto length = static_cast<std::size_t>(question[at]);
    name += (name.empty() ? "" : ".") + question.substr(at + 1, length);
    at += 1 + length;
  }
  const int type = static_cast<unsigned char>(question.at(at + 2));  // after the name's end; none is above 255
  const Answer answer = script_(name, type);
  if (answer.swallow) return {};
  std::string packet = question.substr(0, 2);
  put16(packet, 0x8180U | static_cast<unsigned>(answer.code));
  put16(packet, 1);
  put16(packet, static_cast<unsigned>(answer.addresses.size()));
  put16(packet, 0);
  put16(packet, 0);
  packet += question.substr(kHeader, at + 5 - kHeader);
  for (const std::string& text : answer.addresses) {
    char bytes[16];
    const std::size_t size = type == kA ? 4 : 16;
    ::inet_pton(type == kA ? AF_INET : AF_INET6, text.c_str(), bytes);
    put16(packet, 0xC00C);  // the name of the question
    put16(packet, static_cast<unsigned>(type));
    put16(packet, 1);
    put16(packet, 0);
    put16(packet, 60);
    put16(packet, static_cast<unsigned>(size));
    packet.append(bytes, size);
  }
  return packet;
}

}  // namespace hawser::transport::test
