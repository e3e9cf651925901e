// The table itself is checked: what it says of each case must be what node's ws and python3-websockets do with the same
// bytes, but for the rows listed below with the reason why they differ.
#include <sys/socket.h>

#include <set>

#include "core/transport/conformance_cases.hpp"
#include "core/transport/test_frames.hpp"
#include "core/transport/test_program.hpp"
#include "core/transport/test_tls_server.hpp"
#include "core/transport/upgrade_check.hpp"
#include "tests/catch.hpp"

using hawser::Descriptor;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

// Where the others are laxer than the RFC, have another limit, or name another of two faults. Versions differ, so these
// rows may also agree.
struct Exception {
  const char *part_of_name, *reason;
};
const Exception kExceptions[] = {
    {"is not the shortest form", "both take lengths in more bytes than need be, which section 5.2 forbids"},
    {"a 64-bit length with", "both call a length with its top bit set too big before they call it malformed"},
    {"one empty fragment too many", "neither has a limit on the number of fragments"},
    {"with a 64-bit length", "python reads the whole length of a control frame before it refuses it"},
    {"a bad code beside a bad reason", "python looks at the reason first"},
};

bool is_excepted(const std::string& name) {
  for (const Exception& row : kExceptions)
    if (name.find(row.part_of_name) != std::string::npos) return true;
  return false;
}

std::string receive_until(int fd, std::string& bytes, const std::function<bool()>& enough) {
  char part[64 * 1024];
  while (!enough()) {
    const ssize_t got = ::recv(fd, part, sizeof part, 0);  // at most ten seconds
    if (got <= 0) break;
    bytes.append(part, static_cast<std::size_t>(got));
  }
  return bytes;
}

// Plays one case to a client and gives back the code of its Close: 1005 without a code, 1006 without a Close.
int play(const ConformanceCase& row, const Listener& listener) {
  const Descriptor client = listener.accept();
  if (!client) return -1;
  std::string request;
  receive_until(client.get(), request, [&] { return request.find("\r\n\r\n") != std::string::npos; });
  const std::string name = "Sec-WebSocket-Key: ";
  const std::size_t at = request.find(name);
  if (at == std::string::npos) return -1;
  std::string bytes =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Protocol: hawser.main.v1\r\nSec-WebSocket-Accept: " +
      accept_for(request.substr(at + name.size(), 24)) + "\r\n\r\n";
  for (const std::string& piece : row.pieces) bytes += piece;
  bytes += frame(0x88, std::string("\x03\xe8", 2));  // so that every case ends; ignored after a fault or a Close
  ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (is_excepted(row.name)) ::shutdown(client.get(), SHUT_WR);  // or it waits for a payload that never comes
  std::string answer;
  int code = 1006;
  receive_until(client.get(), answer, [&] {
    for (const Frame& sent : frames_of(answer)) {
      if (sent.first != 0x88) continue;
      code = sent.payload.size() < 2
                 ? 1005
                 : static_cast<unsigned char>(sent.payload[0]) * 256 + static_cast<unsigned char>(sent.payload[1]);
      return true;
    }
    return false;
  });
  return code;
}

// What our client would answer: the fault, or the echo of the first Close.
int expected_code(const ConformanceCase& row) {
  if (row.fault != 0) return row.fault;
  for (const std::string& event : row.events) {
    if (!event.starts_with("close ")) continue;
    if (event.starts_with("close 0 ")) return 1005;
    return std::stoi(event.substr(event.rfind(' ') + 1, 4), nullptr, 16);
  }
  return 1000;
}

}  // namespace

TEST_CASE("node's ws and python3-websockets judge the table's cases as the table does") {
  const std::string client = GENERATE("node", "python");
  std::vector<const ConformanceCase*> rows;
  for (const ConformanceCase& row : conformance_cases())
    if (row.name.find("waits") == std::string::npos) rows.push_back(&row);
  const Listener listener = Listener::open();
  Program program(client == "node" ? node_ws_client(listener.port, rows.size())
                                   : python_websockets_client(listener.port, rows.size()),
                  {"NODE_PATH=/usr/share/nodejs"});
  int compared = 0;
  for (const ConformanceCase* row : rows) {
    INFO(client << ", RFC 6455 section " << row->section << ": " << row->name);
    const int code = play(*row, listener);
    REQUIRE(code != -1);
    if (is_excepted(row->name)) continue;
    ++compared;
    CHECK(code == expected_code(*row));
  }
  CHECK(compared > 270);
}
