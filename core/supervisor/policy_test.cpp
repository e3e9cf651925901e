// What a plugin's host may use and who it is: uids, state folders, limits, and what happens over one.
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "core/supervisor/cgroup_tree.hpp"
#include "core/supervisor/disk_walk.hpp"
#include "core/supervisor/plugin_policies.hpp"
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using namespace hawser::supervisor::testing;
namespace fs = std::filesystem;

namespace {

config::PluginLimits usual_limits() {
  config::PluginLimits limits;
  for (const auto& row : config::kLimitRows) limits.*row.member = row.usual;
  return limits;
}

struct stat about(const fs::path& path) {
  struct stat about {};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  return about;
}

// One watched process, our own, and what was told of it.
struct Watched {
  explicit Watched(config::PluginLimits limits) {
    watch.watch("acme.shop", {::getpid(), limits, {}, folder.path(), "plugins.d/acme.shop.toml"});
  }
  ~Watched() {  // it may have been restrained, which ends with a host
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_OTHER, &none);
  }
  Loop loop;
  TestFolder folder;
  std::vector<Error> told;
  ResourceWatch watch{loop, nullptr, [this](const std::string&, const Error& why) { told.push_back(why); }};
};

void use_processor(milliseconds time) {
  const auto end = std::clock() + time.count() * CLOCKS_PER_SEC / 1000;
  while (std::clock() < end) {
  }
}

}  // namespace

TEST_CASE("[iso-6] each limit is the smaller of the operator's and the manifest's, else the usual one") {
  trust::Manifest manifest;
  config::PluginSettings settings;
  Permissions permissions;
  manifest.limits.memory_bytes = 32 * config::kMiB;
  settings.limits.memory_bytes = 48 * config::kMiB;
  settings.limits.cpu_percent = 10;
  settings.limits.threads = 100;
  permissions.granted = {{config::Permission::Kind::Threads, "64"}, {config::Permission::Kind::State, "999999999"}};
  manifest.limits.bytes_per_second = 5000;
  settings.limits.bytes_per_second = 0;
  const auto limits = limits_of(manifest, permissions, settings);
  CHECK(limits.memory_bytes == 32 * config::kMiB);
  CHECK(limits.cpu_percent == 10);
  CHECK(limits.threads == 64);
  CHECK(limits.disk_bytes == 999'999'999);
  CHECK(limits.descriptors == 256);
  CHECK(limits.bytes_per_second == 5000);
  CHECK(limits.stall_s == 10);
}

TEST_CASE("[iso-6] who takes too much memory is named with the limit and how to lift it") {
  auto limits = usual_limits();
  limits.memory_bytes = 16 * config::kMiB;
  Watched host(limits);
  host.watch.look();
  const std::size_t before = host.told.size();  // a sanitizer takes more than the limit for itself
  const std::vector<char> memory(96 * config::kMiB, 'x');
  host.watch.look();
  host.watch.look();
  REQUIRE(host.told.size() == 1);
  CHECK(before <= 1);
  CHECK(host.told[0].code == "out_of_memory");
  CHECK(host.told[0].message.find("more than its limit memory_bytes = 16777216") != std::string::npos);
  CHECK(host.told[0].message.find("raise memory_bytes in [limits] of plugins.d/acme.shop.toml") != std::string::npos);
  CHECK(memory[5] == 'x');
}

TEST_CASE("[iso-6] who takes more of the processor than its share is told after two periods, not before") {
  auto limits = usual_limits();
  limits.memory_bytes = config::kLimitRows[0].most;
  limits.threads = 4096;
  limits.cpu_percent = 1;
  Watched host(limits);
  host.watch.look();
  use_processor(100ms);
  host.watch.look();
  CHECK(host.told.empty());
  use_processor(100ms);
  host.watch.look();
  REQUIRE(host.told.size() == 1);
  CHECK(host.told[0].code == "over_budget");
  CHECK(host.told[0].message.find("its limit cpu_percent = 1") != std::string::npos);
}

TEST_CASE("[iso-6] a state folder over its limit is told, added up in slices and through no link") {
  auto limits = usual_limits();
  limits.memory_bytes = config::kLimitRows[0].most;
  limits.disk_bytes = config::kMiB;
  Watched host(limits);
  const auto put = [&](const std::string& name, std::size_t bytes) {
    fs::create_directories((host.folder.path() / name).parent_path());
    std::ofstream(host.folder.path() / name) << std::string(bytes, 'x');
  };
  const TestFolder elsewhere;
  std::ofstream(elsewhere.path() / "big") << std::string(4 * config::kMiB, 'x');
  fs::create_directory_symlink(elsewhere.path(), host.folder.path() / "link");
  for (int i = 0; i < 400; ++i) put("a/b/" + std::to_string(i), 1000);
  const auto turned = [&] {
    const TimePoint end = Clock::now() + 10s;
    while (!host.watch.usage("acme.shop")->disk_bytes && Clock::now() < end) host.loop.turn(Clock::now() + 50ms);
    return host.watch.usage("acme.shop")->disk_bytes;
  };
  host.watch.look();
  CHECK_FALSE(host.watch.usage("acme.shop")->disk_bytes);  // more than one slice
  const auto bytes = turned();
  CHECK(bytes.value_or(0) >= 400 * DiskWalk::kEntryBytesLeast);
  if (*bytes > config::kMiB) return;  // a file system with large blocks has told already
  CHECK(host.told.empty());
  put("big", 2 * config::kMiB);
  host.watch.look();
  const TimePoint end = Clock::now() + 10s;
  while (host.told.empty() && Clock::now() < end) host.loop.turn(Clock::now() + 50ms);
  REQUIRE(host.told.size() == 1);
  CHECK(host.told[0].code == "over_budget");
  CHECK(host.told[0].message.find("its limit disk_bytes = 1048576") != std::string::npos);
}

TEST_CASE("[iso-7] each plugin has a uid of its own, the same after a restart, and never another's") {
  const TestFolder folder;
  uid_t first = 0, second = 0;
  {
    PluginUids uids(folder.path(), 50'000);
    first = *uids.uid_of("acme.one");
    second = *uids.uid_of("acme.two");
    CHECK(first == 50'000);
    CHECK(second == 50'001);
  }
  PluginUids again(folder.path(), 50'000);
  CHECK(again.uid_of("acme.two") == second);
  CHECK(again.uid_of("acme.three") == 50'002);
  again.set_first(60'000);
  CHECK(again.uid_of("acme.two") == 60'000);
  CHECK((about(folder.path() / PluginUids::kFile).st_mode & 0777) == 0600);
  std::ofstream(folder.path() / PluginUids::kFile) << "{broken";
  CHECK(PluginUids(folder.path(), 70'000).uid_of("acme.two") == 70'000);
}

TEST_CASE("[sec-5] a state folder is handed to the plugin's user once, through no link and with no second name") {
  if (::geteuid() != 0) return;
  const TestFolder folder;
  const fs::path state = folder.path() / "plugins/acme.shop";
  fs::create_directories(state / "spool/deep");
  for (const char* name : {"kept", "spool/deep/segment"}) std::ofstream(state / name) << "x";
  std::ofstream(folder.path() / "outside") << "x";
  fs::create_symlink(folder.path() / "outside", state / "link");
  fs::create_hard_link(folder.path() / "outside", state / "name");
  REQUIRE(prepare_state_folder(state, 50'123));
  CHECK(about(state).st_uid == 50'123);
  CHECK(about(state / "kept").st_uid == 50'123);
  CHECK(about(state / "spool/deep/segment").st_uid == 50'123);
  CHECK(about(folder.path() / "outside").st_uid == 0);
  std::ofstream(state / "made by root later") << "x";
  REQUIRE(prepare_state_folder(state, 50'123));
  CHECK(about(state / "made by root later").st_uid == 0);
}

TEST_CASE("[iso-6] our own cgroup is found where the system has version 2, also below a mount of a part of it") {
  const std::string mounts =
      "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
      "31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
  CHECK(*own_cgroup("5:cpu:/x\n0::/system.slice/hawserd.service\n", mounts) ==
        "/sys/fs/cgroup/system.slice/hawserd.service");
  CHECK(own_cgroup("0::/a/b\n", "31 24 0:27 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")->string() ==
        "/sys/fs/cgroup/b");
  CHECK(own_cgroup("4:memory:/x\n", mounts).error().code == "no_cgroup");
  CHECK(own_cgroup("0::/\n", "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n").error().code ==
        "no_cgroup");
}

TEST_CASE("[iso-7] each host has its walls, and other permissions or limits give that plugin alone another host") {
  Rig rig;
  rig.add("shop", "{}");
  rig.add("bank", "{}");
  rig.settings.plugins["acme.shop"].limits.descriptors = 99;
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  REQUIRE(rig.until_state("bank", PluginState::Ready));
  const Policy* policy = rig.supervisor->policies().in_force("acme.shop");
  REQUIRE(policy);
  const auto confinement = control::read_confinement(control::to_json(policy->confinement));
  REQUIRE(confinement);
  CHECK(confinement->descriptors == 99);
  CHECK(confinement->file_bytes == 256u * config::kMiB);
  CHECK(confinement->uid == policy->confinement.uid);
  CHECK_FALSE(confinement->may_execute);

  const std::string shop = rig.plugin("shop").instance(), bank = rig.plugin("bank").instance();
  const auto changed = [&] {
    rig.supervisor->configure(rig.settings);
    return rig.until([&] { return rig.plugin("shop").instance() != shop; }) &&
           rig.until_state("shop", PluginState::Ready);
  };
  SECTION("a limit") { rig.settings.plugins["acme.shop"].limits.threads = 16; }
  SECTION("a permission") { rig.settings.plugins["acme.shop"].permissions.emplace(); }
  CHECK(changed());
  CHECK(rig.plugin("bank").instance() == bank);
}

TEST_CASE("[iso-7] an action without its permission is not run, and the refusal says what to change") {
  Rig rig;
  rig.add("shop", R"({"action":"greet","echo":true})");
  rig.settings.plugins["acme.shop"].actions["greet"].command = {"/bin/true"};
  rig.settings.plugins["acme.shop"].permissions.emplace();
  rig.make().start();
  CHECK(rig.echo("action_done").find("did not start: the plugin has no permission action:greet") != std::string::npos);
}
