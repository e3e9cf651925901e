// conn-14 with a real VRF, in a virtual machine: tests/vm/run boots it, since few kernels at hand have VRF devices.
#include "core/transport/resolver.hpp"
#include "core/transport/test_device.hpp"
#include "core/transport/test_name_server.hpp"
#include "core/transport/test_namespace.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

const char* const kCloud = "10.99.5.2";

// A device with one link in the VRF "red" and one outside of it. Behind each link stands a cloud, and behind the VRF a
// name server too, all of them at 10.99.5.2: only the routing table of the VRF tells them apart.
struct Vrf {
  TestNamespace red_side{"red"}, plain_side{"plain"};
  Certificate certificate = for_names("DNS:cloud.test,IP:10.99.5.2");
  std::unique_ptr<TlsServer> red_cloud, plain_cloud;
  std::unique_ptr<NameServer> names;

  Vrf() {
    run("ip link add red type vrf table 10 && ip link set red up");
    link("in_red", red_side, "10.99.5.1");
    run("ip link set in_red master red && ip link set in_red up");
    link("in_plain", plain_side, "10.99.5.3");
    red_cloud = cloud(red_side, "red");
    plain_cloud = cloud(plain_side, "plain");
    const NamespaceVisit visit(red_side.fd());
    names = std::make_unique<NameServer>(
        [](const std::string&, int type) {
          return type == NameServer::kA ? NameServer::Answer{.addresses = {kCloud}} : NameServer::Answer{};
        },
        kCloud, std::uint16_t{53});
  }

  static void link(const std::string& device, const TestNamespace& behind, const std::string& address) {
    run("ip link add " + device + " type veth peer name far netns " + behind.name());
    run("ip addr add " + address + "/24 dev " + device + " && ip link set " + device + " up");
    behind.ip(std::string("addr add ") + kCloud + "/24 dev far");
    behind.ip("link set far up");
  }
  std::unique_ptr<TlsServer> cloud(const TestNamespace& where, const std::string& name) const {
    const NamespaceVisit visit(where.fd());
    return std::make_unique<TlsServer>(
        certificate,
        [name](Peer& peer) {
          while (!peer.read_until("who?").empty()) peer.write(name);
        },
        0, kCloud);
  }
};

std::string words(const Result<std::unique_ptr<Stream>>& result) {
  return result ? "connected" : result.error().code + ": " + result.error().message;
}

}  // namespace

TEST_CASE("[conn-14] names are asked for and connections made through the VRF; without its device neither is") {
  const Vrf vrf;
  Device device;
  const auto dial = [&](const std::string& host, std::uint16_t port, const Binding& binding) {
    return device.dialer.dial({host, port}, Clock::now() + 20s, {}, binding);
  };
  for (const auto& [port, binding, cloud] :
       {std::tuple{vrf.red_cloud->port(), Binding{IpVersion::Any, "red", ""}, "red"},
        std::tuple{vrf.red_cloud->port(), Binding{IpVersion::Any, "red", "10.99.5.1"}, "red"},
        std::tuple{vrf.plain_cloud->port(), Binding{}, "plain"}}) {
    auto stream = dial(kCloud, port, binding);
    INFO(words(stream));
    REQUIRE(stream);
    CHECK(say(**stream, "who?") == cloud);
  }

  Waker waker;
  const auto red = Egress::find({IpVersion::V4, "red", ""});
  REQUIRE(red);
  const auto found = resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 5s), *red, kCloud);
  REQUIRE(found);
  CHECK(found->front().toString() == kCloud);
  CHECK(vrf.names->last_asker() == "10.99.5.1");
  CHECK(!resolve("cloud.test", waker, StepLimit(2s, Clock::now() + 5s), {}, kCloud));  // no name server outside

  // An address of the device, but not of the VRF.
  CHECK(words(dial(kCloud, vrf.red_cloud->port(), {IpVersion::Any, "red", "10.99.5.3"}))
            .starts_with("source_ip_missing: source_ip 10.99.5.3 is no address of this device in vpn_instance red"));

  run("ip link del red");
  CHECK(words(dial(kCloud, vrf.red_cloud->port(), {IpVersion::Any, "red", ""}))
            .starts_with("vpn_instance_missing: vpn_instance red: there is neither"));
}
