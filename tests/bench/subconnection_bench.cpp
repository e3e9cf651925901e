// Messages over one subconnection's WebSocket beside a bare TLS socket, against the same sink, in one run.
// usage: subconnection_bench CA_FILE CERTIFICATE KEY; prints one JSON object. tests/bench/run makes the files.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "core/transport/websocket.hpp"
#include "tests/bench/raw_tls.hpp"
#include "tests/bench/sink.hpp"

namespace {

using namespace std::chrono_literals;
using hawser::TimePoint;
namespace transport = hawser::transport;

constexpr std::size_t kHeaderBytes = 9;  // kind and number of a durable message
constexpr auto kRunLimit = 60s;
constexpr auto kPause = 2ms;

struct Case {
  std::size_t message_bytes;
  std::size_t count;
};
constexpr Case kCases[] = {{64, 400'000}, {512, 200'000}, {4096, 60'000}, {65536, 6'000}};
constexpr int kRounds = 3;  // the best of these counts: what disturbs only ever adds

struct Figures {
  double seconds = 0;
  double cpu_seconds = 0;  // of this process: the sink is another one
};

double cpu_now() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

template <typename Work>
Figures measure(Work work) {
  const auto began = std::chrono::steady_clock::now();
  const double cpu = cpu_now();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), cpu_now() - cpu};
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "subconnection_bench: %s\n", what.c_str());
  std::exit(1);
}

// What a masked client frame of this payload takes on the wire, in frames of at most kFrameBytesMax.
std::size_t framed_bytes(std::size_t payload) {
  std::size_t total = 0;
  do {
    const std::size_t part = std::min(payload, transport::kFrameBytesMax);
    total += part + 4 + (part < 126 ? 2U : part < 65536 ? 4U : 10U);
    payload -= part;
  } while (payload > 0);
  return total;
}

class Silence : public transport::WebSocket::Listener {
  void on_text(std::string_view) override {}
  void on_binary(std::string_view) override {}
};

Figures run_websocket(const std::string& ca_file, std::uint16_t port, Case what) {
  hawser::Waker waker;
  transport::Dialer dialer({.ca_file = ca_file, .validity_floor = {}}, waker);
  const transport::Origin origin{"localhost", port};
  const TimePoint deadline = std::chrono::steady_clock::now() + kRunLimit;
  auto stream = dialer.dial(origin, deadline);
  if (!stream) fail("dialling the sink: " + stream.error().message);
  const std::size_t total = what.count * framed_bytes(kHeaderBytes + what.message_bytes);
  auto upgraded = transport::upgrade(std::move(*stream), waker,
                                     {.origin = origin,
                                      .path = "/websocket/" + std::to_string(total),
                                      .protocol = "hawser.bench.v1",
                                      .bearer = "",
                                      .message_bytes_max = 1024 * 1024},
                                     deadline);
  if (!upgraded || !upgraded->socket) fail("the upgrade was refused");
  transport::WebSocket& socket = *upgraded->socket;
  const std::string head(kHeaderBytes, '\2');
  const std::string body(what.message_bytes, 'm');
  Silence silence;
  return measure([&] {
    std::size_t sent = 0;
    for (;;) {
      while (sent < what.count && socket.writable()) {
        socket.send_binary(head, body);
        ++sent;
      }
      // A turn in which the kernel takes everything would otherwise wait for the sink, which is silent till the end.
      const TimePoint until = sent < what.count ? std::chrono::steady_clock::now() + kPause : deadline;
      if (socket.turn(silence, until) == transport::WebSocket::Turn::Closed) break;
      if (std::chrono::steady_clock::now() >= deadline) fail("the sink did not take everything in time");
    }
    if (socket.closing().code != 1000) fail("the WebSocket ended early: " + socket.closing().detail);
  });
}

Figures run_raw(const std::string& ca_file, std::uint16_t port, Case what) {
  hawser::bench::RawTls raw(ca_file, port);
  const std::string message(kHeaderBytes + what.message_bytes, 'm');
  raw.send("GET /raw/" + std::to_string(what.count * message.size()) + " HTTP/1.1\r\n\r\n");
  return measure([&] {
    for (std::size_t i = 0; i < what.count; ++i) raw.send(message);
    raw.wait_for_end();
  });
}

template <typename Run>
Figures best_of(Run run) {
  Figures best;
  for (int i = 0; i < kRounds; ++i) {
    const Figures figures = run();
    if (i == 0 || figures.cpu_seconds < best.cpu_seconds) best = figures;
  }
  return best;
}

void print(const char* name, const Figures& figures, std::size_t count) {
  const double messages = static_cast<double>(count);
  std::printf("\"%s\":{\"messages_per_s\":%.0f,\"cpu_us_per_message\":%.3f}", name, messages / figures.seconds,
              figures.cpu_seconds * 1e6 / messages);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: subconnection_bench CA_FILE CERTIFICATE KEY\n", stderr);
    return 64;
  }
  hawser::bench::Sink sink(argv[2], argv[3]);  // forks: before any thread
  std::printf("{\"rows\":[");
  const char* separator = "";
  for (const Case& what : kCases) {
    const Figures raw = best_of([&] { return run_raw(argv[1], sink.port(), what); });
    const Figures socket = best_of([&] { return run_websocket(argv[1], sink.port(), what); });
    std::printf("%s{\"message_bytes\":%zu,\"messages\":%zu,", separator, what.message_bytes, what.count);
    print("raw", raw, what.count);
    std::printf(",");
    print("subconnection", socket, what.count);
    std::printf(",\"cpu_ratio\":%.3f}", socket.cpu_seconds / raw.cpu_seconds);
    separator = ",";
  }
  std::printf("]}\n");
  return 0;
}
