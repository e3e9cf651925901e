#include "core/config/local_file.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>

#include "core/base/files.hpp"
#include "core/config/server_list.hpp"
#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;
using namespace std::chrono_literals;

namespace {

const std::string kMain =
    std::string("# my own words\n") + kGoodDevice + kGoodServer + "[cloud.keepalive]\ncount = 7\n";

struct Device : ConfigFolder {
  Device() { write("hawser.toml", kMain); }
  LocalFile open() const { return LocalFile::open(path()).value(); }
  std::string text() const {
    const auto text = read_file(path() / kLocalFile, kFileBytesMax);
    return text ? *text : "";
  }
  Result<LocalFile::Written> set(const std::string& key, std::int64_t number) const {
    auto file = open();
    file.set(key, integer_node(number));
    return file.write(sources());
  }
};

std::int64_t number_at(const LocalFile& file, const std::string& key) {
  const Node* node = file.find(key);
  return node ? node->integer : -1;
}

std::size_t entries(const std::filesystem::path& folder) {
  const std::filesystem::directory_iterator all(folder), end;
  return static_cast<std::size_t>(std::distance(all, end));
}

}  // namespace

TEST_CASE("[conn-25] the local file holds what was set, 0600, and only that; the operator's file stays as it is") {
  const Device device;
  CHECK(number_at(device.open(), "cloud.keepalive.count") == 7);
  CHECK(device.text() == "");
  const auto written = device.set("cloud.keepalive.count", 5);
  REQUIRE(written);
  CHECK(written->changed);
  CHECK(written->warnings.empty());
  CHECK(number_at(device.open(), "cloud.keepalive.count") == 5);
  CHECK(device.load().settings->keepalive_count == 5);
  CHECK(read_file(device.path() / "hawser.toml", kFileBytesMax).value() == kMain);
  struct stat about {};
  REQUIRE(::stat((device.path() / kLocalFile).c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK(!device.set("cloud.keepalive.count", 5)->changed);
  auto file = device.open();
  file.remove("cloud.keepalive.count");
  REQUIRE(file.write(device.sources()));
  CHECK(device.text().find("\n[") == std::string::npos);  // no empty table is left
  CHECK(device.load().settings->keepalive_count == 7);
}

TEST_CASE("[conn-25] a change that brings a fault, or a file that is no TOML, changes no byte") {
  const Device device;
  REQUIRE(device.set("cloud.ping.interval", 20));
  const std::string before = device.text();
  const auto refused = device.set("cloud.ping.interval", 4);
  REQUIRE(!refused);
  CHECK(refused.error().message == "cloud.ping.interval: is 4, must be from \"5s\" to \"600s\"");
  CHECK(device.text() == before);
  device.write("conf.d/10-mine.toml", "a = [\n");
  CHECK(LocalFile::open(device.path()).error().code == "bad_config");
  CHECK(device.text() == before);
}

TEST_CASE("[conn-25] a fault that was there before is a warning, so that a broken configuration can be mended") {
  const Device device;
  device.write("conf.d/60-mine.toml", "[cloud.ping]\ninterval = 1\n");
  const auto written = device.set("cloud.keepalive.count", 5);
  REQUIRE(written);
  REQUIRE(written->warnings.size() == 1);
  CHECK(written->warnings[0].rfind("the configuration has a fault still: ", 0) == 0);
}

TEST_CASE("[conn-25] the second of two commands at once waits for the first, and both changes are kept") {
  const Device device;
  auto first = device.open();
  first.set("cloud.keepalive.count", integer_node(5));
  auto second = std::async(std::launch::async, [&] {
    auto file = device.open();
    file.set("cloud.ping.interval", integer_node(20));
    return file.write(device.sources()).has_value();
  });
  CHECK(second.wait_for(100ms) == std::future_status::timeout);
  REQUIRE(first.write(device.sources()));  // and lets go, though `first` still lives
  CHECK(second.get());
  const auto settings = device.load().settings;
  REQUIRE(settings);
  CHECK(settings->keepalive_count == 5);
  CHECK(settings->ping_interval == 20s);
}

TEST_CASE("[conn-25] a command that another one holds up has a limit, and says who and that nothing was changed") {
  const Device device;
  const auto first = device.open();
  const auto second = LocalFile::open(device.path(), 30ms);
  REQUIRE(!second);
  CHECK(second.error().code == "busy");
  CHECK(second.error().message.find("nothing was changed") != std::string::npos);
  CHECK(device.text() == "");
}

TEST_CASE("[conn-25] what an editor saved meanwhile is not written over") {
  const Device device;
  auto file = device.open();
  file.set("cloud.keepalive.count", integer_node(5));
  device.write(kLocalFile, "[cloud.ping]\ninterval = 30\n");
  const auto refused = file.write(device.sources());
  REQUIRE(!refused);
  CHECK(refused.error().code == "busy");
  CHECK(device.text() == "[cloud.ping]\ninterval = 30\n");
}

TEST_CASE("[conn-25] what a killed command left half written goes with the next one") {
  const Device device;
  device.write("conf.d/.50-hawserctl.toml.0123.new", "[cloud");
  device.write("conf.d/.60-mine.toml.new", "mine");
  REQUIRE(device.set("cloud.keepalive.count", 5));
  CHECK(entries(device.path() / "conf.d") == 2);
  CHECK(read_file(device.path() / "conf.d/.60-mine.toml.new", 10).value() == "mine");
}

TEST_CASE("[conn-25] a value where a table is due is replaced, not lost") {
  const Device device;
  device.write(kLocalFile, "cloud = 5\n");
  auto file = device.open();
  file.set("cloud.keepalive.count", integer_node(5));
  REQUIRE(file.write(device.sources()));
  CHECK(device.load().settings->keepalive_count == 5);
}

TEST_CASE("[conn-25] B26 who may not write is told so, by name of folder and user") {
  if (::geteuid() != 0) return;
  const Device device;
  std::filesystem::permissions(device.path(), std::filesystem::perms(0755));
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(2);
    const auto refused = LocalFile::open(device.path());
    const std::string said = refused ? "opened" : refused.error().code + " " + refused.error().message;
    ::_exit(::write(ends[1], said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0 : 3);
  }
  ::close(ends[1]);
  char said[1000];
  const ssize_t length = ::read(ends[0], said, sizeof said);
  ::close(ends[0]);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(std::string(said, static_cast<std::size_t>(std::max<ssize_t>(length, 0))) ==
        "not_permitted uid 65534 may not change the configuration in " + device.path().string() +
            "; run hawserctl as root");
  const auto nowhere = LocalFile::open(device.path() / "no");
  CHECK(nowhere.error().message.rfind(device.path().string() + "/no does not exist", 0) == 0);
}
