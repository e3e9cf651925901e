// Runs the real hawserctl on a configuration folder, and looks at every byte of it.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>

#include "core/config/load.hpp"
#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

const std::string kOperators =
    "# the operator's own words\n[device]\nserial = \"S1\"\nmodel = \"M1\"\n\n[[cloud.server]]\ndomain = "
    "\"a.example\"\n";

struct Device {
  TestFolder folder;
  std::filesystem::path config = folder.path() / "etc";
  std::string socket = (folder.path() / "control.sock").string();

  Device() { folder.write("etc/hawser.toml", kOperators); }
  Ran ctl(std::vector<std::string> words, const std::string& input = "") const {
    words.insert(words.begin(),
                 {"--config", config.string(), "--state-dir", (folder.path() / "state").string(), "--socket", socket});
    return run(words, input);
  }
  std::string local() const {
    const auto file = config / config::kLocalFile;
    return std::filesystem::exists(file) ? content(file) : "";
  }
  config::Settings settings() const {
    config::DeviceSources sources;
    sources.state_dir = folder.path() / "state";
    auto loaded = config::load(config, sources);
    for (const auto& fault : loaded.faults) INFO(fault);
    REQUIRE(loaded.settings);
    return *loaded.settings;
  }
  // "name:port,port" in stored order, a primary with * behind it.
  std::string servers() const {
    std::string text;
    for (const auto& server : settings().servers) {
      text += (text.empty() ? "" : " ") + server.domain + (server.primary ? "*" : "");
      for (const auto port : server.ports) text += ":" + std::to_string(port);
    }
    return text;
  }
};

std::string long_name(std::size_t length) {
  std::string name;
  while (name.size() < length) name += name.size() % 64 == 63 ? '.' : 'a';
  return name;
}

}  // namespace

TEST_CASE("[conn-25] hawserctl writes its own file, 0600, and leaves the operator's as it is") {
  const Device device;
  const Ran ran = device.ctl({"keepalive", "count", "5"});
  CHECK(ran.err == "");
  REQUIRE(ran.exit == 0);
  CHECK(content(device.config / "hawser.toml") == kOperators);
  CHECK(device.settings().keepalive_count == 5);
  struct stat about {};
  REQUIRE(::stat((device.config / config::kLocalFile).c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  REQUIRE(device.ctl({"keepalive", "interval", "20"}).exit == 0);
  REQUIRE(device.ctl({"ping", "interval", "10s"}).exit == 0);
  REQUIRE(device.ctl({"server", "port", "8443"}).exit == 0);
  CHECK(device.settings().keepalive_count == 5);
  CHECK(device.settings().keepalive_interval == std::chrono::seconds(20));
  CHECK(device.settings().ping_interval == std::chrono::seconds(10));
  CHECK(device.settings().authentication_port == 8443);
}

TEST_CASE("[state-5][conn-7] the primary's name again adds a port, another name replaces the primary") {
  const Device device;
  REQUIRE(device.ctl({"server", "set", "A.example", "--port", "443"}).exit == 0);
  CHECK(device.servers() == "a.example*:19443:443");
  REQUIRE(device.ctl({"server", "set", "b.example", "--port", "1"}).exit == 0);
  CHECK(device.servers() == "b.example*:1");
  REQUIRE(device.ctl({"server", "set", "b.example", "--port", "3"}).exit == 0);
  REQUIRE(device.ctl({"backup-server", "add", "a.example"}).exit == 0);
  REQUIRE(device.ctl({"backup-server", "add", "c.example", "--port", "5", "--source-ip", "127.0.0.1"}).exit == 0);
  CHECK(device.servers() == "a.example b.example*:3:1 c.example:5");
  CHECK(device.ctl({"backup-server", "list"}).out == "a.example port 19443\nc.example port 5 source-ip 127.0.0.1\n");
  REQUIRE(device.ctl({"backup-server", "remove", "c.example", "--port", "5"}).exit == 0);
  REQUIRE(device.ctl({"server", "unset"}).exit == 0);
  CHECK(device.servers() == "a.example");
  CHECK(content(device.config / "hawser.toml") == kOperators);
}

TEST_CASE(
    "[conn-7][conn-8][conn-14] bad input is a sentence with the value and what is allowed, exit 1, no byte changed") {
  struct Row {
    std::vector<std::string> words;
    std::string said;
  };
  const std::string port = "must be a whole number from 1 to 65535";
  const Row rows[] = {
      {{"server", "set", "b.example", "--port", "0"}, "the port is \"0\", " + port},
      {{"server", "set", "b.example", "--port", "65536"}, "the port is \"65536\", " + port},
      {{"server", "set", "b.example", "--port", "https"}, "the port is \"https\", " + port},
      {{"server", "set", ""}, "the domain name is \"\", must be a domain name of 1 to 253 characters"},
      {{"server", "set", long_name(254)}, "must be a domain name of 1 to 253 characters"},
      {{"server", "set", "b example"}, "the domain name is \"b example\", must be a domain name"},
      {{"server", "set", "b.example/x"}, "must be a domain name alone, without a path"},
      {{"server", "set", "https://b.example"}, "must be a domain name alone, without \"https://\""},
      {{"server", "set", "b\x1b[2J"}, "the domain name is \"b\\x1b[2J\", must be a domain name"},
      {{"server", "set", "bx.example"}, "bx.example with port 19443 stands already"},
      {{"backup-server", "add", "j.example"}, "j.example would be backup number 9, at most 8 are allowed"},
      {{"server", "set", "a.example", "--port", "1", "--port", "2", "--port", "3"},
       "a.example would have 4 ports, at most 3 are allowed"},
      {{"backup-server", "remove", "z.example"}, "\"z.example\" is no backup server"},
      {{"server", "set", "b.example", "--source-ip", "192.0.2.77"},
       "the source address \"192.0.2.77\" is no address of this device now"},
      {{"server", "set", "b.example", "--source-ip", "10.11.12"},
       "the source address is \"10.11.12\", must be an IPv4 or IPv6 address"},
      {{"server", "set", "b.example", "--source-ip", "127.0.0.1", "--ip-version", "6"},
       "is \"127.0.0.1\", which does not go with ip_version = 6"},
      {{"server", "set", "b.example", "--vpn-instance", "no-such-vrf"},
       "the VPN instance \"no-such-vrf\" is neither a network namespace"},
      {{"server", "set", "b.example", "--ip-version", "5"}, "the IP version is \"5\", must be 4, 6 or any"},
      {{"server", "port", "0"}, "cloud.authentication_port: is 0, " + port},
      {{"server", "port", "65536"}, "cloud.authentication_port: is 65536, " + port},
      {{"keepalive", "interval", "9"}, "cloud.keepalive.interval: is 9, must be from \"10s\" to \"600s\""},
      {{"keepalive", "interval", "99999999999999999999"}, "must be a duration"},
      {{"keepalive", "count", "61"}, "cloud.keepalive.count: is 61, must be a whole number from 1 to 60"},
      {{"ping", "interval", "601"}, "cloud.ping.interval: is 601, must be from \"5s\" to \"600s\""},
      {{"server", "password"}, "no password was given"},
  };
  const Device device;
  for (const char* name : {"b", "c", "d", "e", "f", "g", "h", "i"})
    REQUIRE(device.ctl({"backup-server", "add", std::string(name) + "x.example"}).exit == 0);
  const std::string before = device.local();
  for (const Row& row : rows) {
    const Ran ran = device.ctl(row.words, "\n");
    INFO(row.said << "\n" << ran.err);
    CHECK(ran.exit == 1);
    CHECK(ran.err.find(row.said) != std::string::npos);
    CHECK(device.local() == before);
    CHECK(content(device.config / "hawser.toml") == kOperators);
  }
}

TEST_CASE("[conn-15] server password stores it encrypted, prints it nowhere, and forgets it") {
  const Device device;
  const Ran set = device.ctl({"server", "password"}, "open sesame\n");
  CHECK(set.err == "");
  REQUIRE(set.exit == 0);
  CHECK(device.settings().password == "open sesame");
  CHECK((device.local() + set.out).find("sesame") == std::string::npos);
  CHECK(device.local().find("password_cipher = 'v1:") != std::string::npos);
  CHECK(device.ctl({"config", "check"}).exit == 0);
  REQUIRE(device.ctl({"server", "password", "--unset"}).exit == 0);
  CHECK(device.settings().password == "");
}

TEST_CASE("[conn-25] of eight commands at once every one counts") {
  const Device device;
  const Descriptor quiet(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<pid_t> all;
  for (const char* name : {"b", "c", "d", "e", "f", "g", "h", "i"})
    all.push_back(spawn_hawserctl(quiet.get(), quiet.get(), quiet.get(),
                                  {"--config", device.config.string(), "--state-dir", device.folder.path().string(),
                                   "--socket", device.socket, "backup-server", "add", std::string(name) + ".example"}));
  for (const pid_t one : all) CHECK(exit_of(one) == 0);
  CHECK(device.servers() ==
        "a.example* b.example c.example d.example e.example f.example g.example h.example i.example");
}

TEST_CASE("[conn-14] an option with nothing behind it, as of an empty variable of a script, is refused") {
  const Device device;
  for (const char* option : {"--source-ip", "--vpn-instance", "--ip-version"}) {
    for (const auto& command : {std::pair("server", "set"), {"backup-server", "add"}}) {
      const Ran ran = device.ctl({command.first, command.second, "b.example", option, ""});
      CHECK(ran.exit == 1);
      CHECK(ran.err == "hawserctl: " + std::string(option) + " is \"\", must name something; leave it out for none\n");
    }
  }
  CHECK(device.local() == "");
}

TEST_CASE("[conn-7] a negative number is a value with a range, and no option") {
  const Device device;
  CHECK(device.ctl({"keepalive", "interval", "-1"}).err ==
        "hawserctl: cloud.keepalive.interval: is -1, must be from \"10s\" to \"600s\"\n");
  for (const char* number : {"-1", "+5", "0x10", "1e3", "-99999999999999999999"}) {
    INFO(number);
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"keepalive", "interval"},
                                               {"keepalive", "count"},
                                               {"ping", "interval"},
                                               {"server", "port"},
                                               {"server", "set", "b.example", "--port"},
                                               {"backup-server", "remove", "b.example", "--port"}}) {
      auto all = words;
      all.push_back(number);
      const Ran ran = device.ctl(all);
      CHECK(ran.exit == 1);
      CHECK(ran.err.find(number) != std::string::npos);
      CHECK(ran.err.find(" to ") != std::string::npos);
    }
  }
  CHECK(device.local() == "");
}

TEST_CASE("[conn-7] a port of a server that stands twice is found wherever it is") {
  const Device device;
  device.folder.write(
      "etc/conf.d/10-mine.toml",
      "[[cloud.server]]\ndomain = \"a.example\"\n[[cloud.server]]\nrole = \"backup\"\ndomain = "
      "\"b.example\"\nports = [2]\n[[cloud.server]]\nrole = \"backup\"\ndomain = \"b.example\"\nports = "
      "[1]\n");
  CHECK(device.ctl({"backup-server", "remove", "b.example", "--port", "1"}).exit == 0);
  CHECK(device.servers() == "a.example* b.example:2");
}

TEST_CASE("[conn-25] a later file that has the last word is named") {
  const Device device;
  device.folder.write("etc/conf.d/60-site.toml", "[cloud.ping]\ninterval = 30\n");
  const Ran ran = device.ctl({"ping", "interval", "20"});
  CHECK(ran.exit == 0);
  CHECK(ran.out.find("cloud.ping.interval: takes no effect, since " +
                     (device.config / "conf.d/60-site.toml").string()) != std::string::npos);
}

TEST_CASE("[conn-25] a running agent is told, and a refusal of it is a failure that says what is written") {
  Device device;
  std::atomic<int> asked = 0;
  std::atomic<bool> refuse = false;
  const ServerThread agent(device.socket, [&](Loop&) -> ControlServer::Handler {
    return [&](Request request, Reply reply) {
      if (request.command == "config_reload") ++asked;
      if (refuse) return reply(Error{"bad_config", "not today"});
      reply(json::make_object());
    };
  });
  CHECK(device.ctl({"ping", "interval", "20"}).out.find("The running agent has taken it.") != std::string::npos);
  CHECK(asked == 1);
  CHECK(device.ctl({"ping", "interval", "4"}).exit == 1);
  CHECK(asked == 1);  // nothing was written, nothing to tell
  refuse = true;
  const Ran ran = device.ctl({"ping", "interval", "21"});
  CHECK(ran.exit == 1);
  CHECK(ran.err.find("but the running agent has not taken it: not today") != std::string::npos);
  CHECK(device.settings().ping_interval == std::chrono::seconds(21));
}

TEST_CASE("[conn-17] compat prints the tables, or one model's row") {
  const Device device;
  const Ran all = device.ctl({"compat"});
  CHECK(all.exit == 0);
  CHECK(std::count(all.out.begin(), all.out.end(), '\n') == 85);  // a head and 84 models
  CHECK(device.ctl({"compat", "msr 810-lme"}).out ==
        "model                    cloudnet cloudnet-international adwan\n"
        "msr 810-lme              yes      yes                    no\n");
  CHECK(
      device.ctl({"compat", "MSR810-LME", "--json"}).out ==
      "{\"models\":[{\"model\":\"MSR810-LME\",\"cloudnet\":true,\"cloudnet-international\":true,\"adwan\":false}]}\n");
  CHECK(device.ctl({"compat", "edge"}).exit == 1);
}
