#include <sys/stat.h>

#include <ctime>

#include "core/base/encoding.hpp"
#include "core/daemon/dhcp_leases.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::daemon;

namespace {

std::string option(int code, const std::string& value) {
  return "option_" + std::to_string(code) + "=" + hex(value) + "\n";
}

config::Dhcp settings(int password_option = 0) {
  config::Dhcp dhcp;
  dhcp.password_option = password_option;
  return dhcp;
}

struct Door {
  explicit Door(config::Dhcp dhcp = settings()) : leases(make(std::move(dhcp))) {}

  std::unique_ptr<DhcpLeases> make(config::Dhcp dhcp) {
    return std::make_unique<DhcpLeases>(
        loop, folder.path() / "dhcp", std::move(dhcp),
        [this](std::optional<connection::DhcpOffer> now) { offers.push_back(std::move(now)); },
        [this](connection::Event event) { events.push_back(std::move(event)); }, folder.path() / "net");
  }
  // As a hook does it.
  void put(const std::string& interface, const std::string& content) {
    const auto from = folder.write("dhcp/." + interface + ".new", content);
    REQUIRE(::chmod(from.c_str(), 0644) == 0);
    std::filesystem::rename(from, folder.path() / "dhcp" / interface);
  }
  void routes(const std::string& v4, const std::string& v6 = "") {
    folder.write("net/route",
                 "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" + v4);
    folder.write("net/ipv6_route", v6);
  }
  bool until(const std::function<bool()>& holds, milliseconds limit = std::chrono::seconds(10)) {
    const TimePoint end = Clock::now() + limit;
    while (!holds() && Clock::now() < end) loop.turn(std::min(end, Clock::now() + milliseconds(50)));
    return holds();
  }
  std::string now() const { return offers.empty() || !offers.back() ? "none" : offers.back()->domain; }

  TestFolder folder;
  Loop loop;
  std::vector<std::optional<connection::DhcpOffer>> offers;
  std::vector<connection::Event> events;
  std::unique_ptr<DhcpLeases> leases;
};

std::string default_route(const std::string& interface, int metric) {
  return interface + "\t00000000\t0100000A\t0003\t0\t0\t" + std::to_string(metric) + "\t00000000\t0\t0\t0\n";
}

std::string refusal(const std::string& content) {
  const auto lease = config::parse_lease(content, settings());
  return lease ? "taken" : lease.error().message;
}

}  // namespace

TEST_CASE("[conn-12] a domain of a lease is taken as the configuration would, with padding and a final dot") {
  for (const std::string& value : {std::string("a.example"), std::string("a.example."), std::string("a.example\0", 10),
                                   std::string("a.example.\0\0", 12)}) {
    const auto lease = config::parse_lease(option(253, value), settings());
    REQUIRE(lease);
    REQUIRE(*lease);
    CHECK((*lease)->domain == "a.example");
  }
  CHECK_FALSE(*config::parse_lease(option(224, "a.example"), settings()));
  const auto pieces = config::parse_lease(option(253, "a.exa") + option(253, "mple"), settings());
  CHECK((**pieces).domain == "a.example");
}

TEST_CASE("[conn-12] [B44] [B45] [B46] [B47] [B48] [B49] [B50] what is no domain name is refused with one sentence") {
  const std::string nul("a.exa\0mple.b", 12), latin("a.ex\xe4mple");
  for (const std::string& bad : {std::string(),
                                 std::string(1, '\0'),
                                 std::string(255, 'a'),
                                 nul,
                                 std::string("$(id)"),
                                 std::string("a;b"),
                                 std::string("`id`"),
                                 std::string("a'b"),
                                 std::string("a\"b"),
                                 std::string("a\nb.example"),
                                 std::string("a b"),
                                 latin,
                                 std::string("192.0.2.1"),
                                 std::string("192.0.2.1:443"),
                                 std::string("a.example:0"),
                                 std::string("2001:db8::1"),
                                 std::string("[2001:db8::1]:443"),
                                 std::string("http://"),
                                 std::string("http://a.example"),
                                 std::string("a.example/x"),
                                 std::string("a..b"),
                                 std::string(".")}) {
    INFO(printable(bad));
    CHECK(refusal(option(253, bad)).rfind("DHCP option 253 ", 0) == 0);
    CHECK(printable(refusal(option(253, bad)), 1000) == refusal(option(253, bad)));
  }
  std::string forty;
  for (int i = 0; i < 40; ++i) forty += (i ? "," : "") + std::string("10.0.0.") + std::to_string(i) + ":443";
  CHECK(refusal(option(253, forty)).rfind("DHCP option 253 ", 0) == 0);
  CHECK(refusal(option(253, std::string(200, 'a')) + option(253, std::string(200, 'b'))) != "taken");
  for (const char* odd : {"garbage", "option_253=6", "option_253=zz", "option_0=61", "option_255=61", "option_253",
                          "expires_boot_s=-1", "expires_boot_s=x", "option_-1=61", "option_253=-1"}) {
    INFO(odd);
    CHECK(refusal(std::string(odd) + "\n").find("is not of the form") != std::string::npos);
  }
}

TEST_CASE("[conn-11] a password is taken only where an option is set for it, and a URL is none") {
  const auto parse = [](const std::string& secret, int code) {
    return **config::parse_lease(option(253, "a.example") + option(252, secret), settings(code));
  };
  CHECK_FALSE(parse("secret", 0).password);
  CHECK(parse(std::string("secret\0", 7), 252).password == "secret");
  for (const std::string& bad : {std::string("http://wpad/wpad.dat"), std::string(), std::string(129, 'x'),
                                 std::string("a\nb"), std::string("\xff\xfe")}) {
    const auto lease = parse(bad, 252);
    CHECK_FALSE(lease.password);
    REQUIRE(lease.remarks.size() == 1);
    CHECK((bad.empty() || lease.remarks[0].find(bad) == std::string::npos));
  }
}

TEST_CASE("[conn-11] a lease comes, changes, expires and goes, and each is said once") {
  Door door;
  CHECK(door.offers.empty());
  door.put("eth0", option(253, "a.example"));
  REQUIRE(door.until([&] { return door.now() == "a.example"; }));
  door.put("eth0", option(253, "b.example"));
  REQUIRE(door.until([&] { return door.now() == "b.example"; }));
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  door.put("eth0", option(253, "c.example") + "expires_boot_s=" + std::to_string(boot.tv_sec + 2) + "\n");
  REQUIRE(door.until([&] { return door.now() == "c.example"; }));
  REQUIRE(door.until([&] { return door.now() == "none"; }));
  door.put("eth0", option(253, "d.example"));
  REQUIRE(door.until([&] { return door.now() == "d.example"; }));
  std::filesystem::remove(door.folder.path() / "dhcp/eth0");
  REQUIRE(door.until([&] { return door.now() == "none"; }));
  REQUIRE(door.offers.size() == 6);
  CHECK(door.events.size() == 6);
  CHECK(door.events[0].kind == "dhcp");
  CHECK(door.events[0].detail == "a.example by the lease of eth0");
  CHECK(door.events[5].reason == "withdrawn");
}

TEST_CASE("[conn-11] what stands in the folder at the start counts, and a folder taken away is made again") {
  Door door;
  door.put("eth0", option(253, "a.example"));
  REQUIRE(door.until([&] { return door.now() == "a.example"; }));
  door.offers.clear();
  door.leases = door.make(settings());
  CHECK(door.now() == "a.example");
  std::filesystem::remove_all(door.folder.path() / "dhcp");
  REQUIRE(door.until([&] { return door.now() == "none"; }));
  REQUIRE(door.until([&] { return std::filesystem::exists(door.folder.path() / "dhcp"); }));
  door.put("eth0", option(253, "b.example"));
  REQUIRE(door.until([&] { return door.now() == "b.example"; }));
}

TEST_CASE("[conn-11] of several leases that of the best default route counts, and interfaces limits them") {
  Door door;
  door.routes(default_route("eth1", 100) + default_route("eth0", 200) +
              "eth2\t0000A8C0\t0\t0001\t0\t0\t1\t00FFFFFF\t0\t0\t0\n");
  for (const char* name : {"eth0", "eth1", "eth2"}) door.put(name, option(253, std::string(name) + ".example"));
  REQUIRE(door.until([&] { return door.now() == "eth1.example"; }));
  door.routes(default_route("eth1", 300) + default_route("eth0", 200));
  door.leases->look();
  CHECK(door.now() == "eth0.example");
  const std::string zero(32, '0');
  door.routes("", zero + " 00 " + zero + " 00 " + zero + " 00000400 00000001 00000000 00000003     eth2\n" + zero +
                      " 00 " + zero + " 00 " + zero + " 00000001 00000001 00000000 00200200       lo\n");
  door.leases->look();
  CHECK(door.now() == "eth2.example");
  config::Dhcp only = settings();
  only.interfaces = {"eth1"};
  door.leases->configure(only);
  CHECK(door.now() == "eth1.example");
  only.enabled = false;
  door.leases->configure(only);
  CHECK(door.now() == "none");
}

TEST_CASE("[conn-12] a refused content is said once, and a file that is not root's own is not read") {
  Door door;
  door.put("eth0", option(253, "http://"));
  REQUIRE(door.until([&] { return door.events.size() == 1; }));
  CHECK(door.events[0].reason == "refused");
  door.put("eth0", option(253, "http://"));
  door.put("eth1", option(253, "a.example"));
  REQUIRE(door.until([&] { return door.now() == "a.example"; }));
  CHECK(door.events.size() == 2);
  const auto file = door.folder.path() / "dhcp/eth1";
  REQUIRE(::chmod(file.c_str(), 0666) == 0);
  REQUIRE(door.until([&] { return door.now() == "none"; }));
  CHECK(config::read_lease(file).error().message.find("must be writable by root alone") != std::string::npos);
  std::filesystem::remove(file);
  std::filesystem::create_symlink("/etc/passwd", file);
  CHECK_FALSE(config::read_lease(file));
  const auto big = door.folder.write("big", std::string(config::kLeaseBytesMax + 1, 'x'));
  CHECK(config::read_lease(big).error().message.find("longer than 4 KiB") != std::string::npos);
  CHECK(config::read_lease(door.folder.path()).error().message.find("no regular file") != std::string::npos);
}

TEST_CASE("[conn-11] a moment without a default route moves the choice to no other lease") {
  Door door;
  door.routes(default_route("eth1", 100));
  door.put("eth0", option(253, "a.example"));
  door.put("eth1", option(253, "b.example"));
  REQUIRE(door.until([&] { return door.now() == "b.example"; }));
  const auto before = door.offers.size();
  door.routes("");  // as a renewal takes it away and sets it again
  door.leases->look();
  CHECK(door.now() == "b.example");
  CHECK(door.offers.size() == before);
  door.routes(default_route("eth0", 100));
  door.leases->look();
  CHECK(door.now() == "a.example");
}

TEST_CASE("[conn-11] the best default route is found among a hundred thousand others") {
  TestFolder folder;
  std::string v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
                   default_route("eth1", 100) + default_route("eth0", 300);
  for (int i = 0; i < 100'000; ++i)
    v4 += "eth0\t0000010A\t0100000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0" + std::string(50, ' ') + "\n";
  folder.write("net/route", v4);
  folder.write("net/ipv6_route", "");
  const auto began = Clock::now();
  CHECK(config::best_default_route({"eth0", "eth1"}, folder.path() / "net") == std::optional<std::string>("eth1"));
  CHECK(Clock::now() - began < milliseconds(50));  // the main loop waits for it
}

TEST_CASE("[conn-12] [sec-3] an odd line of a lease is named without its value, which may be a password") {
  const std::string odd = refusal("option_252=" + hex("open sesame") + "g\n" + option(253, "a.example"));
  INFO(odd);
  CHECK(odd.find("option_252") != std::string::npos);
  CHECK(odd.find(hex("sesame")) == std::string::npos);
  CHECK(refusal("open sesame, I say\n").find("sesame") == std::string::npos);
}
