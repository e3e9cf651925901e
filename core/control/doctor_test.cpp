// What `doctor` says, apart from the network: that is tried end to end.
#include <arpa/inet.h>

#include <fstream>
#include <thread>

#include "core/control/doctor_device.hpp"
#include "core/control/doctor_dhcp.hpp"
#include "core/control/doctor_report.hpp"
#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

// A device as check_device() sees it.
struct Device {
  TestFolder folder;
  DeviceFolders folders{folder.path() / "proc", folder.path() / "resolv.conf"};
  std::filesystem::path config = folder.path() / "config";
  std::string text;

  Device() {
    write(folders.proc / "net/route",
          "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
          "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    write(folders.proc / "net/ipv6_route", "");
    write(folders.resolv_conf, "# x\nnameserver 192.0.2.53\noptions edns0\nnameserver 192.0.2.54\n");
    write(folders.proc / "1/cmdline", std::string("/sbin/init\0", 11));
  }
  void agent(const std::string& pid, const std::string& dir) {
    write(folders.proc / pid / "cmdline",
          "/usr/sbin/hawserd" + std::string(1, '\0') + "--config" + std::string(1, '\0') + dir + std::string(1, '\0'));
  }
  std::size_t look(bool agent_answers, const std::optional<config::Settings>& settings = {}) {
    text.clear();
    DoctorReport report([this](const std::string& lines) { text += lines; });
    report.begin("This device");
    check_device(config, settings, agent_answers, report, folders);
    return report.failures();
  }
  bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
};

}  // namespace

TEST_CASE("[state-3] a failure says what was seen and what to do; the group stands once above its steps") {
  std::string text;
  DoctorReport report([&](const std::string& lines) { text += lines; });
  report.begin("Server a.example:19443");
  report.add({"", "192.0.2.1", "TCP", Found::Failed, "a\x1b", "connect_refused", "", milliseconds(3)});
  report.add({"", "", "registration", Found::Skipped, "the agent is connected", "", "", milliseconds(0)});
  CHECK(text ==
        "Server a.example:19443\n"
        "  FAILED  TCP            192.0.2.1: connection refused: a\\x1b (3 ms)\n"
        "          What to do: " +
            advice_for("connect_refused") +
            ".\n"
            "  skipped registration   the agent is connected\n");
  CHECK(report.failures() == 1);
  CHECK(report.closing_line() == "\n1 failure, 1 step skipped.\n");
  const auto answer = report.to_json();
  CHECK(!json::bool_or(answer, "ok", true));
  const auto step = *json::object_at(json::array_member(answer, "steps").value(), 0);
  CHECK(json::text_or(step, "group") == "Server a.example:19443");
  CHECK(json::text_or(step, "result") == "failed");
  CHECK(json::text_or(step, "reason") == "connect_refused");
  CHECK(json::text_or(step, "advice") == advice_for("connect_refused"));
  CHECK(json::integer_or(step, "took_ms", -1) == 3);
}

TEST_CASE("[state-3] every reason that a walk can end with has its advice") {
  for (const char* code :
       {"dns_failed",        "connect_refused", "connect_timeout",   "network_unreachable", "attempt_timeout",
        "http_timeout",      "peer_closed",     "tls_failed",        "certificate_clock",   "bad_response",
        "upgrade_refused",   "not_found",       "proxy_refused",     "proxy_auth_required", "vpn_instance_missing",
        "source_ip_missing", "unknown_serial",  "device_blocked",    "device_removed",      "enrolment_closed",
        "key_mismatch",      "proof_invalid",   "password_required", "password_wrong",      "hardware_incompatible",
        "too_many_requests", "unavailable"}) {
    INFO(code);
    CHECK(advice_for(code).size() > 20);
  }
}

TEST_CASE("[state-3] a good device has no failure and no warning") {
  Device device;
  device.agent("77", device.config.string());
  CHECK(device.look(true) == 0);
  CHECK(device.says("ok      default route  IPv4 only"));
  CHECK(device.says("ok      name servers   192.0.2.53, 192.0.2.54"));
  CHECK(device.says("ok      other agents   none"));
  CHECK(!device.says("warning"));
}

TEST_CASE("[state-3] doctor warns of no default route, no name servers and a second agent") {
  Device device;
  write(device.folders.proc / "net/route", "Iface\tDestination\nlo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\n");
  std::filesystem::remove(device.folders.resolv_conf);
  device.agent("77", device.config.string());
  device.agent("78", device.config.string());
  device.agent("79", "/elsewhere");
  CHECK(device.look(true) == 0);
  CHECK(device.says("warning default route  there is none"));
  CHECK(device.says("resolv.conf is missing"));
  CHECK(device.says("several hawserd run with this configuration: processes 7"));
  CHECK(!device.says("79"));
  write(device.folders.resolv_conf, "search example\n");
  device.look(true);
  CHECK(device.says("resolv.conf names none"));
  write(device.folders.proc / "net/ipv6_route", std::string(32, '0') + " 00 " + std::string(32, '0') +
                                                    " 00 fe800000000000000000000000000001 00000400 1 0 "
                                                    "00000003     eth0\n");
  device.look(true);
  CHECK(device.says("default route  IPv6 only"));
}

TEST_CASE("[state-3] an agent that runs but answers at another socket is named") {
  Device device;
  device.agent("77", device.config.string());
  device.look(false);
  CHECK(device.says("a hawserd runs with this configuration (process 77), but does not answer at this control socket"));
}

TEST_CASE("[state-3] an unreadable ca_file is a failure that names it") {
  Device device;
  config::Settings settings;
  settings.ca_file = (device.folder.path() / "no.pem").string();
  CHECK(device.look(true, settings) == 1);
  CHECK(device.says("FAILED  ca_file        TLS error: ca_file " + settings.ca_file));
  write(settings.ca_file, "no certificate");
  CHECK(device.look(true, settings) == 1);
}

TEST_CASE("[state-3][conn-11] doctor tells what each DHCP lease names, which one counts, and what of them is refused") {
  Device device;
  const auto door = device.folder.path() / "run/dhcp";
  config::Dhcp settings;
  const auto look = [&] {
    device.text.clear();
    DoctorReport report([&](const std::string& lines) { device.text += lines; });
    const auto leased = check_dhcp(door, settings, report, device.folders);
    CHECK(report.failures() == 0);
    return leased;
  };
  CHECK(!look());
  CHECK(device.says("ok      DHCP           no lease names the cloud"));
  write(door / "eth0", "option_253=612e6578616d706c65\nexpires_boot_s=99999999\n");  // a.example
  write(door / "a1", "option_253=622e6578616d706c65\n");
  CHECK(look() == std::optional(connection::DhcpOffer{"eth0", "a.example", std::nullopt}));
  CHECK(device.says("eth0 names a.example"));
  CHECK(device.says("a1 names b.example; the lease of eth0 counts, by its default route"));
  settings.interfaces = {"a1"};
  CHECK(look()->domain == "b.example");
  settings.interfaces = {};
  write(door / "a1", "option_253=613b6964\n");  // a;id
  write(door / "eth0", "option_253=612e6578616d706c65\nexpires_boot_s=1\n");
  CHECK(!look());
  CHECK(device.says("warning DHCP           a1: DHCP option 253 \"a;id\" must be a domain name"));
  CHECK(device.says("warning DHCP           eth0: the lease that named a.example is over"));
  settings.enabled = false;
  CHECK(!look());
  CHECK(device.says("leases are not heard"));
}

TEST_CASE("[state-3] each fault of the configuration is a failure of its own") {
  Device device;
  write(device.config / "hawser.toml", "[device]\nserial = \"a b\"\n[log]\nlevel = 1\n");
  DoctorReport report({});
  CtlOptions options;
  options.config_dir = device.config;
  CHECK(!check_configuration(options, report));
  CHECK(report.failures() >= 2);
}

TEST_CASE("[state-3][conn-22] the agent's proxy is examined, and not the one of the shell that doctor is typed in") {
  const TestFolder folder;
  write(folder.path() / "hawser.toml",
        "[device]\nserial = \"S1\"\nmodel = \"M\"\n[[cloud.server]]\ndomain = \"127.0.0.1\"\nports = [1]\n");
  const std::string socket = (folder.path() / "control.sock").string();
  const ServerThread agent(socket, [](Loop&) -> ControlServer::Handler {
    return [](Request request, Reply reply) {
      reply(json::parse_object(request.command == "config_show" ? R"({"cloud":{"kind":"generic"}})"
                                                                : R"({"cloud_connection_state":"Unconnected"})"));
    };
  });
  extra_environment = "https_proxy=http://127.0.0.1:2";
  const Ran ran = run({"--socket", socket, "--config", folder.path().string(), "doctor"});
  extra_environment.clear();
  INFO(ran.out << ran.err);
  CHECK(
      ran.out.find("the agent uses no proxy, but the files and this shell's environment name the proxy 127.0.0.1:2") !=
      std::string::npos);
  CHECK(ran.out.find("TCP to proxy") == std::string::npos);
  CHECK(ran.out.find("FAILED  TCP            127.0.0.1: connection refused") != std::string::npos);
}

TEST_CASE("[state-3] a proxy that is no proxy is told from a cloud that fails") {
  const TestFolder folder;
  write(folder.path() / "hawser.toml",
        "[device]\nserial = \"S1\"\nmodel = \"M\"\n[[cloud.server]]\ndomain = \"127.0.0.1\"\nports = [1]\n");
  // Closes at once whoever comes.
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  std::thread closer([&] { Descriptor(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); });
  extra_environment = "https_proxy=http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  const Ran ran = run({"--socket", "/nonexistent/x", "--config", folder.path().string(), "doctor"});
  extra_environment.clear();
  closer.join();
  INFO(ran.out << ran.err);
  CHECK(ran.exit == 1);
  CHECK(ran.out.find("FAILED  proxy          127.0.0.1: ") != std::string::npos);
  CHECK(ran.out.find("What to do: check that the proxy runs at its host and port") != std::string::npos);
}

TEST_CASE("[state-3] an agent that is there and gives no state is a failure with its advice") {
  const TestFolder folder;
  const std::string socket = (folder.path() / "control.sock").string();
  const ServerThread agent(socket, [](Loop&) -> ControlServer::Handler {
    return [](Request, Reply reply) { reply(Error{"internal", "out of order"}); };
  });
  const Ran ran = run({"--socket", socket, "--config", folder.path().string(), "doctor"});
  CHECK(ran.exit == 1);
  CHECK(ran.out.find("FAILED  agent          out of order; without it") != std::string::npos);
  CHECK(ran.out.find("What to do: look at the agent's log") != std::string::npos);
}
