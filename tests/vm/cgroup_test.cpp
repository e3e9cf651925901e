// Limits that the kernel holds: needs cgroup v2 with its memory and pids controllers, which the containers that the other
// tests run in do not have.
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using namespace hawser::supervisor::testing;

namespace {

// Two plugins whose limits the kernel holds; "bank" is healthy.
struct Limited : Rig {
  explicit Limited(const std::string& shop) {
    add("shop", shop);
    add("bank", "{}");
    settings.plugins["acme.shop"].limits.memory_bytes = 16 * config::kMiB;
    settings.plugins["acme.shop"].limits.threads = 8;
    settings.serial = "TEST1";
    auto cgroups = CgroupTree::take_over();
    if (!cgroups) FAIL(cgroups.error().message);
    supervisor = std::make_unique<Supervisor>(
        loop, settings,
        Paths{folder.path() / "plugins", folder.path() / "state", HAWSER_SCRIPTED_HOST, folder.path() / "trust.d"},
        cloud, quick(), std::move(cgroups));
    supervisor->start();
  }
  bool until_told(const std::string& reason) {
    return until(
        [&] {
          for (const auto& event : cloud.events) {
            if (event.kind == "plugin_state" && event.reason == reason) return true;
          }
          return false;
        },
        60s);
  }
};

}  // namespace

TEST_CASE("[iso-6] a plugin that leaks is ended by memory.max and told as out of memory, and the other one stays up") {
  Limited rig(R"({"behave":"leaks"})");
  REQUIRE(rig.until([&] { return rig.plugin("bank").state() == PluginState::Ready; }, 60s));
  const std::string bank = rig.plugin("bank").instance();
  CHECK(rig.until_told("out_of_memory"));
  CHECK(rig.plugin("bank").state() == PluginState::Ready);
  CHECK(rig.plugin("bank").instance() == bank);
}

TEST_CASE("[iso-6] pids.max holds the processes of a plugin that forks without end") {
  Limited rig(R"({"behave":"forks"})");
  std::optional<std::string> forked;
  REQUIRE(rig.until([&] { return (forked = rig.cloud.take("forked")).has_value(); }, 60s));
  CHECK(std::stoi(*forked) == 7);  // and the host itself
  CHECK(rig.until_state("bank", PluginState::Ready));
}
