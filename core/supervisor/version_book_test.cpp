#include "core/supervisor/version_book.hpp"

#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::supervisor;

namespace {

FoundPlugin clock_of(const std::string& version, std::vector<std::string> permissions = {}) {
  FoundPlugin plugin;
  plugin.id = "com.acme.clock";
  plugin.version = version;
  plugin.digest = "sha256:" + version;
  plugin.manifest.emplace();
  for (const auto& text : permissions) plugin.manifest->permissions.push_back(*config::read_permission(text));
  return plugin;
}

std::vector<std::string> more(const std::set<std::string>& known, const std::vector<std::string>& asked) {
  return beyond(known, clock_of("1.0.0", asked).manifest->permissions);
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("[sdk-10] which version stands, which is on probation and which failed is kept over a restart") {
  const TestFolder folder;
  const auto file = folder.path() / "versions.json";
  {
    VersionBook book(file);
    CHECK(book.find("com.acme.clock") == nullptr);
    book.settle(clock_of("1.0.0", {"threads:2"}));
    book.begin_trial(clock_of("1.1.0"));
    book.fail_trial("com.acme.clock", "it crashed");
    book.begin_trial(clock_of("1.2.0"));
  }
  VersionBook book(file);
  const auto* entry = book.find("com.acme.clock");
  REQUIRE(entry);
  CHECK(entry->settled == VersionMark{"1.0.0", "sha256:1.0.0"});
  CHECK(entry->permissions == std::set<std::string>{"threads:2"});
  CHECK(book.on_trial(clock_of("1.2.0")));
  CHECK_FALSE(book.on_trial(clock_of("1.1.0")));
  REQUIRE(book.failure_of(clock_of("1.1.0")));
  CHECK(book.failure_of(clock_of("1.1.0"))->why == "it crashed");
  auto rebuilt = clock_of("1.1.0");
  rebuilt.digest = "sha256:another";
  CHECK(book.failure_of(rebuilt) == nullptr);
  CHECK(book.forgive("com.acme.clock"));
  CHECK_FALSE(book.forgive("com.acme.clock"));
}

TEST_CASE("[sdk-10] a damaged book of versions is forgotten with a warning, and harms nobody") {
  for (const char* text :
       {"", "{", "[]", R"({"plugins":1})", R"({"plugins":{"com.acme.clock":{}}})",
        R"({"plugins":{"../x":{"settled":{"version":"1.0.0","file":"f"}}}})",
        R"({"plugins":{"com.acme.clock":{"settled":{"version":"../..","file":"f"}}}})",
        R"({"plugins":{"com.acme.clock":{"settled":{"version":"1.0.0","file":"f"},"failures":[1]}}})"}) {
    const TestFolder folder;
    const VersionBook book(folder.write("versions.json", text));
    INFO(text);
    CHECK(book.find("com.acme.clock") == nullptr);
    CHECK(book.find("../x") == nullptr);
  }
}

TEST_CASE("[sdk-10] the oldest failures are forgotten, the newest never") {
  const TestFolder folder;
  VersionBook book(folder.path() / "versions.json");
  book.settle(clock_of("1.0.0"));
  for (int i = 1; i <= 20; ++i) {
    book.begin_trial(clock_of("1." + std::to_string(i) + ".0"));
    book.fail_trial("com.acme.clock", "again");
  }
  CHECK(book.find("com.acme.clock")->failures.size() == VersionBook::kFailuresMax);
  CHECK(book.failure_of(clock_of("1.20.0")));
  CHECK_FALSE(book.failure_of(clock_of("1.1.0")));
}

TEST_CASE("[sdk-10] what a manifest asks for beyond what is granted is named, and nothing else") {
  CHECK(more({}, {"exec", "threads:2"}) == Texts{"exec", "threads:2"});
  CHECK(more({"exec"}, {"exec"}).empty());
  CHECK(more({"threads:4", "state:1000"}, {"threads:3", "state:1000"}).empty());
  CHECK(more({"threads:4"}, {"threads:5"}) == Texts{"threads:5"});
  CHECK(more({"action:*"}, {"action:reload"}).empty());
  CHECK(more({"action:reload"}, {"action:*"}) == Texts{"action:*"});
  CHECK(more({"file.read:/etc/a"}, {"file.write:/etc/a"}) == Texts{"file.write:/etc/a"});
  CHECK(more({"listen:80"}, {"listen:81"}) == Texts{"listen:81"});
}

TEST_CASE("[sdk-10] consent stands for what was asked, until another version has proved itself") {
  const TestFolder folder;
  VersionBook book(folder.path() / "versions.json");
  book.settle(clock_of("1.0.0"));
  const auto newer = clock_of("1.1.0", {"exec"});
  CHECK(beyond(book.find("com.acme.clock")->permissions, newer.manifest->permissions) == Texts{"exec"});
  book.consent("com.acme.clock", *newer.manifest);
  CHECK(beyond(book.find("com.acme.clock")->permissions, newer.manifest->permissions).empty());
  book.settle(clock_of("1.2.0"));
  CHECK(beyond(book.find("com.acme.clock")->permissions, newer.manifest->permissions) == Texts{"exec"});
}
