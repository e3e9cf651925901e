#pragma once

#include "core/daemon/commands.hpp"
#include "core/supervisor/testing/rig.hpp"

// For tests: hawserd's main thread with everything but its connection, two plugins (one refused), and a control
// socket's questions asked of it directly.
namespace hawser::daemon {

using supervisor::testing::Rig;

struct FakeConnection : connection::MainConnection {
  void start(std::vector<connection::Offer>) override {}
  void stop() override {}
  void set_offers(std::vector<connection::Offer>) override {}
  void request_grants() override {}
  void reset(bool first) override { resets += first ? 100 : 1; }
  void configure(config::Settings) override {}
  void set_dhcp(std::optional<connection::DhcpOffer>) override {}
  void network_changed(connection::NetworkChange) override {}
  void unbind(std::uint64_t id, std::string code) override { unbindings.emplace_back(id, std::move(code)); }
  Result<std::string> make_proof(const std::string& domain, const std::string& nonce) const override {
    return "proof for " + domain + " with " + nonce;
  }
  void reach_cloud(std::uint64_t) override {}
  void report(connection::Event) override {}
  void command_result(std::string id, Result<json::Object> result) override {
    results.emplace_back(std::move(id), std::move(result));
  }
  void site_profile_result(json::Object message) override { profile_results.push_back(std::move(message)); }
  std::vector<json::Object> profile_results;
  int resets = 0;
  std::vector<std::pair<std::uint64_t, std::string>> unbindings;
  std::vector<std::pair<std::string, Result<json::Object>>> results;
};

struct House {
  House()
      : plugins(prepared(rig)),
        history(rig.folder.path(), {}),
        reloader(
            rig.loop, rig.settings, [this] { return next; }, [this](const config::Settings&) { ++applied; },
            [this](const connection::Event& event) { history.add(event); }),
        bundles(rig.loop, {(rig.folder.path() / "hawserctl").string()}, rig.folder.path()),
        wishes(rig.folder.path() / "site_profile"),
        cloud_plugins({rig.loop, wishes, reloader, plugins, connection},
                      [this](const connection::Event& event) { history.add(event); }),
        installs(rig.loop, {(rig.folder.path() / "hawserctl").string()}, rig.folder.path()),
        commands({rig.settings, plugins, connection, history, reloader, bundles, cloud_plugins, installs}) {
    reloader.set_layer(rig.settings,
                       [this](const config::Settings& files) { return config::with_wishes(files, wishes.value()); });
  }

  static supervisor::Supervisor& prepared(Rig& rig) {
    rig.add("shop", R"({"interval":5,"api_token":"SECRETtok123","deep":[{"password":"SECRETtok123"}]})");
    rig.add("broken", "{}");
    std::filesystem::remove(rig.folder.path() / "plugins/acme.broken/1.0.0/manifest.json");
    rig.settings.site = "branch-042";
    rig.settings.servers = {{"b.example", false, {443, 8443}}, {"A.example", true, {}}};
    return rig.make();
  }

  using Answers = std::shared_ptr<std::vector<Result<json::Object>>>;
  Answers begin(const std::string& command, const std::string& args = "{}") {
    const auto answers = std::make_shared<std::vector<Result<json::Object>>>();
    commands.answer({command, json::parse_object(args).value(), 0, ::getpid(), control::Access::Change},
                    [answers](Result<json::Object> got) { answers->push_back(std::move(got)); });
    return answers;
  }

  Result<json::Object> ask(const std::string& command, const std::string& args = "{}",
                           control::Access access = control::Access::Change) {
    std::optional<Result<json::Object>> answer;
    commands.answer({command, json::parse_object(args).value(), 0, 1, access},
                    [&](Result<json::Object> got) { answer = got; });
    REQUIRE(answer);
    return *answer;
  }

  Rig rig;
  FakeConnection connection;
  supervisor::Supervisor& plugins;
  History history;
  config::LoadResult next;  // what the next reading of the configuration finds
  int applied = 0;
  Reloader reloader;
  BundleUpload bundles;
  KeptWishes wishes;
  CloudPlugins cloud_plugins;
  PluginInstall installs;
  Commands commands;
};

inline std::vector<std::string> names_of(const json::Object& object) {
  std::vector<std::string> names;
  for (const auto& name : object->getNames()) names.push_back(name);
  return names;
}

}  // namespace hawser::daemon
