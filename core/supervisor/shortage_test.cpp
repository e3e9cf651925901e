// When the system has no more to give, to the agent or to a plugin, and when a plugin takes all there is of the log.
#include <linux/capability.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sstream>

#include "core/supervisor/supervisor.hpp"
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::Rig;

namespace {

constexpr uid_t kNobody = 65534;

// While it lives, a limit of this process is this low.
class Short {
 public:
  Short(__rlimit_resource resource, rlim_t most) : resource_(resource) {
    REQUIRE(::getrlimit(resource, &before_) == 0);
    const rlimit low{most, before_.rlim_max};
    REQUIRE(::setrlimit(resource, &low) == 0);
  }
  Short(const Short&) = delete;
  Short& operator=(const Short&) = delete;
  ~Short() { ::setrlimit(resource_, &before_); }

 private:
  const __rlimit_resource resource_;
  rlimit before_{};
};

// While it lives, the limit of processes holds for us too, although we are root.
class Countable {
 public:
  Countable() {
    REQUIRE(::syscall(SYS_capget, &header_, before_) == 0);
    REQUIRE(::setresuid(kNobody, 0, 0) == 0);
    __user_cap_data_struct fewer[2] = {before_[0], before_[1]};
    fewer[0].effective &= ~((1u << CAP_SYS_RESOURCE) | (1u << CAP_SYS_ADMIN));
    REQUIRE(::syscall(SYS_capset, &header_, fewer) == 0);
  }
  Countable(const Countable&) = delete;
  Countable& operator=(const Countable&) = delete;
  ~Countable() {
    ::syscall(SYS_capset, &header_, before_);
    if (::setresuid(0, 0, 0) != 0) ::_exit(1);
  }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2] = {};
};

// What is logged while it lives.
class Log {
 public:
  Log() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log() { spdlog::set_default_logger(before_); }

  std::size_t count(const std::string& part) const {
    std::istringstream lines(text_.str());
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line);) count += has(line, part) ? 1 : 0;
    return count;
  }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
};

}  // namespace

TEST_CASE("[F80] out of descriptors, a plugin's start is named and tried again") {
  Rig rig;
  rig.add("shop", "{}");
  auto& supervisor = rig.make();
  {
    const Short descriptors(RLIMIT_NOFILE, 3);
    supervisor.start();
  }
  CHECK(rig.plugin("shop").state() == PluginState::Backoff);
  CHECK(has(rig.plugin("shop").reason().message, "Too many open files"));
  CHECK(rig.until_state("shop", PluginState::Ready));
}

TEST_CASE("[F81] out of processes, a plugin's start is named and tried again") {
  if (::getuid() != 0) {
    WARN("needs root");
    return;
  }
  Rig rig;
  rig.add("shop", "{}");
  auto& supervisor = rig.make();
  {
    const Countable like_others;
    const Short processes(RLIMIT_NPROC, 0);
    supervisor.start();
  }
  CHECK(rig.plugin("shop").state() == PluginState::Backoff);
  INFO(rig.plugin("shop").reason().message);
  CHECK(has(rig.plugin("shop").reason().message, "Resource temporarily unavailable"));
  CHECK(rig.until_state("shop", PluginState::Ready));
}

TEST_CASE("[F74] [iso-6] a host whose allocation fails is told as out of memory, with the limit and how to lift it") {
  Rig rig;
  rig.add("shop", R"({"behave":"no_memory"})");
  rig.settings.plugins["acme.shop"].limits.memory_bytes = 128 * config::kMiB;
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == "out_of_memory");
  CHECK(rig.plugin("shop").reason().message ==
        "an allocation failed in timer(): it wanted more than its limit memory_bytes = 134217728 (128 MiB of memory); "
        "to lift it, raise memory_bytes in [limits] of plugins.d/acme.shop.toml");
}

TEST_CASE("[F75] a plugin whose health never holds still gets its share of the log, and what is left out is counted") {
  Rig rig;
  const Log log;
  rig.add("shop", R"({"behave":"flickers"})");
  rig.make().start();
  REQUIRE(rig.until([&] { return log.count("(host ready)") > 0; }));  // its state may flicker past us
  const TimePoint began = Clock::now();
  rig.until([] { return false; }, 3s);
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  const auto changes = static_cast<double>(log.count("(health "));
  CHECK(changes <= kLogLinesBurst + kLogLinesPerSecond * (seconds + 1));
  CHECK(changes >= kLogLinesBurst / 2);
  const auto left_out = static_cast<double>(log.count("log lines were left out, more than 20 a second"));
  CHECK(left_out >= 1);
  CHECK(left_out <= seconds + 2);
  CHECK(rig.plugin("shop").restarts() == 0);
}
