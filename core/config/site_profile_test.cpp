#include "core/config/site_profile.hpp"

#include "tests/catch.hpp"

namespace hawser::config {
namespace {

Settings device(bool from_cloud, std::vector<std::string> enabled, std::vector<std::string> disabled = {}) {
  Settings settings;
  settings.site = "here";
  settings.from_cloud = from_cloud;
  settings.enabled = std::move(enabled);
  settings.disabled = std::move(disabled);
  return settings;
}

CloudWishes wishes(const std::string& plugins, const std::string& site = "here") {
  auto profile = read_site_profile(json::parse_object(R"({"revision":3,"plugins":)" + plugins + "}").value());
  REQUIRE(profile);
  CloudWishes made;
  made.profile = std::move(*profile);
  made.profile->site = site;
  return made;
}

constexpr const char* kOn = R"([{"id":"acme.a","enabled":true,"config":{}}])";
constexpr const char* kOff = R"([{"id":"acme.a","enabled":false,"config":{}}])";

}  // namespace

TEST_CASE("[sdk-11] a plugin runs only where neither the device nor the cloud disables it") {
  struct Row {
    Settings local;
    const char* profile;
    int command;  // 1 enabled, 0 disabled, -1 none
    bool runs;
    const char* reason;
  };
  const Row rows[] = {
      {device(false, {"acme.a"}), "[]", -1, true, ""},
      {device(false, {"acme.a"}), kOn, -1, true, ""},
      {device(false, {"acme.a"}), kOff, -1, false, "disabled_by_site"},
      {device(true, {"acme.a"}), kOff, 1, false, "disabled_by_site"},
      {device(false, {"acme.a"}), kOn, 0, false, "disabled_by_cloud"},
      {device(false, {}), kOn, -1, false, "local_policy"},
      {device(false, {}), "[]", 1, false, "local_policy"},
      {device(true, {}), kOn, -1, true, ""},
      {device(true, {}), "[]", 1, true, ""},
      {device(true, {}), kOn, 0, false, "disabled_by_cloud"},
      {device(true, {}, {"acme.a"}), kOn, 1, false, "local_policy"},
      {device(true, {}), "[]", -1, false, ""},
  };
  for (const Row& row : rows) {
    CloudWishes asked = wishes(row.profile);
    if (row.command >= 0) asked.commands["acme.a"] = row.command == 1;
    const Verdict verdict = judge(row.local, asked, "acme.a");
    INFO(row.profile << " command " << row.command << ": " << verdict.detail);
    CHECK(verdict.runs == row.runs);
    CHECK(verdict.reason == row.reason);
    CHECK(verdict.detail.empty() == verdict.reason.empty());
    CHECK(with_wishes(row.local, asked).enabled.size() == (row.runs ? 1U : 0U));
  }
}

TEST_CASE("[sdk-11] a profile of another site counts no more") {
  CHECK(judge(device(false, {"acme.a"}), wishes(kOff, "elsewhere"), "acme.a").runs);
  CHECK(profile_for(device(false, {}), wishes(kOff, "elsewhere")) == nullptr);
}

TEST_CASE("[sdk-11] the device's keys win over the profile's, table by table") {
  Settings local = device(true, {"acme.a"});
  local.plugins["acme.a"].config = json::parse_object(R"({"a":1,"deep":{"x":"mine"},"list":[1]})").value();
  const auto asked = wishes(
      R"([{"id":"acme.a","enabled":true,"config":{"a":2,"b":3,"deep":{"x":"yours","y":"yours"},"list":[2,3]}}])");
  CHECK(json::to_text(with_wishes(local, asked).plugins.at("acme.a").config) ==
        R"({"a":1,"b":3,"deep":{"x":"mine","y":"yours"},"list":[1]})");
  CHECK(json::to_text(local.plugins.at("acme.a").config) == R"({"a":1,"deep":{"x":"mine"},"list":[1]})");
  local.from_cloud = false;
  CHECK(judge(local, asked, "acme.a").reason == "local_policy");
  CHECK(json::to_text(with_wishes(local, asked).plugins.at("acme.a").config) ==
        R"({"a":1,"deep":{"x":"mine"},"list":[1]})");
  local.from_cloud = true;
  CloudWishes refused = asked;
  refused.refused_configs.insert("acme.a");
  CHECK(judge(local, refused, "acme.a").reason == "config_refused");
  const auto large = wishes(R"([{"id":"acme.a","enabled":true,"config":{"t":")" + std::string(49'000, 'x') + R"("}}])");
  local.plugins["acme.a"].config = json::parse_object(R"({"u":")" + std::string(1'000, 'x') + R"("})").value();
  CHECK(judge(local, large, "acme.a").reason == "too_big");
}

TEST_CASE("[sdk-11] what is no profile is refused, and what is kept of one is read again") {
  const auto read = [](const std::string& text) { return read_site_profile(json::parse_object(text).value()); };
  for (
      const char* bad :
      {R"({})", R"({"revision":-1,"plugins":[]})", R"({"revision":1})", R"({"revision":1,"plugins":[1]})",
       R"({"revision":1,"plugins":[{"id":"a.b"}]})", R"({"revision":1,"plugins":[{"id":"a.b","enabled":1}]})",
       R"({"revision":1,"plugins":[{"id":"a.b","enabled":true,"config":[]}]})",
       R"({"revision":1,"plugins":[{"id":"a.b","enabled":true,"config":{},"version":7}]})",
       R"({"revision":1,"plugins":[{"id":"a.b","enabled":true,"config":{}},{"id":"a.b","enabled":true,"config":{}}]})"}) {
    INFO(bad);
    CHECK(!read(bad));
  }
  const char* good =
      R"({"site":"s","revision":7,"plugins":[{"id":"a.b","enabled":false,"config":{"x":[1]},"version":"1.2.0"}]})";
  CHECK(json::to_text(to_json(*read(good))) == good);
  CHECK(judge(device(true, {}), wishes(R"([{"id":"nodot","enabled":true,"config":{}}])"), "nodot").reason ==
        "bad_request");
}

}  // namespace hawser::config
