#include <sys/stat.h>
#include <unistd.h>

#include "core/config/password.hpp"
#include "core/config/show.hpp"
#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;

namespace {

void set_mode(const std::filesystem::path& file, mode_t mode) { REQUIRE(::chmod(file.c_str(), mode) == 0); }

std::string shown(const Settings& settings) { return json::to_text(to_json(settings)); }

}  // namespace

TEST_CASE("[conn-14] a server's binding is taken as it is written") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "ip_version = 4\nvpn_instance = \"lo\"\nsource_ip = \"127.0.0.1\"\n");
  const auto result = folder.load();
  CHECK(join(folder, result.faults) == "");
  CHECK(join(folder, result.warnings) == "");
  CHECK(result.settings->servers.at(0).binding == Binding{IpVersion::V4, "lo", "127.0.0.1"});
}

TEST_CASE("[conn-14] a binding to what is not there now is a warning, since it may come") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "vpn_instance = \"no-such-vrf\"\n");
  CHECK(join(folder, folder.load().faults) == "");
  CHECK(join(folder, folder.load().warnings) ==
        "hawser.toml:7:16: cloud.server.vpn_instance: \"no-such-vrf\" is neither a network namespace (ip netns list) "
        "nor a network device (ip link) now\n");
  folder.write("hawser.toml", kGood + "source_ip = \"192.0.2.77\"\n");
  CHECK(join(folder, folder.load().faults) == "");
  CHECK(join(folder, folder.load().warnings) ==
        "hawser.toml:7:13: cloud.server.source_ip: \"192.0.2.77\" is no address of this device now (ip address)\n");
}

TEST_CASE("[conn-11][conn-12] DHCP is on by default and alone is enough; its options can be changed and turned off") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGoodDevice);
  const auto alone = folder.load();
  REQUIRE(alone.settings);
  CHECK(alone.settings->dhcp.enabled);
  CHECK(alone.settings->dhcp.domain_option == 253);
  CHECK(alone.settings->dhcp.password_option == 0);
  CHECK(alone.settings->servers.empty());
  folder.write("hawser.toml", kGood +
                                  "[cloud.dhcp]\nenabled = false\ndomain_option = 224\npassword_option = 225\n"
                                  "interfaces = [\"eth0\", \"wan.7\"]\n");
  const auto changed = folder.load();
  REQUIRE(changed.settings);
  CHECK_FALSE(changed.settings->dhcp.enabled);
  CHECK(changed.settings->dhcp.domain_option == 224);
  CHECK(changed.settings->dhcp.password_option == 225);
  CHECK(changed.settings->dhcp.interfaces == std::vector<std::string>{"eth0", "wan.7"});
}

TEST_CASE("[conn-12] an option below 224 is warned about with its place and its meaning: no hook hands it over") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "[cloud.dhcp]\ndomain_option = 15\npassword_option = 223\n");
  const auto result = folder.load();
  REQUIRE(result.settings);
  CHECK(result.settings->dhcp.domain_option == 15);
  const std::string warnings = join(folder, result.warnings);
  INFO(warnings);
  CHECK(warnings.find("cloud.dhcp.domain_option: is 15 (domain name), an option with a standard meaning") !=
        std::string::npos);
  CHECK(warnings.find("cloud.dhcp.password_option: is 223, an option") != std::string::npos);
  CHECK(warnings.rfind("hawser.toml:", 0) == 0);
  folder.write("hawser.toml", kGood + "[cloud.dhcp]\ndomain_option = 252\npassword_option = 0\n");
  CHECK(join(folder, folder.load().warnings) == "");
}

TEST_CASE("[conn-15] a plain password counts only in a file that nobody else may read, and is warned about") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood + "[cloud]\npassword = \"sesame\"\n");
  const auto file = folder.path() / "hawser.toml";
  folder.write("hawser.toml", std::string(kGoodDevice) + "[cloud]\npassword = \"sesame\"\n" + kGoodServer);
  set_mode(file, 0600);
  const auto good = folder.load();
  CHECK(join(folder, good.faults) == "");
  REQUIRE(good.settings);
  CHECK(good.settings->password == "sesame");
  CHECK(join(folder, good.warnings) ==
        "hawser.toml:6:12: cloud.password: stands in the clear; hawserctl server password encrypts it\n");
  CHECK(shown(*good.settings).find("sesame") == std::string::npos);
  for (const mode_t mode : {0604u, 0640u, 0644u}) {
    set_mode(file, mode);
    CHECK(join(folder, folder.load().faults) ==
          "hawser.toml:6:12: cloud.password: stands in the clear in a file that others can read; chmod 600 it, or "
          "better use hawserctl server password\n");
  }
}

TEST_CASE("[conn-15] B21 a password file is read when it is private, ours and one line") {
  ConfigFolder folder;
  const auto file = folder.path() / "secret";
  folder.write("hawser.toml", std::string(kGoodDevice) + "[cloud]\npassword_file = \"" + file.string() + "\"\n");
  folder.write("secret", "open sesame\n");
  set_mode(file, 0600);
  REQUIRE(folder.load().settings);
  CHECK(folder.load().settings->password == "open sesame");
  const auto fault = [&] { return join(folder, folder.load().faults); };
  const std::string where = "hawser.toml:6:17: cloud.password_file: secret ";
  set_mode(file, 0644);
  CHECK(fault() == where + "can be read by others; chmod 600 it\n");
  set_mode(file, 0600);
  for (const char* bad : {"", "\n", "a\nb\n"}) {
    folder.write("secret", bad);
    CHECK(fault() ==
          where + "must hold one line with the password, 1 to 128 bytes of UTF-8 without control characters\n");
  }
  if (::geteuid() != 0) return;
  folder.write("secret", "open sesame\n");
  REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
  CHECK(fault() == where + "belongs to uid 65534; chown it to root\n");
}

TEST_CASE("[conn-15] a password is sealed with a key of this device, and opens on no other") {
  ConfigFolder folder;
  const auto state = folder.path() / "state";
  const auto sealed = seal_password("open sesame", state);
  REQUIRE(sealed);
  CHECK(sealed->rfind("v1:", 0) == 0);
  CHECK(sealed->find("sesame") == std::string::npos);
  CHECK(*seal_password("open sesame", state) != *sealed);  // a nonce of its own each time
  struct stat about {};
  REQUIRE(::stat((state / "password.key").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  CHECK(about.st_size == 32);

  folder.write("hawser.toml", std::string(kGoodDevice) + "[cloud]\npassword_cipher = \"" + *sealed + "\"\n");
  const auto good = folder.load();
  CHECK(join(folder, good.faults) == "");
  CHECK(good.warnings.empty());
  REQUIRE(good.settings);
  CHECK(good.settings->password == "open sesame");
  CHECK(shown(*good.settings).find("sesame") == std::string::npos);
  CHECK(shown(*good.settings).find(*sealed) == std::string::npos);

  const std::string foreign =
      "hawser.toml:6:19: cloud.password_cipher: was made on another device, or is damaged; set it anew with hawserctl "
      "server password\n";
  const auto fault = [&] { return join(folder, folder.load().faults); };
  SECTION("another device's key") {
    folder.write("state/password.key", std::string(32, 'k'));
    CHECK(fault() == foreign);
  }
  SECTION("no key") {
    std::filesystem::remove_all(state);
    CHECK(fault() == foreign);
  }
  SECTION("a key that others can read") {
    set_mode(state / "password.key", 0644);
    CHECK(fault().find("can be read by others") != std::string::npos);
  }
  SECTION("a changed character, anywhere") {
    for (std::size_t at = 0; at < sealed->size(); ++at) {
      std::string changed = *sealed;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      const auto opened = open_password(changed, state);
      // The last character of base64url holds bits that stand for nothing; a reader may refuse or ignore them.
      CHECK((!opened || (at + 1 == sealed->size() && *opened == "open sesame")));
    }
  }
}

TEST_CASE("[conn-15] a password has 1 to 128 bytes without control characters") {
  CHECK(check_password("a") == "");
  CHECK(check_password(std::string(128, 'a')) == "");
  CHECK(check_password("p\u00e4ss w\u00f6rd") == "");
  for (const std::string& bad : {std::string(), std::string(129, 'a'), std::string("a\nb"), std::string("a\xff"),
                                 std::string("a\0b", 3), std::string("\x7f")})
    CHECK(check_password(bad) == "1 to 128 bytes of UTF-8 without control characters");
}

TEST_CASE("[conn-22] a proxy comes from [cloud.proxy], else from the usual environment variables") {
  ConfigFolder folder;
  folder.environment = {{"https_proxy", "http://env.example:8080"}, {"no_proxy", "localhost, .lan,192.0.2.0/24"}};
  folder.write("hawser.toml", kGood);
  REQUIRE(folder.load().settings);
  CHECK(folder.load().settings->proxy == Proxy{"env.example", 8080, "", "", {"localhost", ".lan", "192.0.2.0/24"}});
  folder.environment = {{"HTTPS_PROXY", "env.example:3128"}};
  CHECK(folder.load().settings->proxy == Proxy{"env.example", 3128, "", "", {}});
  folder.environment = {{"all_proxy", "http://all.example:3128"}, {"NO_PROXY", "intern.example"}};
  CHECK(folder.load().settings->proxy == Proxy{"all.example", 3128, "", "", {"intern.example"}});
  folder.environment["HTTPS_PROXY"] = "http://env.example:8080";
  CHECK(folder.load().settings->proxy.host == "env.example");  // the nearer name counts, as for curl
  folder.environment = {{"ALL_PROXY", "http://all.example:3128"}};
  CHECK(folder.load().settings->proxy.host == "all.example");
  folder.write("hawser.toml", kGood +
                                  "[cloud.proxy]\nurl = \"http://u%40x:p%3Ass@proxy.example:3128\"\n"
                                  "no_proxy = [\"intern.example\", \"10.0.0.1\"]\n");
  set_mode(folder.path() / "hawser.toml", 0600);
  const auto own = folder.load();
  CHECK(join(folder, own.warnings) == "");
  REQUIRE(own.settings);
  CHECK(own.settings->proxy == Proxy{"proxy.example", 3128, "u@x", "p:ss", {"intern.example", "10.0.0.1"}});
  CHECK(shown(*own.settings).find("p:ss") == std::string::npos);
  set_mode(folder.path() / "hawser.toml", 0644);
  CHECK(join(folder, folder.load().warnings) ==
        "hawser.toml:8:7: cloud.proxy.url: has a password in a file that others can read; chmod 600 it\n");
}

TEST_CASE("[conn-22] a proxy in the environment that cannot be used is a warning, and keeps no agent from starting") {
  ConfigFolder folder;
  folder.write("hawser.toml", kGood);
  folder.environment = {{"https_proxy", "socks5://u:sesame@p.example"}};
  const auto result = folder.load();
  REQUIRE(result.settings);
  CHECK(result.settings->proxy.host == "");
  const std::string warnings = join(folder, result.warnings);
  CHECK(warnings.rfind("environment: https_proxy: must begin with http://", 0) == 0);
  CHECK(warnings.find("until then no proxy is used") != std::string::npos);
  CHECK(warnings.find("sesame") == std::string::npos);
  folder.environment = {{"ALL_PROXY", "socks5h://p.example:1080"}};  // its usual form
  CHECK(join(folder, folder.load().warnings).rfind("environment: ALL_PROXY: must begin with http://", 0) == 0);
}
