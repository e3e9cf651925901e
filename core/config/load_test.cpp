#include "core/config/load.hpp"

#include <sys/stat.h>

#include "core/config/show.hpp"
#include "core/config/testing.hpp"
#include "core/config/toml_reader.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;

namespace {

const std::string kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBLjCB4aADAgECAhRDAPr3Fw8NEcdS9xx7nRQvGkRswzAFBgMrZXAwDDEKMAgG
A1UEAwwBdDAgFw0yNjExMjQyMTU4MTFaGA8yMTI2MTAzMTIxNTgxMVowDDEKMAgG
A1UEAwwBdDAqMAUGAytlcAMhAMg0FBM8vzpC6xS4rPIoHZZ8h04VHx/Ff6bgvQG7
08EPo1MwUTAdBgNVHQ4EFgQUmYP10SevBAdU+j2gJwufMqevg/gwHwYDVR0jBBgw
FoAUmYP10SevBAdU+j2gJwufMqevg/gwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD
QQBVJoHF7srcIel1+ztzD/+TXRjNZ20cpnirz79REHRYZMD3AggWkh7g5eocZ3Ni
jd7kk/R1+OGMlSfG8n+B6V4E
-----END CERTIFICATE-----
)";
const std::string kKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIOGAlaMX1p14iwRSEg6OSAAy3mwc+uJu9JobSddTUGbr
-----END PRIVATE KEY-----
)";

std::string with_ca(const ConfigFolder& folder) {
  return kGood + "[cloud.tls]\nca_file = \"" + (folder.path() / "ca.pem").string() + "\"\n";
}

}  // namespace

TEST_CASE("[conn-4][conn-5][conn-6] what is left out has the guide's defaults") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood);
  const auto result = folder.load();
  REQUIRE(result.settings);
  const Settings& settings = *result.settings;
  CHECK(settings.authentication_port == 19443);
  CHECK(settings.keepalive_interval == std::chrono::seconds(180));
  CHECK(settings.keepalive_count == 3);
  CHECK(settings.ping_interval == std::chrono::seconds(60));
  CHECK(settings.log_level == "info");
  CHECK(settings.servers.at(0).domain == "cloud.example");
  CHECK(settings.servers.at(0).primary);
  CHECK(settings.servers.at(0).ports.empty());
  CHECK_FALSE(settings.hostname.empty());
  CHECK(result.warnings.empty());
}

TEST_CASE("[conn-4][conn-5][conn-6] the ends of every range are taken, in each way of writing a time") {
  struct Row {
    const char *keepalive, *ping;
    int count, keepalive_s, ping_s;
  };
  const Row rows[] = {{"\"10s\"", "5", 1, 10, 5}, {"\"10m\"", "\"600s\"", 60, 600, 600}, {"600", "\"1m\"", 3, 600, 60}};
  for (const Row& row : rows) {
    ConfigFolder folder;
    folder.write("hawser.toml", std::string(kGoodDevice) + "[cloud]\nauthentication_port = 65535\n" + kGoodServer +
                                    "[cloud.keepalive]\ninterval = " + row.keepalive + "\ncount = " +
                                    std::to_string(row.count) + "\n[cloud.ping]\ninterval = " + row.ping);
    const auto result = folder.load();
    REQUIRE(result.settings);
    CHECK(result.settings->authentication_port == 65535);
    CHECK(result.settings->keepalive_interval.count() == row.keepalive_s);
    CHECK(result.settings->keepalive_count == row.count);
    CHECK(result.settings->ping_interval.count() == row.ping_s);
  }
}

TEST_CASE("[conn-7][conn-8] one primary and eight backups are taken, names as written, in stored order") {
  ConfigFolder folder;
  std::string text =
      std::string(kGoodDevice) + "[[cloud.server]]\ndomain = \"Cloud.Example.\"\nports = [1, 65535, 443]\n";
  for (const char* name : {"z", "y", "x", "w", "v", "u", "B", "a"})
    text += std::string("[[cloud.server]]\nrole = \"backup\"\ndomain = \"") + name + "\"\n";
  folder.write("hawser.toml", text);
  const auto result = folder.load();
  CHECK(join(folder, result.faults) == "");
  REQUIRE(result.settings);
  std::string names;
  for (const auto& server : result.settings->servers) names += server.domain + " ";
  CHECK(names == "a B Cloud.Example. u v w x y z ");
  CHECK(result.settings->servers.at(2).ports == std::vector<std::uint16_t>{65535, 443, 1});
  CHECK(result.warnings.empty());
}

TEST_CASE("later files merge into earlier ones key by key, and their arrays replace") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "[cloud.keepalive]\ninterval = 20\ncount = 5\n[plugins]\nenabled = [\"a.b\"]\n");
  folder.write("conf.d/20-b.toml", "[cloud.keepalive]\ninterval = 40\n[device]\nsite = \"branch\"\n");
  folder.write("conf.d/10-a.toml", "[cloud.keepalive]\ninterval = 30\n[[cloud.server]]\ndomain = \"other.example\"\n");
  folder.write("conf.d/.30-c.toml", "nonsense");
  folder.write("conf.d/readme", "nonsense");
  folder.write("sites/branch.toml", "[plugins]\nenabled = [\"c.d\"]\n");
  folder.write("sites/other.toml", "nonsense");
  const auto result = folder.load();
  CHECK(join(folder, result.faults) == "");
  REQUIRE(result.settings);
  CHECK(result.settings->keepalive_interval.count() == 40);
  CHECK(result.settings->keepalive_count == 5);
  REQUIRE(result.settings->servers.size() == 1);
  CHECK(result.settings->servers[0].domain == "other.example");
  CHECK(result.settings->site == "branch");
  CHECK(result.settings->enabled == std::vector<std::string>{"c.d"});
}

TEST_CASE("faults of all files come in one go, also of values that a later file replaces") {
  ConfigFolder folder;
  folder.write("hawser.toml", "[log]\nlevel = 1\n[cloud.keepalive]\ncount = 0\n");
  folder.write("conf.d/10.toml", "x = \n");
  folder.write("conf.d/20.toml", "[log]\nlevel = \"info\"\n[device]\nsite = \"s\"\nserial = \"a b\"\n");
  folder.write("sites/s.toml", "[device]\nsite = \"t\"\n");
  const auto result = folder.load();
  REQUIRE(result.faults.size() == 5);
  CHECK(folder.relative(result.faults[0]) == "hawser.toml:2:9: log.level: is 1, must be a string");
  CHECK(folder.relative(result.faults[1]) ==
        "hawser.toml:4:9: cloud.keepalive.count: is 0, must be a whole number from 1 to 60");
  CHECK(folder.relative(result.faults[2]).rfind("conf.d/10.toml:1:5: is not TOML: ", 0) == 0);
  CHECK(folder.relative(result.faults[3]) ==
        "conf.d/20.toml:5:10: device.serial: is \"a b\", must be 1 to 64 of A-Z a-z 0-9 . _ -");
  CHECK(folder.relative(result.faults[4]) ==
        "sites/s.toml:2:8: device.site: cannot be set in a site's own file; remove it");
}

TEST_CASE("B1 B3 B4 B15 a file that cannot be read says why, and what to do") {
  ConfigFolder folder;
  const auto only_fault = [&] {
    const auto result = folder.load();
    REQUIRE(result.faults.size() == 1);
    return folder.relative(result.faults[0]);
  };
  CHECK(only_fault() == "hawser.toml: does not exist; create it, or name the right folder with --config");
  folder.write("hawser.toml/x", "");
  CHECK(only_fault() == "hawser.toml: is a folder, must be a file");
  std::filesystem::remove_all(folder.path() / "hawser.toml");
  folder.write("hawser.toml", kGood + std::string(kFileBytesMax, '#'));
  CHECK(only_fault() == "hawser.toml: is larger than 1 MiB, which is the limit; this is no configuration file");
  folder.write("hawser.toml", kGood);
  REQUIRE(::chmod((folder.path() / "hawser.toml").c_str(), 0600) == 0);
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  if (::geteuid() == 0) {  // as root everything can be read
    REQUIRE(::seteuid(65534) == 0);
    const std::string fault = only_fault();
    REQUIRE(::seteuid(0) == 0);
    CHECK(fault ==
          "hawser.toml: cannot be read by uid 65534: Permission denied (mode 0600, owner uid 0); let that user "
          "read it");
  }
}

TEST_CASE("B14 a byte order mark and CRLF are no fault") {
  ConfigFolder folder;
  std::string text = "\xef\xbb\xbf" + kGood;
  for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos; at += 2) text.insert(at, "\r");
  folder.write("hawser.toml", text);
  const auto result = folder.load();
  CHECK(join(folder, result.faults) == "");
  CHECK(result.settings->serial == "S1");
}

TEST_CASE("a file with 100,000 unknown keys is answered in bounded time and length") {
  ConfigFolder folder;
  std::string text = kGood;
  for (int i = 0; i < 100'000; ++i) text += "k" + std::to_string(i) + "=1\n";
  folder.write("hawser.toml", text);
  folder.write("conf.d/10.toml", text);
  CHECK(folder.load().faults.size() == Faults::kListedMax);
}

TEST_CASE("B19 [sec-1] ca_file must hold a certificate that can be read") {
  ConfigFolder folder;
  folder.write("hawser.toml", with_ca(folder));
  const auto fault = [&](const std::string& pem) {
    folder.write("ca.pem", pem);
    return join(folder, folder.load().faults);
  };
  const std::string right = "; name a PEM file with the certificate of the cloud's CA\n";
  const std::string where = "hawser.toml:8:11: cloud.tls.ca_file: ";
  CHECK(fault(kCertificate) == "");
  CHECK(fault("a comment\n" + kCertificate + kCertificate) == "");
  CHECK(fault("") == where + "ca.pem is empty" + right);
  CHECK(fault("hello\n") == where + "ca.pem holds no PEM certificate" + right);
  CHECK(fault(kKey) == where + "ca.pem holds a private key and no certificate" + right);
  std::string damaged = kCertificate;
  damaged.replace(40, 4, "AAAA");
  CHECK(fault(kCertificate + damaged) == where + "certificate 2 of ca.pem is damaged" + right);
}

TEST_CASE("B2 an empty file names the one key that must be set; where the hardware has it, DHCP names the cloud") {
  ConfigFolder folder;
  for (const std::string empty : {"", "\n", "# nothing\n\n  \n", "\xef\xbb\xbf"}) {
    INFO(empty);
    folder.write("hawser.toml", empty);
    const auto without = config::load(folder.path(), {folder.path() / "no", folder.path() / "no", folder.path()});
    CHECK_FALSE(without.settings);
    REQUIRE(without.faults.size() == 1);
    CHECK(folder.relative(without.faults[0]) ==
          "hawser.toml:1:1: device.serial: must be set, to the serial number that the cloud knows: the hardware names "
          "none");
  }
  folder.write("hawser.toml", "");
  folder.write("dmi/product_serial", "219801A2BC1234\n");
  const auto with = config::load(folder.path(), {folder.path() / "dmi", folder.path() / "tree", folder.path()});
  REQUIRE(with.settings);
  CHECK(with.settings->servers.empty());
  CHECK(with.settings->dhcp.enabled);
}

TEST_CASE("serial and model come from the hardware, unless what it says is known junk") {
  ConfigFolder folder;
  const auto load = [&] {
    return config::load(folder.path(), {folder.path() / "dmi", folder.path() / "tree", folder.path()});
  };
  folder.write("hawser.toml", kGoodServer);
  folder.write("dmi/product_serial", "219801A2BC1234\n");
  folder.write("dmi/product_name", "MSR3620-X1  \n");
  CHECK(load().settings->serial == "219801A2BC1234");
  CHECK(load().settings->model == "MSR3620-X1");
  for (const std::string junk :
       {"", "\n", "None\n", "To be filled by O.E.M.\n", "to be filled by o.e.m.", "0", "00000000", "0000-0000",
        "Default string", "System Serial Number", "xxxxxxx", "Not Specified"}) {
    folder.write("dmi/product_serial", junk);
    INFO(junk);
    const auto result = load();
    REQUIRE(result.faults.size() == 1);
    CHECK(result.faults[0].find("hawser.toml:1:1: device.serial: must be set, to the serial number that the cloud "
                                "knows: \"") != std::string::npos);
  }
  folder.write("dmi/product_serial", "VMware-56 4d\n");
  CHECK(folder.relative(load().faults.at(0)) ==
        "hawser.toml:1:1: device.serial: must be set, to the serial number that the cloud knows: \"VMware-56 4d\" in "
        "dmi/product_serial is not 1 to 64 of A-Z a-z 0-9 . _ -");
  folder.write("tree/serial-number", std::string("10000000abcdef\0", 15));
  CHECK(load().settings->serial == "10000000abcdef");
  CHECK(folder.relative(folder.load().faults.at(0)) ==
        "hawser.toml:1:1: device.serial: must be set, to the serial number that the cloud knows: the hardware names "
        "none");
}

TEST_CASE("the configuration that ships is good as it is but for the serial number, and so is every line in it") {
  std::ifstream file(HAWSER_SOURCE_DIR "/conf/hawser.toml");
  std::string line, shipped, all;
  while (std::getline(file, line)) {
    shipped += line + "\n";
    const bool is_value = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    all += (is_value ? line.substr(1) : line) + "\n";
  }
  ConfigFolder folder;
  folder.write("hawser.toml", shipped);
  folder.write("conf.d/50-serial.toml", "[device]\nserial = \"S1\"\n");
  CHECK(join(folder, folder.load().faults) == "");
  CHECK(folder.load().settings->enabled.size() == 3);
  folder.write("hawser.toml", all);
  folder.write("ca.pem", kCertificate);
  folder.write("conf.d/50-serial.toml", "[cloud.tls]\nca_file = \"" + (folder.path() / "ca.pem").string() + "\"\n");
  const auto result = folder.load();
  REQUIRE(result.faults.size() == 1);  // /etc/hawser/cloud-ca.pem is an example
  CHECK(result.faults[0].find("cloud.tls.ca_file: cannot open /etc/hawser/cloud-ca.pem") != std::string::npos);
}

TEST_CASE("what is in force can be shown, with defaults filled in") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "[plugins]\nenabled = [\"a.b\"]\n");
  folder.write("plugins.d/a.b.toml", "[config]\nx = 1\n[actions.go]\ncommand = [\"/bin/true\", \"-v\"]\n");
  auto settings = *folder.load().settings;
  settings.hostname = "h";
  settings.plugins.at("a.b").file = "/f";
  CHECK(
      json::to_text(to_json(settings)) ==
      R"({"device":{"serial":"S1","model":"M1","site":"","hostname":"h"},)"
      R"("cloud":{"kind":"generic","allow_incompatible":false,"remember_server":true,"password":"not set",)"
      R"("dhcp":{"enabled":true,"domain_option":253,"password_option":0,"interfaces":[]},"authentication_port":19443,)"
      R"("server":[{"role":"primary","domain":"cloud.example","ports":[19443],"ip_version":"any","vpn_instance":"",)"
      R"("source_ip":""}],)"
      R"("keepalive":{"interval":180,"count":3},"ping":{"interval":60},"tls":{"ca_file":""}},)"
      R"("plugins":{"enabled":["a.b"],"disabled":[],"from_cloud":false,"development_mode":false,"probation_s":600,"first_uid":1879048192},"plugins.d":{"a.b":{"file":"/f","config":{"x":1},)"
      R"("actions":{"go":{"command":["/bin/true","-v"],"time_limit":30}},"limits":{},)"
      R"("spool":{"bytes":67108864,"mode":"safe"}}},"log":{"level":"info"}})");
}
