// `state --watch`, by the real hawserctl against a small server.
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <optional>

#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

// An agent whose state the test changes while somebody watches.
struct ChangingAgent {
  TestFolder folder;
  std::string socket = (folder.path() / "control.sock").string();
  std::atomic<int> drops{0}, asked{0};
  std::optional<ServerThread> server;

  void start() {
    server.emplace(socket, [this](Loop&) -> ControlServer::Handler {
      return [this](Request, Reply reply) {
        auto state = json::make_object();
        state->set("cloud_connection_state", "Established");
        state->set("duration_s", ++asked);  // moves by itself
        state->set("total_dropped_packets", drops.load());
        reply(state);
      };
    });
    REQUIRE(server->status());
  }
};

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("[state-1] state --watch prints one block a change to a pipe, and survives a restart of the agent") {
  ChangingAgent agent;
  agent.start();
  Running watch({"--socket", agent.socket, "state", "--watch"});
  watch.wait_for("Total dropped packets                       : 0\n");
  watch.wait_for("No subconnections.\n\n");
  const int seen = agent.asked;
  while (agent.asked < seen + 2) std::this_thread::yield();  // it looks on, and finds no change
  agent.drops = 7;
  const std::string two = watch.wait_for("Total dropped packets                       : 7\n");
  CHECK(count_of(two, "Cloud connection state") == 2);
  agent.server.reset();
  CHECK(watch.wait_for("Waiting for it.").find("hawserctl: no agent is running: nothing listens at ") !=
        std::string::npos);
  watch.forget();
  agent.start();
  CHECK(watch.wait_for("No subconnections.\n\n").find("Cloud connection state") != std::string::npos);
  CHECK(watch.end(SIGINT) == 0);
}

TEST_CASE("[state-1] state --watch --json prints one line a change") {
  ChangingAgent agent;
  agent.start();
  Running watch({"--socket", agent.socket, "state", "--watch", "--json"});
  watch.wait_for("\n");
  agent.drops = 3;
  const std::string text = watch.wait_for("\"total_dropped_packets\":3}\n");
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    CHECK(json::parse_object(text.substr(at, text.find('\n', at) - at)));
  agent.server.reset();
  CHECK(watch.wait_for("not_running").find("{\"error\":{\"code\":\"not_running\"") != std::string::npos);
  CHECK(watch.end(SIGTERM) == 0);
}

TEST_CASE("state --watch ends when its reader is gone, and exits 3 where no agent ever was") {
  ChangingAgent agent;
  agent.start();
  Running watch({"--socket", agent.socket, "state", "--watch"});
  watch.wait_for("\n");
  watch.close_pipe();
  CHECK(watch.end(0) == 0);
  CHECK(run({"--socket", "/nonexistent/x", "state", "--watch"}).exit == 3);
}

TEST_CASE("[state-1] B29 state --watch redraws a terminal, never longer than it, and ends on Ctrl-C") {
  ChangingAgent agent;
  agent.start();
  Descriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  REQUIRE(::grantpt(terminal.get()) == 0);
  REQUIRE(::unlockpt(terminal.get()) == 0);
  winsize size{};
  size.ws_row = 12;
  size.ws_col = 20;
  const Descriptor inner(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(::ioctl(inner.get(), TIOCSWINSZ, &size) == 0);
  Running watch({"--socket", agent.socket, "state", "--watch"}, std::move(terminal), inner.get());
  watch.wait_for("\x1b[H\x1b[J");
  watch.wait_for(
      "\x1b[H\x1b[J"
      "x",
      std::chrono::milliseconds(1500));  // nothing to find: time for a second drawing
  const std::string text = watch.wait_for("\x1b[H\x1b[J");
  CHECK(count_of(text, "\x1b[H\x1b[J") >= 2);
  const std::string first = text.substr(0, text.find("\x1b[H\x1b[J", 1));
  CHECK(count_of(first, "\n") <= 11);
  CHECK(watch.end(SIGINT) == 0);
}
