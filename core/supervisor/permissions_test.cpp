#include "core/supervisor/permissions.hpp"

#include <filesystem>

#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::supervisor;
namespace fs = std::filesystem;

namespace {

config::Permission permission(const std::string& text) { return config::read_permission(text).value(); }

// A system of its own below a folder: "@" in a permission stands for that folder.
struct Site {
  std::string real(std::string text) const {
    for (auto at = text.find('@'); at != text.npos; at = text.find('@'))
      text.replace(at, 1, fs::canonical(folder.path()).string());
    return text;
  }
  void make(const std::string& name) const { fs::create_directories(real("@") + "/" + name); }
  Permissions decide() {
    trust::Manifest manifest;
    for (const auto& text : asked) manifest.permissions.push_back(permission(real(text)));
    if (named) {
      settings.permissions.emplace();
      for (const auto& text : *named) settings.permissions->push_back(permission(real(text)));
    }
    settings.file = "plugins.d/acme.shop.toml";
    settings.config = json::parse_object(real(config)).value();
    return permissions_of(manifest, settings, real("@/state"));
  }
  // "r /log" or "w /log", in their order, without the folder itself.
  std::vector<std::string> paths(const Permissions& permissions) const {
    std::vector<std::string> shown;
    for (const auto& rule : permissions.paths)
      shown.push_back((rule.write ? "w " : "r ") + rule.path.substr(real("@").size()));
    return shown;
  }

  TestFolder folder;
  std::vector<std::string> asked;
  std::optional<std::vector<std::string>> named;
  std::string config = "{}";
  config::PluginSettings settings;
};
using List = std::vector<std::string>;

}  // namespace

TEST_CASE("[iso-7] enabling a plugin grants what its manifest asks for; a glob opens its longest fixed folder") {
  Site site;
  site.make("log/app");
  site.asked = {"file.read:@/log/app/*.log", "exec"};
  const auto permissions = site.decide();
  CHECK(site.paths(permissions) == List{"r /log/app"});
  CHECK(permissions.has(config::Permission::Kind::Exec));
  REQUIRE(permissions.outcomes.size() == 2);
  CHECK(permissions.outcomes[0].rule == site.real("read @/log/app and below"));
  CHECK(fixed_folder("/var/log/*.log") == "/var/log");
  CHECK(fixed_folder("/var/log/**") == "/var/log");
  CHECK(fixed_folder("/var/log/syslog") == "/var/log");
  CHECK(fixed_folder("/var/lo?/x") == "/var");
  CHECK(fixed_folder("/*.conf") == "/");
}

TEST_CASE("[iso-7] the operator's list narrows what is asked, and grants nothing that is not asked for") {
  Site site;
  site.make("log/app");
  site.asked = {"file.read:@/log/**", "action:*", "file.write:@/log/app/*", "exec"};
  SECTION("one folder of several, one action of all") {
    site.named = List{"file.read:@/log/app/*.log", "action:reload", "listen:80"};
    const auto permissions = site.decide();
    CHECK(site.paths(permissions) == List{"r /log/app"});
    CHECK(permissions.may_run("reload"));
    CHECK_FALSE(permissions.may_run("reboot"));
    CHECK_FALSE(permissions.has(config::Permission::Kind::Exec));
    CHECK_FALSE(permissions.has(config::Permission::Kind::Listen));
    CHECK(permissions.remarks ==
          List{"listen:80 in plugins.d/acme.shop.toml grants nothing: the plugin's manifest does not ask for it"});
    CHECK(permissions.outcomes.back().rule == "not granted: it is not in permissions of plugins.d/acme.shop.toml");
  }
  SECTION("writing narrowed to reading") {
    site.named = List{"file.read:@/log/app/*"};
    CHECK(site.paths(site.decide()) == List{"r /log/app"});
  }
  SECTION("more than is asked is what is asked") {
    site.named = List{"file.write:@/**"};
    CHECK(site.paths(site.decide()) == List{"r /log", "w /log/app"});
  }
  SECTION("an empty list grants nothing") {
    site.named = List{};
    const auto permissions = site.decide();
    CHECK(permissions.granted.empty());
    CHECK(permissions.paths.empty());
    CHECK(permissions.outcomes.size() == 4);
  }
}

TEST_CASE("[iso-7] a plugin reaches the globs that the operator wrote in its own [config]") {
  Site site;
  site.make("log");
  site.make("etc/app");
  site.asked = {"file.read:config:/sources/*/paths/*", "file.write:config:/allowed"};
  site.config = R"({"sources":[{"name":"a","paths":["@/log/*.log","@/etc/app/x"]},{"name":"b","paths":["log/y",7]}],)"
                R"("allowed":["@/etc/app/**"]})";
  const auto permissions = site.decide();
  CHECK(site.paths(permissions) == List{"w /etc/app", "r /log"});
  CHECK(permissions.outcomes[0].rule.find("none for \"log/y\", which is no absolute path or glob") != std::string::npos);
  site.config = "{}";
  CHECK(site.decide().paths.empty());
  CHECK(site.decide().outcomes[1].rule == "none: [config] has nothing at /allowed");
}

TEST_CASE("[iso-7] a folder that is not there yet opens nothing above it for writing") {
  Site site;
  site.make("etc");
  site.asked = {"file.write:@/etc/app/**", "file.read:@/etc/app/x"};
  CHECK(site.paths(site.decide()) == List{"r /etc"});
  CHECK(site.decide().outcomes[0].rule ==
        site.real("none for @/etc/app/**: @/etc/app is not there, and what is above it is not opened for writing; make it "
                  "and restart the plugin"));
  site.make("etc/app");
  CHECK(site.paths(site.decide()) == List{"w /etc/app"});
}

TEST_CASE("[iso-7] for reading a folder that is not there yet opens the nearest above it, never the whole system") {
  Site site;
  site.make("srv");
  site.asked = {"file.read:@/srv/app/log/*", "file.read:/no-such-folder-of-hawser/app/*", "file.read:/*"};
  const auto permissions = site.decide();
  CHECK(site.paths(permissions) == List{"r /srv"});
  CHECK(permissions.outcomes[0].rule == site.real("read @/srv and below, for @/srv/app/log"));
  CHECK(permissions.outcomes[1].rule.find("/no-such-folder-of-hawser/app is not there; make it") != std::string::npos);
  CHECK(permissions.outcomes[2].rule.find("it would open the whole system") != std::string::npos);
}

TEST_CASE("[sec-5] a link leads to its real folder, unless the plugin can have made it") {
  Site site;
  site.make("real/log");
  site.make("own");
  site.make("secret");
  fs::create_directory_symlink(site.real("@/real"), site.real("@/link"));
  fs::create_directory_symlink(site.real("@/secret"), site.real("@/own/door"));
  site.asked = {"file.read:@/link/log/*", "file.write:@/own/**", "file.read:@/own/door/*"};
  const auto permissions = site.decide();
  CHECK(site.paths(permissions) == List{"r /real/log", "w /own"});
  CHECK(permissions.outcomes[2].rule.find("is a symbolic link in a folder that the plugin itself writes to") !=
        std::string::npos);
}
