// conn-14: by which way names are asked for and connections leave. In network namespaces that the tests make.
#include <arpa/inet.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>

#include "core/transport/resolver.hpp"
#include "core/transport/test_device.hpp"
#include "core/transport/test_name_server.hpp"
#include "core/transport/test_namespace.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

std::string standing_in() { return std::filesystem::read_symlink("/proc/thread-self/ns/net").string(); }

Result<std::unique_ptr<Stream>> dial(Device& device, const std::string& host, std::uint16_t port, Binding binding) {
  return device.dialer.dial({host, port}, Clock::now() + 10s, {}, binding);
}

std::string words(const Result<std::unique_ptr<Stream>>& result) {
  return result ? "connected" : result.error().code + ": " + result.error().message;
}

// Answers each line with who asks from where.
TlsServer::Serve telling(const std::string& name) {
  return [name](Peer& peer) {
    while (!peer.read_until("who?").empty()) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ::getpeername(peer.fd(), reinterpret_cast<sockaddr*>(&from), &size);
      char text[INET_ADDRSTRLEN] = "";
      peer.write(name + " sees " + ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text));
    }
  };
}

NameServer::Script one_address(const std::string& address) {
  return [address](const std::string&, int type) {
    return type == NameServer::kA ? NameServer::Answer{.addresses = {address}} : NameServer::Answer{};
  };
}

// A device with two links, "left" and "right"; behind each a cloud and a name server at the same address, 10.99.7.2.
// The calling thread stands on the device while this lives.
struct TwoLinks {
  TestNamespace home{"h"}, behind_left{"l"}, behind_right{"r"};
  NamespaceVisit at_home{links()};
  Certificate certificate = for_names("DNS:cloud.test,IP:10.99.7.2");

  int links() const {
    for (const auto& [device, address, behind] :
         {std::tuple{"left", "10.99.7.1", &behind_left}, std::tuple{"right", "10.99.7.3", &behind_right}}) {
      home.ip(std::string("link add ") + device + " type veth peer name far netns " + behind->name());
      home.ip(std::string("addr add ") + address + "/24 dev " + device);
      home.ip(std::string("link set ") + device + " up");
      behind->ip("addr add 10.99.7.2/24 dev far");
      behind->ip("link set far up");
    }
    return home.fd();
  }
  std::unique_ptr<TlsServer> cloud(const TestNamespace& where, const std::string& name) const {
    const NamespaceVisit visit(where.fd());
    return std::make_unique<TlsServer>(certificate, telling(name), 0, "10.99.7.2");
  }
  std::unique_ptr<NameServer> names(const TestNamespace& where, const std::string& answer) const {
    const NamespaceVisit visit(where.fd());
    return std::make_unique<NameServer>(one_address(answer), "10.99.7.2", std::uint16_t{53});
  }
};

}  // namespace

TEST_CASE("[conn-14] a named network namespace carries the look-up and the connection, and the thread comes home") {
  if (!can_make_namespaces()) return;
  const TestNamespace red("red");
  Device device;
  const std::string home = standing_in();
  std::unique_ptr<TlsServer> cloud;
  std::unique_ptr<NameServer> names;
  {
    const NamespaceVisit visit(red.fd());
    cloud = std::make_unique<TlsServer>(for_names("DNS:cloud.test,DNS:other.test,IP:127.0.0.1"), answer_pings);
    names = std::make_unique<NameServer>(one_address("127.0.0.1"), "127.0.0.1", std::uint16_t{53});
  }
  red.write("resolv.conf", "nameserver 127.0.0.1\n");
  const Binding binding{IpVersion::Any, red.name(), ""};

  SECTION("an address is reached in there, and not from here") {
    auto stream = dial(device, "127.0.0.1", cloud->port(), binding);
    INFO(words(stream));
    REQUIRE(stream);
    CHECK(say(**stream, "ping") == "pong");
    CHECK(code(dial(device, "127.0.0.1", cloud->port(), {})) == "connect_refused");
  }
  SECTION("a name is asked for in there, of the namespace's own name servers") {
    const auto stream = dial(device, "cloud.test", cloud->port(), binding);
    CHECK(words(stream) == "connected");
  }
  SECTION("a name of the namespace's own hosts file needs no name server, other names still do") {
    red.write("hosts",
              "# comment\n127.0.0.9 nobody # other.test\n\t127.0.0.1  first OTHER.test\nnonsense other.test\n");
    names.reset();
    CHECK(words(dial(device, "other.test", cloud->port(), binding)) == "connected");
    CHECK(code(dial(device, "cloud.test", cloud->port(), binding)) == "dns_failed");
  }
  SECTION("errors inside tell the way, and leave the thread at home") {
    const auto refused = dial(device, "127.0.0.1", 9, binding);
    CHECK(code(refused) == "connect_refused");
    CHECK(words(refused).find("through vpn_instance " + red.name()) != std::string::npos);
  }
  CHECK(standing_in() == home);
}

TEST_CASE("[conn-14] a network device carries the look-up and the connection") {
  if (!can_make_namespaces()) return;
  const TwoLinks two;
  Device device;
  const auto left = two.cloud(two.behind_left, "left"), right = two.cloud(two.behind_right, "right");
  const auto left_names = two.names(two.behind_left, "10.99.7.2"),
             right_names = two.names(two.behind_right, "10.99.7.9");
  for (const auto& [link, port, seen] : {std::tuple{"left", left->port(), "left sees 10.99.7.1"},
                                         std::tuple{"right", right->port(), "right sees 10.99.7.3"}}) {
    INFO(link);
    auto stream = dial(device, "10.99.7.2", port, {IpVersion::Any, link, ""});
    INFO(words(stream));
    REQUIRE(stream);
    CHECK(say(**stream, "who?") == seen);
  }
  Waker waker;
  for (const auto& [link, answer] : {std::pair{"left", "10.99.7.2"}, std::pair{"right", "10.99.7.9"}}) {
    INFO(link);
    const auto egress = Egress::find({IpVersion::V4, link, ""});
    REQUIRE(egress);
    const auto found = resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 5s), *egress, "10.99.7.2");
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    CHECK(found->front().toString() == answer);
  }
}

TEST_CASE("[conn-14] the source address counts for the look-up and the connection, with and without a device") {
  if (!can_make_namespaces()) return;
  const TwoLinks two;
  two.home.ip("addr add 10.99.7.11/24 dev left");
  Device device;
  const auto left = two.cloud(two.behind_left, "left");
  const auto names = two.names(two.behind_left, "10.99.7.2");
  const std::string link = GENERATE("left", "");
  INFO(link);
  const Binding binding{IpVersion::Any, link, "10.99.7.11"};
  auto stream = dial(device, "10.99.7.2", left->port(), binding);
  INFO(words(stream));
  REQUIRE(stream);
  CHECK(say(**stream, "who?") == "left sees 10.99.7.11");

  Waker waker;
  const auto egress = Egress::find(binding);
  REQUIRE(egress);
  REQUIRE(resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 5s), *egress, "10.99.7.2"));
  CHECK(names->last_asker() == "10.99.7.11");
  // A name server of the other family cannot be asked from there, and is not asked from elsewhere.
  CHECK(!resolve("cloud.test", waker, StepLimit(1s, Clock::now() + 5s), *egress, "fd00::53"));
}

TEST_CASE("[conn-14] only the family of ip_version is looked up and dialled") {
  Device device;
  TlsServer server(for_names("DNS:localhost,IP:127.0.0.1"), answer_pings);
  CHECK(words(dial(device, "localhost", server.port(), {IpVersion::V4, "", ""})) == "connected");
  const auto v6 = dial(device, "localhost", server.port(), {IpVersion::V6, "", ""});
  CHECK(words(v6).find("127.0.0.1") == std::string::npos);
  CHECK(!v6);
  const auto other = dial(device, "127.0.0.1", server.port(), {IpVersion::V6, "", ""});
  CHECK(words(other) ==
        "dns_failed: 127.0.0.1 is no IPv6 address, and the binding allows only IPv6: change the server's domain or its "
        "ip_version or source_ip");
  CHECK(code(dial(device, "::1", server.port(), {IpVersion::V4, "", ""})) == "dns_failed");
  CHECK(code(dial(device, "::1", server.port(), {IpVersion::Any, "", "127.0.0.1"})) == "dns_failed");

  std::atomic<int> asked_v6 = 0;  // counted on the name server's thread
  const NameServer names([&](const std::string&, int type) {
    asked_v6 += type == NameServer::kAaaa ? 1 : 0;
    return NameServer::Answer{.addresses = {type == NameServer::kA ? "10.0.0.1" : "fd00::1"}};
  });
  Waker waker;
  const auto found = resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 5s),
                             *Egress::find({IpVersion::V4, "", ""}), names.address());
  REQUIRE(found);
  CHECK(found->size() == 1);
  CHECK(asked_v6.load() == 0);
}

TEST_CASE("[conn-14] what is not there is named with what was looked for, before anything is sent") {
  Device device;
  const Listener nobody = Listener::open();
  const auto told = [&](const Binding& binding) { return words(dial(device, "127.0.0.1", nobody.port, binding)); };
  CHECK(told({IpVersion::Any, "no-such", ""}) ==
        "vpn_instance_missing: vpn_instance no-such: there is neither a network namespace /run/netns/no-such nor a VRF "
        "or other network device of that name");
  for (const std::string name : {"../self", "a/b", ".", "..", "a-name-that-is-longer-than-a-device"})
    CHECK(told({IpVersion::Any, name, ""}).starts_with("vpn_instance_missing: vpn_instance " + name));
  CHECK(told({IpVersion::Any, std::string(300, 'x'), ""}).starts_with("vpn_instance_missing"));
  CHECK(told({IpVersion::Any, "", "203.0.113.7"}) ==
        "source_ip_missing: source_ip 203.0.113.7 is no address of this device: add it to an interface, or change "
        "source_ip");
  CHECK(told({IpVersion::Any, "", "2001:db8::7"}).starts_with("source_ip_missing: source_ip 2001:db8::7"));
  CHECK(told({IpVersion::Any, "", "cloud.test"}) == "source_ip_missing: source_ip cloud.test is no IP address");
  CHECK(
      told({IpVersion::V6, "", "127.0.0.1"}).starts_with("source_ip_missing: source_ip 127.0.0.1 is an IPv4 address"));

  if (!can_make_namespaces()) return;
  TestNamespace red("red");
  CHECK(told({IpVersion::Any, red.name(), "203.0.113.7"}) ==
        "source_ip_missing: source_ip 203.0.113.7 is no address of this device in vpn_instance " + red.name() +
            ": add it to an interface, or change source_ip");
  run("umount -l /run/netns/" + red.name());
  CHECK(told({IpVersion::Any, red.name(), ""}) == "vpn_instance_missing: vpn_instance " + red.name() + ": /run/netns/" +
                                                      red.name() +
                                                      " is no network namespace any more: make it anew with ip netns");
}

TEST_CASE("[conn-14] where a namespace and a device have one name, the namespace counts") {
  if (!can_make_namespaces()) return;
  const TestNamespace home("h"), both("b");
  const NamespaceVisit at_home(home.fd());
  home.ip("link add " + both.name() + " type veth peer name far");
  std::unique_ptr<TlsServer> cloud;
  {
    const NamespaceVisit visit(both.fd());
    cloud = std::make_unique<TlsServer>(for_names("IP:127.0.0.1"), answer_pings);
  }
  Device device;
  CHECK(words(dial(device, "127.0.0.1", cloud->port(), {IpVersion::Any, both.name(), ""})) == "connected");
}

TEST_CASE("[conn-14] a thread that cannot go back from a namespace ends the process") {
  if (!can_make_namespaces()) return;
  const TestNamespace red("red");
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_DUMPABLE, 0);  // the abort is asked for: no core
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    auto visit = std::make_unique<NamespaceVisit>(red.fd());
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    if (visit->error() != 0 || ::syscall(SYS_capset, &head, none) != 0) ::_exit(3);
    ::signal(SIGABRT, SIG_DFL);
    visit.reset();
    ::_exit(4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}
