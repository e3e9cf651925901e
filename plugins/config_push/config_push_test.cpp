#include "config_push.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "encoding.hpp"
#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

namespace hawser::config_push {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using namespace std::chrono_literals;
using sdk::testing::FakeHost;
using sdk::testing::FakeSubconnection;

std::string to_base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned bits = 0;
    for (std::size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) text += i + k > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63];
  }
  return text;
}

std::string sha256(const std::string& bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.hex();
}

// A device whose folders outlive one run of the plugin.
struct Device {
  std::string root, etc, state;
  Device() {
    // In memory where that is to be had: these tests sync files hundreds of times.
    std::string name =
        (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/hawser_push_test_XXXXXX");
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    etc = root + "/etc";
    state = root + "/state";
    fs::create_directories(etc + "/app");
    fs::create_directories(state);
  }
  ~Device() { fs::remove_all(root); }
  std::string path(const std::string& name) const { return etc + "/app/" + name; }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    if (!file) return "(none)";
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Names of what lies in the folder: nothing that was staged may stay there.
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(etc + "/app"), fs::directory_iterator()));
  }
  Json file(const std::string& name, const std::string& content) const {
    return {{"path", path(name)}, {"content_b64", to_base64(content)}, {"sha256", sha256(content)}};
  }
  Json removal(const std::string& name) const { return {{"path", path(name)}, {"delete", true}}; }
};

std::string order(const std::string& revision, const Json& files, const Json& more = Json::object()) {
  Json json = {{"type", "apply"}, {"revision", revision}, {"mode", "apply"}, {"confirm_timeout_s", 60},
               {"part", 1},       {"parts", 1},           {"files", files},  {"reload", Json::array()}};
  json.update(more);
  // {x} is x itself for nlohmann::json, not a list of it.
  for (const char* list : {"files", "reload"}) {
    if (!json[list].is_array()) json[list] = Json::array({json[list]});
  }
  return json.dump();
}

// One run of the plugin. Leaving the scope is kill -9.
struct Run {
  FakeHost host;
  FakeSubconnection* cloud = nullptr;

  explicit Run(const Device& device, bool acks = true, const std::function<void(FakeHost&)>& prepare = {}) {
    host.facts["plugin.state_dir"] = device.state;
    host.actions["reload"] = {{.exit_code = 0}};
    if (prepare) prepare(host);
    REQUIRE(host.load(sdk::Binding<ConfigPush>::table));
    REQUIRE(host.start(Json{{"allowed", {device.etc + "/app/**"}}}.dump()) == HWS_OK);
    if (!host.has_subconnection()) return;
    connect(acks);
  }
  void connect(bool acks = true) {
    cloud = &host.subconnection("config_push");
    cloud->acks_at_once = acks;
    cloud->open();
    if (acks) cloud->ack_all();
  }
  std::vector<Json> statuses() const {
    std::vector<Json> all;
    for (const auto& message : cloud->durable_sent) all.push_back(Json::parse(message.data));
    return all;
  }
  // "received applied confirmed"
  std::string states() const {
    std::string text;
    for (const Json& status : statuses()) text += (text.empty() ? "" : " ") + status.at("state").get<std::string>();
    return text;
  }
  Json last() const { return statuses().back(); }
  bool reaches(const std::string& state) {
    return host.run_until([&] {
      if (!cloud && host.has_subconnection()) connect();
      return cloud && !cloud->durable_sent.empty() && last().at("state") == state;
    });
  }
};

TEST_CASE("[cfg-1] a revision is applied all or nothing: new, changed and removed files, then the reload") {
  Device device;
  device.write("changed", "old");
  device.write("removed", "old");
  Run run(device);
  std::string seen_by_reload;
  run.host.actions["reload"] = {{.effect = [&] { seen_by_reload = device.read("changed") + device.read("new"); }}};
  const Json files = {device.file("changed", "new text"), device.file("new", std::string("\0binary\xff", 8)),
                      device.removal("removed"), device.removal("never there")};
  CHECK(run.cloud->durable(order("r1", files, {{"reload", {"reload"}}})).status == HWS_OK);
  REQUIRE(run.reaches("confirmed"));
  CHECK(run.states() == "received applied confirmed");
  CHECK(device.read("changed") == "new text");
  CHECK(device.read("new") == std::string("\0binary\xff", 8));
  CHECK(device.read("removed") == "(none)");
  CHECK(device.entries() == 2);
  CHECK(seen_by_reload == "new text" + std::string("\0binary\xff", 8));
  CHECK(run.host.actions_run == std::vector<std::string>{"reload"});
  CHECK_FALSE(fs::exists(device.state + "/journal.json"));
  CHECK(run.host.longest_callback() < 250ms);
}

TEST_CASE("[cfg-1] mode and owner are set as the revision says, and kept where it says nothing") {
  Device device;
  device.write("kept", "old");
  fs::permissions(device.path("kept"), fs::perms(0604));
  Run run(device);
  Json secret = device.file("secret", "x"), plain = device.file("plain", "x");
  secret["mode"] = "0600";
  secret["owner"] = std::to_string(::geteuid());
  run.cloud->durable(order("r1", {device.file("kept", "new"), secret, plain}));
  REQUIRE(run.reaches("confirmed"));
  const auto mode = [&](const char* name) {
    return static_cast<unsigned>(fs::status(device.path(name)).permissions());
  };
  CHECK(mode("kept") == 0604);
  CHECK(mode("secret") == 0600);
  CHECK(mode("plain") == 0644);
}

TEST_CASE("[cfg-2] a reload that fails puts every old file back and runs again; the cloud learns why") {
  Device device;
  device.write("changed", "old");
  device.write("removed", "old too");
  fs::permissions(device.path("changed"), fs::perms(0640));
  Run run(device);
  std::string seen_by_second;
  run.host.actions["reload"] = {{.exit_code = 1, .output = "syntax error in line 3"},
                                {.exit_code = 0, .effect = [&] { seen_by_second = device.read("changed"); }}};
  const Json files = {device.file("changed", "bad"), device.file("new", "x"), device.removal("removed")};
  run.cloud->durable(order("r1", files, {{"reload", {"reload"}}}));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(run.states() == "received rolled_back");
  CHECK(run.last().at("reason") == "reload_failed");
  CHECK(run.last().at("detail").get<std::string>().find("syntax error in line 3") != std::string::npos);
  CHECK(device.read("changed") == "old");
  CHECK(static_cast<unsigned>(fs::status(device.path("changed")).permissions()) == 0640);
  CHECK(device.read("removed") == "old too");
  CHECK(device.entries() == 2);
  CHECK(seen_by_second == "old");
  CHECK(run.host.actions_run.size() == 2);
}

TEST_CASE("[cfg-2] when even the old files do not reload the revision has failed, with the old files in place") {
  Device device;
  device.write("a", "old");
  Run run(device);
  run.host.actions["reload"] = {{.exit_code = 1}};
  run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
  REQUIRE(run.reaches("failed"));
  CHECK(device.read("a") == "old");
}

TEST_CASE("[cfg-1] a reload action that the operator did not define undoes the revision") {
  Device device;
  device.write("a", "old");
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"format-disk"}}}));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(run.last().at("reason") == "reload_failed");
  CHECK(device.read("a") == "old");
  CHECK(run.host.actions_run.empty());
}

TEST_CASE("[cfg-2] not confirmed in time: everything is put back and reloaded") {
  Device device;
  device.write("a", "old");
  SECTION("the cloud cannot be reached") {
    Run run(device);
    run.host.cloud = FakeHost::Cloud::out_of_reach;
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.reaches("applied"));
    CHECK(device.read("a") == "new");
    REQUIRE(run.reaches("rolled_back"));
    CHECK(run.last().at("reason") == "not_confirmed");
    CHECK(run.host.actions_run.size() == 2);
  }
  SECTION("the status is not acknowledged") {
    Run run(device, false);
    run.cloud->durable(order("r1", {device.file("a", "new")}));
    REQUIRE(run.reaches("rolled_back"));
  }
  CHECK(device.read("a") == "old");
}

TEST_CASE("[cfg-2] confirmed takes both: the cloud reached, and \"applied\" acknowledged") {
  Device device;
  Run run(device, false);
  run.host.cloud = FakeHost::Cloud::silent;
  run.cloud->durable(order("r1", {device.file("a", "new")}));
  REQUIRE(run.reaches("applied"));
  SECTION("first the acknowledgement") {
    run.cloud->ack_all();
    CHECK(run.states() == "received applied");
    run.host.answer_reached(true);
  }
  SECTION("first the sign of life") {
    run.host.answer_reached(true);
    run.cloud->ack(1);  // of "received" only
    CHECK(run.states() == "received applied");
    run.cloud->ack_all();
  }
  CHECK(run.states() == "received applied confirmed");
  run.host.advance(10min);
  CHECK(device.read("a") == "new");
}

TEST_CASE("[cfg-2] a host that cannot tell whether the cloud is reached: the acknowledgement alone confirms") {
  Device device;
  Run run(device, true, [](FakeHost& host) { host.has_cloud = false; });
  run.cloud->durable(order("r1", {device.file("a", "new")}));
  REQUIRE(run.reaches("confirmed"));
}

TEST_CASE("[cfg-3] check answers with a unified diff and changes nothing") {
  Device device;
  device.write("a", "one\ntwo\n");
  device.write("gone", "x\n");
  Run run(device);
  Json changed = device.file("a", "one\nTWO\n");
  changed["mode"] = "0600";
  const Json files = {changed, device.file("new", "n\n"), device.removal("gone"), device.file("same", "")};
  run.cloud->durable(order("r1", files, {{"mode", "check"}, {"reload", {"reload"}}}));
  REQUIRE(run.reaches("checked"));
  const std::string a = device.path("a");
  CHECK(run.last().at("diff") == "mode 0644 -> 0600 " + a + "\n--- " + a + "\n+++ " + a +
                                     "\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n--- /dev/null\n+++ " + device.path("new") +
                                     "\n@@ -0,0 +1 @@\n+n\n--- " + device.path("gone") +
                                     "\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
  CHECK(device.read("a") == "one\ntwo\n");
  CHECK(device.entries() == 2);
  CHECK(run.host.actions_run.empty());
}

TEST_CASE("[cfg-3] a second apply of the confirmed revision changes nothing, also after a restart") {
  Device device;
  {
    Run run(device);
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.reaches("confirmed"));
    struct stat before {
    }, after{};
    REQUIRE(::stat(device.path("a").c_str(), &before) == 0);
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.host.run_until([&] { return run.states() == "received applied confirmed confirmed"; }));
    REQUIRE(::stat(device.path("a").c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(run.host.actions_run.size() == 1);
    run.host.settle_down();  // all acknowledged
  }
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new")}), 1, "another-stream");
  REQUIRE(run.reaches("confirmed"));
  CHECK(run.states() == "confirmed");
}

TEST_CASE("[cfg-5] what is not allowed is rejected as a whole, before anything is touched") {
  Device device;
  device.write("a", "old");
  std::ofstream(device.etc + "/outside") << "x";
  fs::create_symlink(device.etc, device.path("link"));
  fs::create_symlink(device.path("a"), device.path("alias"));
  fs::create_directories(device.path("folder"));
  device.write("twice", "x");
  fs::create_hard_link(device.path("twice"), device.path("twin"));
  Run run(device);
  Json outside = device.file("a", "x"), up = outside, through = outside, digest = outside, mode = outside,
       owner = outside;
  outside["path"] = device.etc + "/outside";
  up["path"] = device.etc + "/app/../outside";
  through["path"] = device.path("link/outside");
  digest["sha256"] = sha256("y");
  mode["mode"] = "4755";
  owner["owner"] = "no such user";
  Json base64 = device.file("a", "x");
  base64["content_b64"] = "!!!!";
  int number = 0;
  for (const Json& bad :
       {outside, up, through, digest, mode, owner, base64, device.file("alias", "x"), device.file("folder", "x"),
        device.file("twice", "x"), device.file("no/such/folder", "x"), Json(7), Json(Json::object())}) {
    INFO(bad.dump());
    const std::string revision = "r" + std::to_string(++number);
    CHECK(run.cloud->durable(order(revision, {device.file("a", "new"), bad})).status == HWS_OK);
    REQUIRE(run.host.run_until([&] {
      return !run.statuses().empty() && run.last().at("revision") == revision && run.last().at("state") != "received";
    }));
    CHECK(run.last().at("state") == "rejected");
    CHECK(run.last().contains("reason"));
    CHECK(run.last().at("detail").get<std::string>().size() > 10);
    CHECK(device.read("a") == "old");
    run.host.settle_down();
  }
  CHECK(sdk::read_file(device.etc + "/outside", 10).value() == "x");
  CHECK(device.entries() == 6);
}

TEST_CASE("[cfg-5] the plugin's own state folder is never a target, whatever the operator allows") {
  Device device;
  Run run(device);
  REQUIRE(run.host.configure(R"({"allowed":["/**"]})", true) == HWS_OK);
  Json own = device.file("a", "x");
  own["path"] = device.state + "/last.json";
  run.cloud->durable(order("r1", {own}));
  REQUIRE(run.reaches("rejected"));
}

TEST_CASE("[cfg-5] a name that a staged file may have is no target, so none is swept away with it") {
  const Device device;
  device.write(".hawser-0.new", "precious\n");
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "x\n"), device.file(".hawser-0.new", "y\n")}));
  REQUIRE(run.reaches("rejected"));
  CHECK(run.last().at("reason") == "path_refused");
  CHECK(device.read(".hawser-0.new") == "precious\n");
  CHECK(device.read("a") == "(none)");
}

TEST_CASE("[cfg-5] a target that becomes a link after it was checked is refused at the swap, and all is put back") {
  Device device;
  device.write("a", "old a");
  device.write("b", "old b");
  std::ofstream(device.etc + "/victim") << "untouched";
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new a"), device.file("b", "new b")}));
  REQUIRE(run.host.run_until([&] { return device.read("a") == "new a"; }));
  fs::remove(device.path("b"));
  fs::create_symlink(device.etc + "/victim", device.path("b"));
  run.host.advance(1s);
  CHECK(sdk::read_file(device.etc + "/victim", 100).value() == "untouched");
  CHECK(device.read("a") == "old a");
  CHECK(run.last().at("state") == "failed");  // b cannot be put back over a link: it is said, and tried again
  fs::remove(device.path("b"));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(device.read("b") == "old b");
}

TEST_CASE("what is malformed is refused for good, or rejected where its revision can be read") {
  Device device;
  Run run(device);
  for (const char* bad : {"", "[]", "{}", R"({"type":"erase"})", R"({"type":"apply"})",
                          R"({"type":"apply","revision":""})", "\xff\xfe"}) {
    INFO(bad);
    CHECK(run.cloud->durable(bad).status == HWS_E_INVALID);
  }
  CHECK(run.statuses().empty());
  CHECK(run.cloud->durable(order("r1", Json::array(), {{"mode", "erase"}})).status == HWS_OK);
  CHECK(run.last().at("state") == "rejected");
  CHECK(run.cloud->durable(order("r2", Json::array())).status == HWS_OK);
  REQUIRE(
      run.host.run_until([&] { return run.last().at("revision") == "r2" && run.last().at("state") == "rejected"; }));
}

TEST_CASE("a second revision while one is open is rejected as busy, and the first goes on") {
  Device device;
  Run run(device);
  run.host.actions["reload"] = {{.holds = true}};
  run.cloud->durable(order("r1", {device.file("a", "one")}, {{"reload", {"reload"}}}));
  REQUIRE(run.host.run_until([&] { return !run.host.actions_run.empty(); }));
  CHECK(run.cloud->durable(order("r2", {device.file("a", "two")}, {{"parts", 2}})).status == HWS_OK);
  CHECK(run.cloud->durable(order("r2", {device.file("b", "two")}, {{"parts", 2}, {"part", 2}})).status == HWS_OK);
  CHECK(run.states() == "received rejected");
  CHECK(run.last().at("reason") == "busy");
  run.host.finish_held_action(0);
  REQUIRE(run.reaches("confirmed"));
  CHECK(device.read("a") == "one");
  run.host.settle_down();
  run.host.actions["reload"] = {{.exit_code = 0}};
  run.cloud->durable(order("r3", {device.file("a", "three")}));
  REQUIRE(run.host.run_until([&] { return device.read("a") == "three"; }));
}

TEST_CASE("a revision in parts, a file over two of them, is put together and nothing is written before the last") {
  Device device;
  Run run(device);
  const std::string content(5000, 'x');
  Json begin = device.file("big", content), end = begin;
  begin["content_b64"] = to_base64(content.substr(0, 3000));
  end["content_b64"] = to_base64(content.substr(3000));
  end["offset"] = 3000;

  run.cloud->durable(order("r1", {begin}, {{"parts", 2}, {"part", 1}}));
  run.host.advance(1min);
  CHECK(run.statuses().empty());
  CHECK(device.entries() == 0);
  SECTION("in one run") {
    run.cloud->durable(order("r1", {end, device.file("small", "s")}, {{"parts", 2}, {"part", 2}}));
    REQUIRE(run.reaches("confirmed"));
    CHECK(device.read("big") == content);
  }
  SECTION("a wrong offset") {
    end["offset"] = 2999;
    run.cloud->durable(order("r1", {end}, {{"parts", 2}, {"part", 2}}));
    REQUIRE(run.reaches("rejected"));
  }
  SECTION("unequal orders") {
    run.cloud->durable(order("r1", {end}, {{"parts", 2}, {"part", 2}, {"reload", {"reload"}}}));
    REQUIRE(run.reaches("rejected"));
  }
  SECTION("the second part never comes") {
    run.host.advance(11min);
    CHECK(run.states() == "failed");
    CHECK(run.last().at("reason") == "parts_missing");
  }
  SECTION("another revision begins") {
    run.cloud->durable(order("r2", {device.file("a", "two")}));
    REQUIRE(run.reaches("confirmed"));
    CHECK(run.states() == "failed received applied confirmed");
  }
  SECTION("a later part without its first") {
    run.cloud->durable(order("r9", {end}, {{"parts", 2}, {"part", 2}}));
    CHECK(run.last().at("reason") == "parts_missing");
    CHECK(run.last().at("revision") == "r9");
  }
}

TEST_CASE("parts survive a kill between them, and a message that comes again is taken once") {
  Device device;
  const std::string first = order("r1", {device.file("a", "A")}, {{"parts", 2}, {"part", 1}});
  const std::string second = order("r1", {device.file("b", "B")}, {{"parts", 2}, {"part", 2}});
  { Run(device).cloud->durable(first, 7); }
  { Run(device).cloud->durable(first, 7); }  // it was taken, but its acknowledgement got lost
  {
    Run run(device);
    run.cloud->durable(second, 8);
  }  // killed with the last part on disk, before the first step
  {
    Run run(device);
    REQUIRE(run.reaches("confirmed"));
    CHECK(device.read("a") + device.read("b") == "AB");
  }
  Run run(device);
  CHECK(run.cloud->durable(second, 8).status == HWS_OK);  // again, after it was done
  run.host.advance(1s);
  CHECK(run.statuses().empty());
}

TEST_CASE("[cfg-2] killed at any step, the next start puts everything back before it connects, or goes on untouched") {
  int rolled_back = 0, confirmed = 0;
  for (int kill_after = 0; kill_after < 40; ++kill_after) {
    INFO("killed after " << kill_after << " turns");
    Device device;
    device.write("a", "old a");
    device.write("b", "old b");
    bool was_confirmed = false;
    {
      Run run(device);
      run.cloud->acks_at_once = true;
      const Json files = {device.file("a", "new a"), device.file("c", "new c"), device.removal("b")};
      run.cloud->durable(order("r1", files, {{"reload", {"reload"}}}));
      int turns = 0;
      run.host.run_until([&] { return turns++ >= kill_after; }, 30s);
      was_confirmed = run.states().find("confirmed") != std::string::npos;
    }
    const bool had_journal = fs::exists(device.state + "/journal.json");
    Run run(device);
    if (had_journal) {
      CHECK(run.cloud == nullptr);  // not connected before the old files are back
      REQUIRE(run.host.run_until([&] { return run.host.has_subconnection(); }));
      const bool back = device.read("a") == "old a" && device.read("b") == "old b" && device.read("c") == "(none)";
      const bool kept = device.read("a") == "new a" && device.read("b") == "(none)" && device.read("c") == "new c";
      CHECK((back || kept));
      run.connect();
      CHECK(run.last().at("state") == (back ? "rolled_back" : "confirmed"));
      if (back) CHECK(run.last().at("reason") == "agent_restarted");
      (back ? rolled_back : confirmed)++;
    } else if (was_confirmed) {
      CHECK(device.read("a") == "new a");
    } else {
      REQUIRE(run.reaches("confirmed"));  // nothing had been touched: it went on from the parts
      CHECK(device.read("c") == "new c");
    }
    run.host.settle_down();
    CHECK_FALSE(fs::exists(device.state + "/journal.json"));
    for (const auto& entry : fs::directory_iterator(device.etc + "/app")) {
      CHECK(entry.path().filename().string().find(".hawser-") == std::string::npos);
    }
  }
  CHECK(rolled_back >= 5);
}

TEST_CASE("[cfg-2] killed at any step of putting back, the next start ends it") {
  for (int kill_after = 0; kill_after < 16; ++kill_after) {
    INFO("killed after " << kill_after << " turns");
    Device device;
    device.write("a", "old a");
    {
      Run run(device);
      run.host.actions["reload"] = {{.exit_code = 1}, {.exit_code = 0}};
      run.cloud->durable(order("r1", {device.file("a", "new a"), device.file("c", "new c")}, {{"reload", {"reload"}}}));
      REQUIRE(run.host.run_until([&] { return run.host.actions_run.size() == 1; }));
      int turns = 0;
      run.host.run_until([&] { return turns++ >= kill_after; }, 30s);
    }
    Run run(device);
    REQUIRE(run.host.run_until([&] { return run.host.has_subconnection(); }));
    CHECK(device.read("a") == "old a");
    CHECK(device.read("c") == "(none)");
    CHECK(device.entries() == 1);
  }
}

TEST_CASE("[cfg-2] the cloud learns of a final status even if the device restarts before it was sent") {
  Device device;
  {
    Run run(device, false);
    run.cloud->outbox_full = true;
    run.cloud->durable(order("r1", {device.file("a", "x")}, {{"reload", {"unknown"}}}));
    run.host.advance(1s);
    CHECK(run.statuses().empty());
  }
  Run run(device);
  CHECK(run.states() == "received rolled_back");
}

TEST_CASE("a journal that cannot be read stops the plugin with a sentence that says what to do") {
  Device device;
  std::ofstream(device.state + "/journal.json") << "{";
  FakeHost host;
  host.facts["plugin.state_dir"] = device.state;
  REQUIRE(host.load(sdk::Binding<ConfigPush>::table));
  CHECK(host.start("{}") == HWS_E_FAIL);
  CHECK(host.refusal.find("put them back by hand") != std::string::npos);
}

}  // namespace
}  // namespace hawser::config_push
