#include "core/daemon/reloader.hpp"

#include "core/daemon/config_changes.hpp"
#include "core/daemon/test_house.hpp"

using namespace hawser;
using namespace hawser::daemon;

TEST_CASE("[ops-5] a reload answers which keys changed, or every fault while the old configuration goes on") {
  House house;
  const auto reload = [&house] {
    const auto answers = house.begin("config_reload");
    REQUIRE(house.rig.until([&] { return !answers->empty(); }));
    return answers->front();
  };
  house.next = {std::nullopt, {"a.toml:1:1: x: is wrong", "a.toml:2:1: y: is wrong, too"}, {}};
  const auto refused = reload();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "bad_config");
  CHECK(refused.error().message == "a.toml:1:1: x: is wrong\na.toml:2:1: y: is wrong, too");
  CHECK(house.applied == 0);
  CHECK(house.rig.settings.site == "branch-042");

  house.next = {house.rig.settings, {}, {"something odd"}};
  house.next.settings->site = "branch-043";
  house.next.settings->password = "SECRETtok123";
  house.next.settings->serial = "OTHER";
  house.next.settings->plugins["acme.shop"].config = json::parse_object(R"({"interval":6})").value();
  const auto taken = reload();
  REQUIRE(taken);
  const std::string text = json::to_text(*taken);
  INFO(text);
  CHECK(json::to_text(json::array_member(*taken, "changed").value()) ==
        R"(["cloud.password","device.site","plugins.d.acme.shop.config.api_token","plugins.d.acme.shop.config.deep",)"
        R"("plugins.d.acme.shop.config.interval"])");
  CHECK(text.find("something odd") != std::string::npos);
  CHECK(text.find("another serial number is taken when hawserd is started again") != std::string::npos);
  CHECK(text.find("SECRETtok123") == std::string::npos);
  CHECK(house.applied == 1);
  CHECK(house.rig.settings.site == "branch-043");
  CHECK(house.rig.settings.serial == "TEST1");
  const auto events = json::to_text(house.ask("history").value());
  CHECK(events.find(R"("kind":"config","service":null,"reason":"bad_config","detail":"the old one goes on running: )"
                    R"x(a.toml:1:1: x: is wrong (and 1 more)")x") != std::string::npos);
  CHECK(events.find("changed: cloud.password, device.site") != std::string::npos);
  CHECK(events.find("SECRETtok123") == std::string::npos);
}

TEST_CASE("[ops-5] the same fault read a hundred times is one event of the history; another one is news") {
  House house;
  const auto reload = [&](const std::string& fault) {
    house.next = {std::nullopt, {fault}, {}};
    if (fault.empty()) house.next = {house.rig.settings, {}, {}};
    const auto answers = house.begin("config_reload");
    REQUIRE(house.rig.until([&] { return !answers->empty(); }));
    return answers->front().has_value();
  };
  const auto told = [&] {
    std::size_t count = 0;
    const auto text = json::to_text(house.ask("history").value());
    for (auto at = text.find("bad_config"); at != text.npos; at = text.find("bad_config", at + 1)) ++count;
    return count;
  };
  for (int i = 0; i < 100; ++i) CHECK_FALSE(reload("a.toml:1:1: x: is wrong"));
  CHECK(told() == 1);
  CHECK_FALSE(reload("a.toml:1:1: y: is wrong"));
  CHECK(told() == 2);
  CHECK(reload(""));
  CHECK_FALSE(reload("a.toml:1:1: y: is wrong"));
  CHECK(told() == 3);
}

TEST_CASE("[state-1] state says that the configuration on disk was refused, until one is taken") {
  House house;
  const auto detail = [&] { return json::text_or(*house.ask("state"), "refused_config_detail"); };
  const auto reload = [&] {
    const auto answers = house.begin("config_reload");
    REQUIRE(house.rig.until([&] { return !answers->empty(); }));
  };
  CHECK(house.ask("state").value()->isNull("refused_config_detail"));
  house.next = {
      std::nullopt, {"hawser.toml: device.model: MSR3660 and the cloud kind cloudnet are not compatible"}, {}};
  reload();
  CHECK(detail() == "hawser.toml: device.model: MSR3660 and the cloud kind cloudnet are not compatible");
  house.next = {house.rig.settings, {}, {}};
  reload();
  CHECK(house.ask("state").value()->isNull("refused_config_detail"));
}

TEST_CASE("[ops-5] a reading that throws is a refusal, and the next one works") {
  House house;
  bool broken = true;
  Reloader reloader(
      house.rig.loop, house.rig.settings,
      [&]() -> config::LoadResult {
        if (broken) throw std::runtime_error("out of luck");
        return {house.rig.settings, {}, {}};
      },
      [](const config::Settings&) {}, [](const connection::Event&) {});
  std::vector<bool> results;
  const auto note = [&](const Result<json::Object>& result) { results.push_back(result.has_value()); };
  reloader.reload(note);
  REQUIRE(house.rig.until([&] { return results.size() == 1; }));
  CHECK_FALSE(results[0]);
  broken = false;
  reloader.reload(note);
  REQUIRE(house.rig.until([&] { return results.size() == 2; }));
  CHECK(results[1]);
}

TEST_CASE("[ops-5] each who asks for a reload is answered by a reading that began after the question") {
  House house;
  house.next = {house.rig.settings, {}, {}};
  std::vector<House::Answers> all;
  for (int i = 0; i < 5; ++i) all.push_back(house.begin("config_reload"));
  for (const auto& answers : all) CHECK(house.rig.until([&] { return answers->size() == 1; }));
  CHECK(house.applied == 0);  // nothing changed
}
