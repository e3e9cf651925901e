#include <csignal>

#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::Rig;

namespace {

// acme.shop 1.0.0 runs, and newer versions come.
class Shop : public Rig {
 public:
  explicit Shop(std::chrono::seconds probation = std::chrono::seconds(600)) {
    settings.probation = probation;
    add("shop", "{}");
    make().start();
    REQUIRE(until_state("shop", PluginState::Ready));
  }

  void put(const std::string& version, const std::string& permissions = "") {
    testing::install(folder.path() / "plugins", "acme.shop", version, "shop");
    if (permissions.empty()) return;
    std::string text = testing::manifest_text("acme.shop", version, "shop");
    text.replace(text.find("\"action:*\""), 10, "\"action:*\"," + permissions);
    testing::put_file(folder.path() / "plugins/acme.shop" / version / "manifest.json", text);
  }
  json::Object answer_of(const std::function<void(const Supervisor::Looked&)>& ask) {
    std::optional<Result<json::Object>> answer;
    ask([&answer](const Result<json::Object>& made) { answer = made; });
    REQUIRE(until([&] { return answer.has_value(); }));
    INFO((*answer ? "" : answer->error().message));
    REQUIRE(*answer);
    return **answer;
  }
  json::Object look() {
    return answer_of([this](const Supervisor::Looked& done) { supervisor->look("acme.shop", done); });
  }
  json::Object consent(const Supervisor::Consent& given) {
    return answer_of([&](const Supervisor::Looked& done) { supervisor->consent("acme.shop", given, done); });
  }
  std::string refused_consent(const Supervisor::Consent& given) {
    std::optional<std::string> code;
    supervisor->consent("acme.shop", given, [&](const auto& made) { code = made ? "" : made.error().code; });
    REQUIRE(until([&] { return code.has_value(); }));
    return *code;
  }
  // What nobody remembers: the book of versions as a damaged disk leaves it.
  void forget_versions() {
    supervisor.reset();
    std::filesystem::remove(folder.path() / "state/versions.json");
    make().start();
  }
  bool runs(const std::string& version) {
    return until(
        [&] { return plugin("shop").state() == PluginState::Ready && plugin("shop").found().version == version; });
  }
  void kill_host() { ::kill(*plugin("shop").pid(), SIGKILL); }
  std::size_t told(const std::string& reason) const {
    return static_cast<std::size_t>(std::count_if(cloud.events.begin(), cloud.events.end(), [&](const auto& event) {
      return event.kind == "plugin_state" && event.reason == reason;
    }));
  }
};

std::string state_of(const json::Object& answer) { return json::text_or(answer, "state"); }

}  // namespace

TEST_CASE("[sdk-10] what ends its host on probation puts the old version back, once, and it is not tried again") {
  Shop shop;
  CHECK(state_of(shop.look()) == "unchanged");
  shop.put("1.1.0");
  const auto answer = shop.look();
  CHECK(state_of(answer) == "upgrading");
  CHECK(json::texts_member(answer, "keep").value() == std::vector<std::string>{"1.0.0", "1.1.0"});
  REQUIRE(shop.runs("1.1.0"));
  CHECK(shop.cloud.offers.at(0).version == "1.1.0");
  shop.kill_host();
  REQUIRE(shop.runs("1.0.0"));
  CHECK(shop.cloud.offers.at(0).version == "1.0.0");
  CHECK(shop.told("upgraded") == 1);
  CHECK(shop.told("put_back") == 1);
  REQUIRE(shop.supervisor->waiting("acme.shop"));
  CHECK(shop.supervisor->waiting("acme.shop")->code == "put_back");
  CHECK(state_of(shop.look()) == "refused");
  CHECK(shop.plugin("shop").found().version == "1.0.0");

  INFO("it is released, and a newer one comes by itself");
  REQUIRE(shop.released("acme.shop"));
  REQUIRE(shop.runs("1.1.0"));
  shop.kill_host();
  REQUIRE(shop.runs("1.0.0"));
  shop.put("1.2.0");
  CHECK(state_of(shop.look()) == "upgrading");
  REQUIRE(shop.runs("1.2.0"));
}

TEST_CASE("[sdk-10] after its probation a version is as any other: what ends its host is a restart") {
  Shop shop(std::chrono::seconds(1));
  shop.put("1.1.0");
  shop.look();
  REQUIRE(shop.runs("1.1.0"));
  REQUIRE(shop.until([&] { return shop.supervisor->versions().find("acme.shop")->settled.version == "1.1.0"; }));
  shop.kill_host();
  REQUIRE(shop.until([&] { return shop.plugin("shop").restarts() == 2; }));
  REQUIRE(shop.runs("1.1.0"));
  CHECK(shop.told("put_back") == 0);
}

TEST_CASE("[sdk-10] a restart of the agent goes on with the probation, and with what waits") {
  Shop shop;
  shop.put("1.1.0");
  shop.look();
  REQUIRE(shop.runs("1.1.0"));
  shop.supervisor.reset();
  shop.make().start();
  REQUIRE(shop.runs("1.1.0"));
  shop.kill_host();
  REQUIRE(shop.runs("1.0.0"));
  shop.supervisor.reset();
  shop.make().start();
  REQUIRE(shop.runs("1.0.0"));
  CHECK(shop.supervisor->waiting("acme.shop")->code == "put_back");
}

TEST_CASE("[sdk-10] a version that asks for more waits for consent, also over a restart of the plugin") {
  Shop shop;
  shop.put("1.1.0", "\"exec\"");
  CHECK(state_of(shop.look()) == "waits_for_consent");
  REQUIRE(shop.restarted("acme.shop"));
  REQUIRE(shop.runs("1.0.0"));
  CHECK(shop.supervisor->waiting("acme.shop")->message.find("1.1.0 asks for more than 1.0.0 was granted: exec;") == 0);
  CHECK(shop.refused_consent({"1.0.5", {"exec"}}) == "bad_request");
  CHECK(shop.refused_consent({"1.1.0", {"threads:2"}}) == "bad_request");
  CHECK(shop.plugin("shop").found().version == "1.0.0");
  CHECK(state_of(shop.consent({"1.1.0", {"exec"}})) == "upgrading");
  REQUIRE(shop.runs("1.1.0"));
  CHECK(shop.supervisor->waiting("acme.shop") == nullptr);
  CHECK(shop.refused_consent({"1.1.0", {"exec"}}) == "bad_request");
}

TEST_CASE("[sdk-10] what waits for consent, or failed before, does not end the probation of another version") {
  Shop shop;
  shop.put("1.1.0");
  shop.look();
  REQUIRE(shop.runs("1.1.0"));
  const auto host = shop.plugin("shop").pid();
  shop.put("2.0.0", "\"exec\"");
  const auto answer = shop.look();
  CHECK(state_of(answer) == "waits_for_consent");
  CHECK(json::text_or(answer, "detail").find("1.1.0 runs on: 2.0.0 asks for more") == 0);
  CHECK(json::texts_member(answer, "keep").value() == std::vector<std::string>{"1.0.0", "1.1.0"});
  CHECK(shop.plugin("shop").pid() == host);
  CHECK(shop.supervisor->versions().on_trial(shop.plugin("shop").found()));
  SECTION("nor does a start of the agent") {
    shop.supervisor.reset();
    shop.make().start();
    REQUIRE(shop.runs("1.1.0"));
    CHECK(shop.supervisor->versions().on_trial(shop.plugin("shop").found()));
  }
  SECTION("and its failure still brings the old one back") {
    shop.kill_host();
    REQUIRE(shop.runs("1.0.0"));
    CHECK(shop.told("put_back") == 1);
  }
}

TEST_CASE("[sdk-10] where nobody remembers which version proved itself, the oldest did, and consent is still needed") {
  Shop shop;
  shop.put("1.1.0", "\"exec\"");
  shop.put("1.0.5");
  shop.forget_versions();
  REQUIRE(shop.runs("1.0.0"));
  CHECK(shop.supervisor->waiting("acme.shop")->code == "consent_needed");
  shop.put("1.2.0");
  shop.forget_versions();
  REQUIRE(shop.runs("1.2.0"));
  CHECK(shop.supervisor->versions().on_trial(shop.plugin("shop").found()));
  CHECK(shop.supervisor->versions().find("acme.shop")->settled.version == "1.0.0");
}

TEST_CASE("[sdk-10] a plugin that is disabled while its folder cannot be looked at is not forgotten") {
  Shop shop;
  const auto home = shop.folder.path() / "plugins/acme.shop";
  shop.settings.enabled.clear();
  shop.supervisor->configure(shop.settings);
  REQUIRE(shop.until([&] { return shop.supervisor->find("acme.shop") == nullptr; }));
  std::filesystem::rename(home, home.string() + ".away");
  std::filesystem::create_symlink("acme.shop", home);  // a loop: any fault but that it is not there
  shop.look();
  CHECK(shop.supervisor->versions().find("acme.shop"));
  std::filesystem::remove(home);
  shop.look();
  CHECK_FALSE(shop.supervisor->versions().find("acme.shop"));
}

TEST_CASE("[sdk-10] a version that does not run since its service is taken is none on probation") {
  Shop shop;
  shop.put("1.1.0");
  std::string text = testing::manifest_text("acme.shop", "1.1.0", "shop");
  text.replace(text.find(R"("service":"shop")"), 16, R"("service":"mill")");
  testing::put_file(shop.folder.path() / "plugins/acme.shop/1.1.0/manifest.json", text);
  testing::install(shop.folder.path() / "plugins", "acme.mill", "1.0.0", "mill");
  shop.settings.enabled.push_back("acme.mill");
  shop.supervisor->configure(shop.settings);
  REQUIRE(shop.until([&] { return shop.supervisor->find("acme.mill") != nullptr; }));
  CHECK(state_of(shop.look()) == "refused");
  CHECK(shop.supervisor->versions().find("acme.shop")->trial.version.empty());
}

TEST_CASE("[sdk-10] where the old version is gone, one that asks for more does not run without consent") {
  Shop shop;
  shop.put("1.1.0", "\"exec\"");
  std::filesystem::remove_all(shop.folder.path() / "plugins/acme.shop/1.0.0");
  CHECK(state_of(shop.look()) == "refused");
  CHECK(shop.runs("1.0.0"));
  shop.supervisor.reset();
  shop.make().start();
  CHECK(shop.plugin("shop").state() == PluginState::Refused);
  CHECK(shop.plugin("shop").reason().code == "consent_needed");
  REQUIRE(shop.supervisor->consent_asked("acme.shop"));
  shop.consent(*shop.supervisor->consent_asked("acme.shop"));
  CHECK(shop.runs("1.1.0"));
}

TEST_CASE("[sdk-10] looks wait for each other up to a limit, and none is answered after the supervisor's end") {
  Shop shop;
  std::size_t answered = 0, refused = 0;
  for (std::size_t i = 0; i < VersionLook::kWaitingMax + 5; ++i) {
    shop.supervisor->look("acme.shop", [&](const auto& made) { made ? ++answered : ++refused; });
  }
  CHECK(refused == 5);
  REQUIRE(shop.until([&] { return answered == VersionLook::kWaitingMax; }));
  for (int i = 0; i < 10; ++i) shop.supervisor->look("acme.shop", [&](const auto&) { ++answered; });
  shop.supervisor.reset();
  CHECK_FALSE(shop.until([&] { return answered > VersionLook::kWaitingMax; }, std::chrono::milliseconds(200)));
}

TEST_CASE("[sdk-10] a plugin's files are read beside the loop for a restart, too, and given up when the agent stops") {
  constexpr std::uintmax_t kSeconds = std::uintmax_t{16} << 30;  // of reading; nothing of it is on the disk
  Shop shop;
  std::filesystem::resize_file(shop.folder.path() / "plugins/acme.shop/1.0.0/plugin.so", kSeconds);
  bool answered = false;
  const auto begun = Clock::now();
  shop.supervisor->restart("acme.shop", [&answered](const Status&) { answered = true; });
  CHECK_FALSE(shop.supervisor->is_settled("acme.shop"));
  CHECK_FALSE(shop.until([&] { return answered; }, std::chrono::milliseconds(100)));
  shop.supervisor.reset();
  CHECK(Clock::now() - begun < std::chrono::seconds(2));
}

TEST_CASE("[sdk-10] a look at what is no id, not enabled or not there says so") {
  Shop shop;
  std::string code;
  shop.supervisor->look("../x", [&](const auto& made) { code = made ? "" : made.error().code; });
  CHECK(code == "bad_request");
  const auto answer =
      shop.answer_of([&](const Supervisor::Looked& done) { shop.supervisor->look("acme.other", done); });
  CHECK(state_of(answer) == "not_enabled");
}
