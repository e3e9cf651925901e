#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::Rig;

namespace {

// Two plugins that run; shop's [config] is what a test changes.
struct House : Rig {
  explicit House(const std::string& shop_config) {
    add("shop", shop_config);
    add("quiet", R"({"echo":true})");
    make().start();
    REQUIRE(until_state("shop", PluginState::Ready));
    REQUIRE(until_state("quiet", PluginState::Ready));
    quiet_pid = plugin("quiet").pid().value();
    shop_pid = plugin("shop").pid().value();
  }
  void change(const std::string& config) {
    settings.plugins["acme.shop"].config = json::parse_object(config).value();
    supervisor->configure(settings);
  }
  bool told(const std::string& words) {
    return until([&] {
      for (const auto& event : cloud.events) {
        if (event.kind == "config" && event.detail.find(words) != std::string::npos) return true;
      }
      return false;
    });
  }
  pid_t quiet_pid = 0, shop_pid = 0;
};

}  // namespace

TEST_CASE("[conn-25] a running plugin takes its new [config] without a restart, and no other is touched") {
  House house(R"({"interval":5})");
  house.change(R"({"interval":6})");
  REQUIRE(house.told("acme.shop took its new [config]"));
  CHECK(house.plugin("shop").pid() == house.shop_pid);
  CHECK(house.plugin("quiet").pid() == house.quiet_pid);
  CHECK(json::integer_or(house.plugin("shop").settings().config, "interval", 0) == 6);
}

TEST_CASE("[conn-25] one that cannot take it as it runs starts again; one that refuses it goes on with the old") {
  SECTION("restart needed") {
    House house(R"({"on_configure":"restart_needed"})");
    house.change(R"({"interval":6})");
    REQUIRE(house.told("acme.shop starts again with its new [config]"));
    REQUIRE(house.until([&] { return house.plugin("shop").restarts() == 1; }));
    REQUIRE(house.until_state("shop", PluginState::Ready));
    CHECK(house.plugin("quiet").pid() == house.quiet_pid);
  }
  SECTION("refused") {
    House house(R"({"on_configure":"refused"})");
    house.change(R"({"interval":6})");
    REQUIRE(house.told("goes on with the old one: interval is too short"));
    CHECK(house.plugin("shop").pid() == house.shop_pid);
    CHECK_FALSE(house.plugin("shop").settings().config->has("interval"));
  }
}

TEST_CASE("[conn-25] a change that is taken back while the host takes it reaches the host again") {
  House house(R"({"echo":true,"interval":5,"forgets_to_answer_once":true})");
  const auto applied = [&house] {
    std::string told;
    do told = house.echo("configure");
    while (told.find(R"("mode":"apply")") == told.npos && told.rfind("no echo", 0) == told.npos);
    return told;
  };
  house.change(R"({"echo":true,"interval":6})");
  REQUIRE(applied().find(R"("interval":6)") != std::string::npos);
  house.cloud.events.clear();
  house.change(R"({"echo":true,"interval":5,"forgets_to_answer_once":true})");  // what the core still believes to hold
  REQUIRE(applied().find(R"("interval":5)") != std::string::npos);
  REQUIRE(house.told("acme.shop took its new [config]"));
  CHECK(house.plugin("shop").pid() == house.shop_pid);
}

TEST_CASE("[ops-5] nothing starts any more once the agent stops") {
  House house("{}");
  bool stopped = false;
  house.supervisor->stop(milliseconds(2000), [&] { stopped = true; });
  house.settings.site = "elsewhere";
  testing::install(house.folder.path() / "plugins", "acme.late", "1.0.0", "late");
  house.settings.enabled.push_back("acme.late");
  house.supervisor->configure(house.settings);
  REQUIRE(house.until([&] { return stopped; }));
  CHECK_FALSE(house.plugin("shop").pid());
  CHECK(house.plugin("shop").restarts() == 0);
  CHECK(house.supervisor->find("acme.late") == nullptr);
}

TEST_CASE("[conn-25] plugins newly enabled start, and those enabled no more stop and are forgotten") {
  House house("{}");
  testing::install(house.folder.path() / "plugins", "acme.late", "1.0.0", "late");
  house.settings.enabled = {"acme.quiet", "acme.late"};
  house.supervisor->configure(house.settings);
  REQUIRE(house.until([&] { return !house.supervisor->find("acme.shop") && house.supervisor->find("acme.late"); }));
  REQUIRE(house.until_state("late", PluginState::Ready));
  CHECK(house.plugin("quiet").pid() == house.quiet_pid);
  REQUIRE(house.cloud.offers.size() == 2);
  CHECK(house.supervisor->subconnections().rows().count("shop") == 0);

  INFO("one that is taken back before it was gone starts again");
  house.settings.enabled = {"acme.quiet"};
  house.supervisor->configure(house.settings);
  house.settings.enabled = {"acme.quiet", "acme.late"};
  house.supervisor->configure(house.settings);
  REQUIRE(house.until([&] { return house.supervisor->find("acme.late") && house.plugin("late").pid(); }));
  REQUIRE(house.until_state("late", PluginState::Ready));
}

TEST_CASE("[conn-25] a plugin may be replaced by another that has the same service") {
  House house("{}");
  testing::install(house.folder.path() / "plugins", "acme.newshop", "1.0.0", "shop");
  house.settings.enabled = {"acme.newshop", "acme.quiet"};
  house.supervisor->configure(house.settings);
  REQUIRE(house.until([&] { return house.supervisor->find("acme.newshop") != nullptr; }));
  REQUIRE(house.until_state("newshop", PluginState::Ready));
  CHECK(house.supervisor->find("acme.shop") == nullptr);
  CHECK(house.supervisor->subconnections().rows().at("shop").plugin == "acme.newshop");
}

TEST_CASE("[conn-25] what every host is told at its start starts them all again") {
  House house("{}");
  house.settings.site = "branch-043";
  house.supervisor->configure(house.settings);
  REQUIRE(house.until([&] { return house.plugin("shop").restarts() == 1 && house.plugin("quiet").restarts() == 1; }));
}

TEST_CASE("[conn-23] running hosts hear of a later validity floor, of the network and of an unbinding") {
  House house("{}");
  house.supervisor->set_validity_floor(std::chrono::system_clock::time_point(std::chrono::seconds(1234)));
  CHECK(house.echo("validity_floor").find(R"("at":1234)") != std::string::npos);
  house.supervisor->network_changed(true);
  CHECK(house.echo("network_changed").find(R"("resumed":true)") != std::string::npos);
  house.supervisor->unbound();
  CHECK(house.echo("unbound").find(R"("type":"unbound")") != std::string::npos);
}
