// What hangs on a terminal: the password that nobody sees, and Ctrl-C while something hangs. By the real hawserctl.
#include <sys/socket.h>
#include <termios.h>

#include <csignal>

#include "core/config/load.hpp"
#include "core/control/run_hawserctl.hpp"
#include "core/control/socket_address.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;
using namespace std::chrono_literals;

namespace {

struct Pty {
  Descriptor outer{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)}, inner;
  Pty() {
    REQUIRE(::grantpt(outer.get()) == 0);
    REQUIRE(::unlockpt(outer.get()) == 0);
    inner.reset(::open(::ptsname(outer.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    REQUIRE(inner);
  }
  bool echoes() const {
    termios now{};
    REQUIRE(::tcgetattr(inner.get(), &now) == 0);
    return (now.c_lflag & ECHO) != 0;
  }
};

struct Device {
  TestFolder folder;
  Device() {
    folder.write("etc/hawser.toml",
                 "[device]\nserial = \"S1\"\nmodel = \"M\"\n[[cloud.server]]\ndomain = \"a.example\"\n");
  }
  std::vector<std::string> words() const {
    const std::string base = folder.path().string();
    return {"--config", base + "/etc",  "--state-dir", base + "/state",
            "--socket", base + "/none", "server",      "password"};
  }
  std::string password() const {
    config::DeviceSources sources;
    sources.state_dir = folder.path() / "state";
    const auto loaded = config::load(folder.path() / "etc", sources);
    REQUIRE(loaded.settings);
    return loaded.settings->password;
  }
};

// Takes connections, and never says a word.
struct MuteAgent {
  TestFolder folder;
  std::string path = (folder.path() / "control.sock").string();
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  MuteAgent() {
    const auto address = socket_address(path);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
    REQUIRE(::listen(socket.get(), 4) == 0);
  }
};

}  // namespace

TEST_CASE("[conn-15] a password is typed twice without an echo, and the terminal is as before") {
  const Device device;
  Pty pty;
  Descriptor outer(::dup(pty.outer.get()));
  Running ctl(device.words(), std::move(outer), pty.inner.get());
  ctl.wait_for("New password: ");
  CHECK(!pty.echoes());
  REQUIRE(ctl.type("open sesame\n"));
  ctl.wait_for("Once more: ");
  REQUIRE(ctl.type("open sesame\n"));
  const std::string shown = ctl.wait_for("Written to ");
  CHECK(ctl.end(0) == 0);
  CHECK(shown.find("sesame") == std::string::npos);
  CHECK(pty.echoes());
  CHECK(device.password() == "open sesame");
}

TEST_CASE("[conn-15] two passwords that differ change nothing") {
  const Device device;
  Pty pty;
  Running ctl(device.words(), Descriptor(::dup(pty.outer.get())), pty.inner.get());
  ctl.wait_for("New password: ");
  REQUIRE(ctl.type("open sesame\n"));
  ctl.wait_for("Once more: ");
  REQUIRE(ctl.type("open sesam\n"));
  CHECK(ctl.wait_for("nothing was changed").find("the two passwords differ") != std::string::npos);
  CHECK(ctl.end(0) == 1);
  CHECK(pty.echoes());
  CHECK(device.password() == "");
  CHECK(!std::filesystem::exists(device.folder.path() / "state"));
}

TEST_CASE("[conn-15] a signal at the password prompt ends it, and the terminal shows again what is typed") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    const Device device;
    Pty pty;
    Running ctl(device.words(), Descriptor(::dup(pty.outer.get())), pty.inner.get());
    ctl.wait_for("New password: ");
    REQUIRE(!pty.echoes());
    const int code = ctl.end(signal);
    CHECK(code == 1000 + signal);
    CHECK(pty.echoes());
    CHECK(device.password() == "");
  }
}

TEST_CASE("[state-1] Ctrl-C ends state --watch at once also while the agent does not answer") {
  const MuteAgent agent;
  Running watch({"--socket", agent.path, "state", "--watch"});
  const Descriptor asked(::accept4(agent.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char first = 0;
  REQUIRE(::read(asked.get(), &first, 1) == 1);  // it asks, and waits now
  const TimePoint before = Clock::now();
  CHECK(watch.end(SIGINT) == 0);
  CHECK(Clock::now() - before < 5s);  // an answer has 30 s
}
