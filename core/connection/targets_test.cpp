#include "core/connection/targets.hpp"

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

std::string list_of(const config::Settings& settings, const std::optional<DhcpOffer>& dhcp = {}) {
  std::string list;
  for (const Target& target : targets_of(settings, dhcp)) {
    list += target.domain + ":" + std::to_string(target.port);
    list += target.source == Target::Source::Dhcp ? " leased; " : target.primary ? " primary; " : "; ";
  }
  return list;
}

config::Settings two_servers() {
  config::Settings settings;
  settings.servers = {{"b.test", true, {}}, {"a.test", false, {443}}};
  return settings;
}

const DhcpOffer kLease{"eth0", "leased.test", std::nullopt};

// What a change of the configuration comes to, for a device at `present`.
Impact change(const config::Settings& before, const config::Settings& after, const std::optional<Target>& present) {
  const std::optional<DhcpOffer> none;
  return impact_of({before, none}, {after, none}, present, "server_changed_by_config");
}
Impact lease(const config::Settings& settings, const std::optional<DhcpOffer>& before,
             const std::optional<DhcpOffer>& after, const std::optional<Target>& present) {
  return impact_of({settings, before}, {settings, after}, present, "server_changed_by_dhcp");
}
std::string left_for(const Impact& impact) { return impact.leave ? impact.leave->code : "stays"; }

}  // namespace

TEST_CASE(
    "[conn-9] names alphabetically whatever their case and role, ports descending, another port is another server") {
  config::Settings settings;
  settings.servers = {{"Zeta.test", true, {443, 19443}},
                      {"alpha.test", false, {}},
                      {"BETA.test", false, {1, 3, 2}},
                      {"beta.TEST", false, {4}}};
  CHECK(list_of(settings) ==
        "alpha.test:19443; beta.TEST:4; BETA.test:3; BETA.test:2; BETA.test:1; Zeta.test:19443 primary; "
        "Zeta.test:443 primary; ");
}

TEST_CASE("[conn-6] a server without ports is asked at the authentication port") {
  auto settings = two_servers();
  settings.authentication_port = 20443;
  CHECK(list_of(settings) == "a.test:443; b.test:20443 primary; ");
}

TEST_CASE("[conn-11] a leased name stands before the configured ones, on the authentication port") {
  auto settings = two_servers();
  CHECK(list_of(settings, kLease) == "leased.test:19443 leased; a.test:443; b.test:19443 primary; ");
  SECTION("also where it is one of them, and keeps what the operator bound it to") {
    settings.servers[0].binding.source_ip = "192.0.2.1";
    CHECK(list_of(settings, DhcpOffer{"eth0", "B.TEST.", {}}) == "B.TEST.:19443 leased; a.test:443; ");
    CHECK(targets_of(settings, DhcpOffer{"eth0", "B.test", {}}).front().binding.source_ip == "192.0.2.1");
  }
  SECTION("alone where none is configured") {
    settings.servers.clear();
    CHECK(list_of(settings) == "");
    CHECK(list_of(settings, kLease) == "leased.test:19443 leased; ");
  }
  SECTION("not where the operator turned DHCP off") {
    settings.dhcp.enabled = false;
    CHECK(list_of(settings, kLease) == "a.test:443; b.test:19443 primary; ");
  }
}

TEST_CASE("[conn-25] a change of the configuration touches the connection only where it concerns it") {
  const auto before = two_servers();
  const Target present = targets_of(before, {})[1];
  auto after = before;
  SECTION("nothing that concerns it") {
    after.log_level = "debug";
    after.enabled = {"hawser.monitoring"};
    after.servers.push_back({"c.test", false, {}});
    after.servers[0].primary = false;
    after.servers[0].domain = "B.TEST";
    CHECK(left_for(change(before, after, present)) == "stays");
    CHECK_FALSE(change(before, after, present).authenticate_anew);
  }
  SECTION("its server is gone") {
    after.servers.erase(after.servers.begin());
    CHECK(left_for(change(before, after, present)) == "server_changed_by_config");
    CHECK(left_for(change(before, after, targets_of(before, {})[0])) == "stays");
  }
  SECTION("its port is another") {
    after.authentication_port = 1;
    CHECK(left_for(change(before, after, present)) == "server_changed_by_config");
  }
  SECTION("it is bound otherwise") {
    after.servers[0].binding.vpn_instance = "mgmt";
    CHECK(left_for(change(before, after, present)) == "server_changed_by_config");
  }
  SECTION("an interval, the site or the host name only registers anew") {
    const int which = GENERATE(0, 1, 2, 3, 4);
    if (which == 0) after.keepalive_interval = 20s;
    if (which == 1) after.keepalive_count = 5;
    if (which == 2) after.ping_interval = 20s;
    if (which == 3) after.site = "elsewhere";
    if (which == 4) after.hostname = "other";
    CHECK(left_for(change(before, after, present)) == "normal");
    CHECK_FALSE(change(before, after, present).authenticate_anew);
  }
  SECTION("password, model and kind authenticate anew") {
    const int which = GENERATE(0, 1, 2);
    if (which == 0) after.password = "s";
    if (which == 1) after.model = "MSR2630";
    if (which == 2) after.kind = config::CloudKind::Adwan;
    CHECK(left_for(change(before, after, present)) == "server_changed_by_config");
    CHECK(change(before, after, present).authenticate_anew);
  }
  SECTION("a proxy and a CA count from the next dial on") {
    after.proxy.host = "proxy.test";
    CHECK(left_for(change(before, after, present)) == "stays");
    CHECK(change(before, after, present).dial_otherwise);
  }
}

TEST_CASE("[conn-11] the same name keeps the connection, another tears it down, a withdrawn one falls back") {
  const auto settings = two_servers();
  const Target a = targets_of(settings, {})[0], leased = targets_of(settings, kLease)[0];
  CHECK(left_for(lease(settings, {}, kLease, a)) == "server_changed_by_dhcp");
  CHECK(lease(settings, {}, kLease, a).begin_at_first);
  CHECK(left_for(lease(settings, {}, DhcpOffer{"eth0", "A.test", {}}, a)) == "stays");
  CHECK(left_for(lease(settings, kLease, DhcpOffer{"eth1", "Leased.test", {}}, leased)) == "stays");
  CHECK(left_for(lease(settings, kLease, DhcpOffer{"eth0", "other.test", {}}, leased)) == "server_changed_by_dhcp");
  CHECK(left_for(lease(settings, kLease, {}, leased)) == "server_changed_by_dhcp");
  CHECK(left_for(lease(settings, kLease, {}, a)) == "stays");  // where the leased one failed before
  CHECK(lease(settings, {}, kLease, {}).begin_at_first);
}

TEST_CASE("[conn-11] a leased password counts where the operator set none, and another one authenticates anew") {
  auto settings = two_servers();
  settings.servers[0].domain = "leased.test";
  const DhcpOffer with{"eth0", "leased.test", "secret"};
  const Target present = targets_of(settings, kLease)[0];
  CHECK(password_of(settings, with) == "secret");
  CHECK(left_for(lease(settings, kLease, with, present)) == "password_changed_by_dhcp");
  CHECK(lease(settings, kLease, with, present).authenticate_anew);
  settings.password = "the operator's";
  CHECK(password_of(settings, with) == "the operator's");
  CHECK(left_for(lease(settings, kLease, with, present)) == "stays");
}
