#include "core/trust/manifest.hpp"

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::trust;

namespace {

const std::string kGood = R"({"id":"acme.shell","version":"1.2.0","abi":{"major":1,"minor":3},)"
                          R"("services":[{"service":"shell","protocols":["acme.shell.v2","acme.shell.v1"]}],)"
                          R"("permissions":["file.read:/etc/**","exec"],"limits":{"memory_bytes":67108864},"later":1})";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a good manifest is read whole") {
  const auto manifest = read_manifest(kGood);
  REQUIRE(manifest);
  CHECK(manifest->id == "acme.shell");
  CHECK(manifest->version.text() == "1.2.0");
  CHECK(manifest->abi_minor == 3);
  REQUIRE(manifest->services.size() == 1);
  CHECK(manifest->services[0].protocols == std::vector<std::string>{"acme.shell.v2", "acme.shell.v1"});
  CHECK(manifest->permissions.size() == 2);
  CHECK(manifest->limits.memory_bytes == 67108864);
}

TEST_CASE("permissions and limits may be left out") {
  CHECK(read_manifest(R"({"id":"a.b","version":"0.0.1","abi":{"major":1,"minor":0},)"
                      R"("services":[{"service":"s","protocols":["a.s.v1"]}]})"));
}

TEST_CASE("a bad manifest is refused with a sentence that names the member") {
  struct Row {
    std::string text, sentence;
  };
  const std::string one = R"({"service":"shell","protocols":["acme.shell.v2","acme.shell.v1"]})";
  const Row rows[] = {
      {"", "manifest.json: "},
      {"[1]", "manifest.json: "},
      {kGood + "x", "manifest.json: "},
      {with(R"("later":1)", R"("id":"acme.shell")"), "manifest.json: "},  // a member twice
      {with(R"("id":"acme.shell",)", ""), "manifest.json: id must be"},
      {with("acme.shell\",\"v", "shell\",\"v"), "manifest.json: id must be"},
      {with("acme.shell\",\"v", "../shell\",\"v"), "manifest.json: id must be"},
      {with("acme.shell\",\"v", "Acme.shell\",\"v"), "manifest.json: id must be"},
      {with("acme.shell\",\"v", "acme..shell\",\"v"), "manifest.json: id must be"},
      {with("acme.shell\",\"v", "a." + std::string(127, 'b') + "\",\"v"), "manifest.json: id must be"},
      {with(R"("1.2.0")", "12"), "manifest.json: version must be"},
      {with("1.2.0", "1.2"), "manifest.json: version is no version"},
      {with("1.2.0", "1.02.0"), "manifest.json: version is no version"},
      {with(R"("abi":{"major":1,"minor":3},)", ""), "manifest.json: abi must be"},
      {with(R"("major":1)", R"("major":"1")"), "manifest.json: abi.major must be"},
      {with(R"("major":1)", R"("major":2)"), "manifest.json: abi.major is 2, this agent knows only 1"},
      {with(R"("minor":3)", R"("minor":-3)"), "manifest.json: abi.minor must be"},
      {with("[" + one + "]", "[]"), "manifest.json: services must be"},
      {with("[" + one + "]", "{}"), "manifest.json: services must be"},
      {with(one, "7"), "manifest.json: services[0] must be"},
      {with(one, one + "," + one), "manifest.json: services[1].service stands there twice"},
      {with(R"("shell",)", R"("Shell",)"), "manifest.json: services[0].service must be"},
      {with(R"("service":"shell")", R"("service":")" + std::string(65, 's') + "\""),
       "manifest.json: services[0].service must be"},
      {with(R"(["acme.shell.v2","acme.shell.v1"])", "[]"), "manifest.json: services[0].protocols must be"},
      {with("acme.shell.v2", "acme shell"), "manifest.json: services[0].protocols must be"},
      {with("[\"file.read:/etc/**\",\"exec\"]", "\"exec\""), "manifest.json: permissions must be"},
      {with("\"exec\"", "\"root\""), "manifest.json: permissions holds one that is \"root\""},
      {with(R"(,"minor":3)", ""), "manifest.json: abi.minor must be"},
      {with("\"exec\"", "\"listen:http\""), "manifest.json: permissions holds one that is \"listen:http\""},
      {with("\"exec\"", "\"exec:sh\""), "manifest.json: permissions holds one that is \"exec:sh\""},
      {with("file.read:/etc/**", "file.read:etc"), "manifest.json: permissions holds one that is \"file.read:etc\""},
      {with("file.read:/etc/**", "file.read:"), "manifest.json: permissions holds one that is \"file.read:\""},
      {with("file.read:/etc/**", "file.read:config:sources"), "manifest.json: permissions holds one that is"},
      {with("file.read:/etc/**", "file.read:/etc//x"), "manifest.json: permissions holds one that is"},
      {with("file.read:/etc/**", "listen:70000"), "manifest.json: permissions holds one that is"},
      {with("67108864", "1"), "manifest.json: limits.memory_bytes must be a whole number from 16777216 to"},
      {with("67108864", "-1"), "manifest.json: limits.memory_bytes must be"},
      {with("67108864", "\"64M\""), "manifest.json: limits.memory_bytes must be"},
      {with(R"({"memory_bytes":67108864})", "[]"), "manifest.json: limits must be"},
  };
  for (const auto& [text, sentence] : rows) {
    INFO(text);
    const auto manifest = read_manifest(text);
    REQUIRE_FALSE(manifest);
    CHECK(manifest.error().message.substr(0, sentence.size()) == sentence);
  }
  CHECK(read_manifest(with(R"("major":1)", R"("major":2)")).error().code == "abi_refused");
}

TEST_CASE("versions are ordered as semver.org says") {
  const char* rising[] = {"0.9.0",        "1.0.0-alpha",   "1.0.0-alpha.1", "1.0.0-alpha.beta",
                          "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",    "1.0.0",
                          "1.0.1",        "1.2.0",         "1.10.0",        "10.0.0"};
  for (std::size_t i = 0; i < std::size(rising); ++i) {
    for (std::size_t j = 0; j < std::size(rising); ++j) {
      INFO(rising[i] << " and " << rising[j]);
      const int order = Version::parse(rising[i])->compare(*Version::parse(rising[j]));
      CHECK((order < 0) == (i < j));
      CHECK((order == 0) == (i == j));
    }
  }
  CHECK(Version::parse("1.0.0+a")->compare(*Version::parse("1.0.0+b")) == 0);
  for (const char* bad : {"", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.x",
                          "99999999999.0.0", "1.2.3+", " 1.2.3"}) {
    INFO(bad);
    CHECK_FALSE(Version::parse(bad));
  }
}
