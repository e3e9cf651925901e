#include <fcntl.h>
#include <sys/stat.h>

#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser::config;

namespace {

struct Row {
  const char* name;
  std::string body;  // from line 5 on, under a good [device]
  std::string faults;
};

std::string server(const std::string& domain, const std::string& more = "") {
  return "[[cloud.server]]\ndomain = \"" + domain + "\"\n" + more;
}

std::string with_server(const std::string& more) { return std::string(kGoodServer) + more; }  // `more` from line 7 on

std::string many_backups(int count) {
  std::string body = kGoodServer;
  for (int i = 0; i < count; ++i) body += server("b" + std::to_string(i) + ".example", "role = \"backup\"\n");
  return body;
}

std::string dotted(int count) {
  std::string key;
  for (int i = 0; i < count; ++i) key += ".a";
  return key;
}

const Row kRows[] = {
    {"B10 no server, and no DHCP", "[cloud.dhcp]\nenabled = false\n",
     "hawser.toml:5:1: cloud.server: is missing; add a [[cloud.server]] with domain = \"...\", or let DHCP name the "
     "cloud: cloud.dhcp.enabled = true\n"},
    {"B10 no DHCP with a kind: its domain is named",
     "[cloud]\nkind = \"cloudnet\"\nallow_incompatible = true\ndhcp.enabled = false\n",
     "hawser.toml:5:1: cloud.server: is missing; add a [[cloud.server]] with domain = \"...\" (oasis.h3c.com for this "
     "kind), or let DHCP name the cloud: cloud.dhcp.enabled = true\n"},
    {"B6 unknown table, near", with_server("[clod]\n"),
     "hawser.toml:7:2: clod: is not a known key; did you mean cloud?\n"},
    {"B6 unknown table, far", with_server("[firmware]\n"),
     "hawser.toml:7:2: firmware: is not a known key; known here: device, cloud, plugins, log\n"},
    {"B6 unknown key, near", with_server("[cloud.keepalive]\nintervall = 20\n"),
     "hawser.toml:8:1: cloud.keepalive.intervall: is not a known key; did you mean interval?\n"},
    {"B6 unknown key, far", with_server("[log]\nfile = \"/x\"\n"),
     "hawser.toml:8:1: log.file: is not a known key; known here: level\n"},
    {"B6 unknown key of a server", with_server("adress = \"x\"\n"),
     "hawser.toml:7:1: cloud.server.adress: is not a known key; known here: role, domain, ports, ip_version, "
     "vpn_instance, source_ip\n"},
    {"B6 a key with an escape in it", with_server("\"\\u001b[2J\" = 1\n"),
     "hawser.toml:7:1: cloud.server.\\x1b[2J: is not a known key; known here: role, domain, ports, ip_version, "
     "vpn_instance, source_ip\n"},
    {"B7 a table instead of a value", with_server("[log.level]\nx = 1\n"),
     "hawser.toml:7:1: log.level: is a table, must be a string\n"},
    {"B7 a value instead of a table", "[cloud]\nping = 60\n" + server("a.example"),
     "hawser.toml:6:8: cloud.ping: is 60, must be a table, written as [cloud.ping]\n"},
    {"B7 one table instead of an array", "[cloud.server]\ndomain = \"a.example\"\n",
     "hawser.toml:5:1: cloud.server: is a table, must be an array of tables, each written as [[cloud.server]]\n"},
    {"B7 an array of names", "[cloud]\nserver = [\"a.example\"]\n",
     "hawser.toml:6:11: cloud.server: is \"a.example\", must be an array of tables, each written as "
     "[[cloud.server]]\n"},
    {"B7 domain is a number", "[[cloud.server]]\ndomain = 5\n",
     "hawser.toml:6:10: cloud.server.domain: is 5, must be a string\n"},
    {"B7 ports is a number", with_server("ports = 443\n"),
     "hawser.toml:7:9: cloud.server.ports: is 443, must be an array of whole numbers\n"},
    {"B7 a fraction for a port", "[cloud]\nauthentication_port = 1e4\n" + server("a.example"),
     "hawser.toml:6:23: cloud.authentication_port: is 10000.0, must be a whole number from 1 to 65535\n"},
    {"B7 enabled is a string", with_server("[plugins]\nenabled = \"hawser.monitoring\"\n"),
     "hawser.toml:8:11: plugins.enabled: is \"hawser.monitoring\", must be an array of strings\n"},
    {"B7 a date for a level", with_server("[log]\nlevel = 2026-01-01\n"),
     "hawser.toml:8:9: log.level: is a date or time, must be a string\n"},
    {"B7 a truth for a count", with_server("[cloud.keepalive]\ncount = true\n"),
     "hawser.toml:8:9: cloud.keepalive.count: is true, must be a whole number from 1 to 60\n"},
    {"B7 a number for a truth", with_server("[cloud.dhcp]\nenabled = 1\n"),
     "hawser.toml:8:11: cloud.dhcp.enabled: is 1, must be true or false\n"},
    {"B8 port 0", "[cloud]\nauthentication_port = 0\n" + server("a.example"),
     "hawser.toml:6:23: cloud.authentication_port: is 0, must be a whole number from 1 to 65535\n"},
    {"B8 port 65536", "[cloud]\nauthentication_port = 65536\n" + server("a.example"),
     "hawser.toml:6:23: cloud.authentication_port: is 65536, must be a whole number from 1 to 65535\n"},
    {"B8 port https", "[cloud]\nauthentication_port = \"https\"\n" + server("a.example"),
     "hawser.toml:6:23: cloud.authentication_port: is \"https\", must be a whole number from 1 to 65535\n"},
    {"B8 ports 0 and 65536", server("a.example", "ports = [0, 443, 65536]\n"),
     "hawser.toml:7:10: cloud.server.ports: is 0, must be a whole number from 1 to 65535\n"
     "hawser.toml:7:18: cloud.server.ports: is 65536, must be a whole number from 1 to 65535\n"},
    {"[conn-7] the fourth port", server("a.example", "ports = [1, 2, 3, 4]\n"),
     "hawser.toml:7:9: cloud.server.ports: has 4 values, at most 3 are allowed\n"},
    {"[conn-7] the fourth port of one name in two tables",
     server("a.example", "ports = [1, 2]\n") + server("A.example", "role = \"backup\"\nports = [3, 4]\n"),
     "hawser.toml:11:13: cloud.server: A.example has more than 3 ports, at most 3 are allowed; remove one\n"},
    {"[conn-7] B9 the ninth backup", many_backups(9),
     "hawser.toml:31:1: cloud.server.role: is a 9th backup, at most 8 are allowed; remove it\n"},
    {"[conn-7] a second primary", server("a.example") + server("b.example"),
     "hawser.toml:7:1: cloud.server.role: is a 2nd primary, at most one is allowed; write role = \"backup\"\n"},
    {"role", with_server("role = \"secondary\"\n"),
     "hawser.toml:7:8: cloud.server.role: is \"secondary\", must be one of \"primary\", \"backup\"\n"},
    {"[conn-8] B11 a duplicate", server("a.example") + server("A.EXAMPLE.", "role = \"backup\"\n"),
     "hawser.toml:7:1: cloud.server: A.EXAMPLE. with port 19443 stands already at line 5; remove one\n"},
    {"[conn-8] B11 a duplicate by the default port",
     server("a.example", "ports = [19443]\n") + server("a.example", "role = \"backup\"\n"),
     "hawser.toml:8:1: cloud.server: a.example with port 19443 stands already at line 7; remove one\n"},
    {"[conn-8] B11 a duplicate port", server("a.example", "ports = [443, 443]\n"),
     "hawser.toml:7:15: cloud.server: a.example with port 443 stands already at line 7; remove one\n"},
    {"domain missing", "[[cloud.server]]\nports = [443]\n",
     "hawser.toml:5:1: cloud.server.domain: is missing; write the cloud's domain name, domain = \"cloud.example\"\n"},
    {"[conn-8] B12 empty", server(""),
     "hawser.toml:6:10: cloud.server.domain: is \"\", must be a domain name of 1 to 253 characters\n"},
    {"[conn-8] B12 254 characters",
     server(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." +
            std::string(62, 'd')),
     "hawser.toml:6:10: cloud.server.domain: is "
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb...\", must be a domain name "
     "of 1 to 253 characters\n"},
    {"[conn-8] B12 a part of 64 characters", server(std::string(64, 'a') + ".example"),
     "hawser.toml:6:10: cloud.server.domain: is "
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example\", must be a domain name: parts of 1 "
     "to 63 letters, digits, - and _ between dots (A-labels, xn--..., for others)\n"},
    {"B12 scheme", server("https://a.example"),
     "hawser.toml:6:10: cloud.server.domain: is \"https://a.example\", must be a domain name alone, without "
     "\"https://\"\n"},
    {"B12 path", server("a.example/x"),
     "hawser.toml:6:10: cloud.server.domain: is \"a.example/x\", must be a domain name alone, without a path\n"},
    {"B12 port", server("a.example:443"),
     "hawser.toml:6:10: cloud.server.domain: is \"a.example:443\", must be a domain name alone; a port goes into "
     "ports\n"},
    {"B12 space", server("a example"),
     "hawser.toml:6:10: cloud.server.domain: is \"a example\", must be a domain name: parts of 1 to 63 letters, "
     "digits, - and _ between dots (A-labels, xn--..., for others)\n"},
    {"B12 ..", server("a..example"),
     "hawser.toml:6:10: cloud.server.domain: is \"a..example\", must be a domain name without an empty part between "
     "dots\n"},
    {"B12 a dot in front", server(".example"),
     "hawser.toml:6:10: cloud.server.domain: is \".example\", must be a domain name without an empty part between "
     "dots\n"},
    {"B12 a hyphen in front", server("-a.example"),
     "hawser.toml:6:10: cloud.server.domain: is \"-a.example\", must be a domain name: parts of 1 to 63 letters, "
     "digits, - and _ between dots (A-labels, xn--..., for others)\n"},
    {"B12 not ASCII", server("b\u00fccher.example"),
     "hawser.toml:6:10: cloud.server.domain: is \"bücher.example\", must be a domain name: parts of 1 to 63 letters, "
     "digits, - and _ between dots (A-labels, xn--..., for others)\n"},
    {"[conn-4] B13 interval 0", with_server("[cloud.keepalive]\ninterval = 0\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is 0, must be from \"10s\" to \"600s\"\n"},
    {"[conn-4] B13 interval -1", with_server("[cloud.keepalive]\ninterval = -1\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is -1, must be from \"10s\" to \"600s\"\n"},
    {"[conn-4] B13 interval without its unit", with_server("[cloud.keepalive]\ninterval = \"20\"\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is \"20\", must be a duration with its unit (s, m or h), from "
     "\"10s\" to \"600s\"\n"},
    {"[conn-4] B13 interval 1e9", with_server("[cloud.keepalive]\ninterval = 1e9\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is 1e+09, must be a duration with its unit (s, m or h), from \"10s\" "
     "to \"600s\"\n"},
    {"[conn-4] B13 an endless interval", with_server("[cloud.keepalive]\ninterval = \"99999999999999999999s\"\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is \"99999999999999999999s\", must be a duration with its unit (s, m "
     "or h), from \"10s\" to \"600s\"\n"},
    {"[conn-4] 9 s", with_server("[cloud.keepalive]\ninterval = \"9s\"\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is \"9s\", must be from \"10s\" to \"600s\"\n"},
    {"[conn-4] 601 s", with_server("[cloud.keepalive]\ninterval = 601\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is 601, must be from \"10s\" to \"600s\"\n"},
    {"[conn-4] 11 m", with_server("[cloud.keepalive]\ninterval = \"11m\"\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is \"11m\", must be from \"10s\" to \"600s\"\n"},
    {"[conn-4] a unit of its own", with_server("[cloud.keepalive]\ninterval = \"20 s\"\n"),
     "hawser.toml:8:12: cloud.keepalive.interval: is \"20 s\", must be a duration with its unit (s, m or h), from "
     "\"10s\" to \"600s\"\n"},
    {"[conn-4] count 0", with_server("[cloud.keepalive]\ncount = 0\n"),
     "hawser.toml:8:9: cloud.keepalive.count: is 0, must be a whole number from 1 to 60\n"},
    {"[conn-4] count 61", with_server("[cloud.keepalive]\ncount = 61\n"),
     "hawser.toml:8:9: cloud.keepalive.count: is 61, must be a whole number from 1 to 60\n"},
    {"[conn-5] 4 s", with_server("[cloud.ping]\ninterval = \"4s\"\n"),
     "hawser.toml:8:12: cloud.ping.interval: is \"4s\", must be from \"5s\" to \"600s\"\n"},
    {"[conn-5] 601 s", with_server("[cloud.ping]\ninterval = \"601s\"\n"),
     "hawser.toml:8:12: cloud.ping.interval: is \"601s\", must be from \"5s\" to \"600s\"\n"},
    {"level", with_server("[log]\nlevel = \"loud\"\n"),
     "hawser.toml:8:9: log.level: is \"loud\", must be one of \"trace\", \"debug\", \"info\", \"warn\", \"error\"\n"},
    {"B52 plugin id with /", with_server("[plugins]\nenabled = [\"a/b\"]\n"),
     "hawser.toml:8:12: plugins.enabled: is \"a/b\", must be a plugin id <owner>.<name>: at most 128 of a-z 0-9 _ - "
     "and dots between\n"},
    {"B52 plugin id with ..", with_server("[plugins]\nenabled = [\"a..b\"]\n"),
     "hawser.toml:8:12: plugins.enabled: is \"a..b\", must be a plugin id <owner>.<name>: at most 128 of a-z 0-9 _ - "
     "and dots between\n"},
    {"B52 plugin id with NUL", with_server("[plugins]\nenabled = [\"a.\\u0000\"]\n"),
     "hawser.toml:8:12: plugins.enabled: is \"a.\\x00\", must be a plugin id <owner>.<name>: at most 128 of a-z 0-9 _ "
     "- and dots between\n"},
    {"B52 plugin id with an upper case letter", with_server("[plugins]\nenabled = [\"a.B\"]\n"),
     "hawser.toml:8:12: plugins.enabled: is \"a.B\", must be a plugin id <owner>.<name>: at most 128 of a-z 0-9 _ - "
     "and dots between\n"},
    {"B52 plugin id of 300 characters", with_server("[plugins]\nenabled = [\"a." + std::string(298, 'b') + "\"]\n"),
     "hawser.toml:8:12: plugins.enabled: is "
     "\"a.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb...\", must be a plugin id "
     "<owner>.<name>: at most 128 of a-z 0-9 _ - and dots between\n"},
    {"B56 plugin id twice", with_server("[plugins]\nenabled = [\"a.b\", \"a.b\"]\n"),
     "hawser.toml:8:19: plugins.enabled: names \"a.b\" twice; remove one\n"},
    {"ip_version", with_server("ip_version = 5\n"),
     "hawser.toml:7:14: cloud.server.ip_version: is 5, must be 4, 6 or \"any\"\n"},
    {"[conn-14] ip_version in quotes", with_server("ip_version = \"4\"\n"),
     "hawser.toml:7:14: cloud.server.ip_version: is \"4\", must be 4, 6 or \"any\"\n"},
    {"[conn-14] vpn_instance", with_server("vpn_instance = \"../blue\"\n"),
     "hawser.toml:7:16: cloud.server.vpn_instance: is \"../blue\", must be the name of a VRF device or of a network "
     "namespace: 1 to 64 characters without spaces and /\n"},
    {"[conn-14] source_ip", with_server("source_ip = \"localhost\"\n"),
     "hawser.toml:7:13: cloud.server.source_ip: is \"localhost\", must be an IPv4 or IPv6 address of this device, for "
     "example \"192.0.2.7\"\n"},
    {"[conn-14] source_ip in a short form", with_server("source_ip = \"10.11.12\"\n"),
     "hawser.toml:7:13: cloud.server.source_ip: is \"10.11.12\", must be an IPv4 or IPv6 address of this device, for "
     "example \"192.0.2.7\"\n"},
    {"[conn-14] source_ip of another family", with_server("ip_version = 6\nsource_ip = \"127.0.0.1\"\n"),
     "hawser.toml:8:13: cloud.server.source_ip: is \"127.0.0.1\", which does not go with ip_version = 6; change one of "
     "the two\n"},
    {"kind", "[cloud]\nkind = \"h3c\"\n" + server("a.example"),
     "hawser.toml:6:8: cloud.kind: is \"h3c\", must be one of \"cloudnet\", \"cloudnet-international\", \"adwan\", "
     "\"generic\"\n"},
    {"a password of another type is not shown either", "[cloud]\npassword = 4711\n" + server("a.example"),
     "hawser.toml:6:12: cloud.password: must be a string\n"},
    {"[conn-15] two passwords, of which no fault shows one",
     "[cloud]\npassword = \"sesame\"\npassword_file = \"/x\"\n" + server("a.example"),
     "hawser.toml:7:17: cloud.password_file: stands beside cloud.password (hawser.toml:6); keep one of them\n"},
    {"[conn-15] a file that is not there", "[cloud]\npassword_file = \"/nonexistent/x\"\n" + server("a.example"),
     "hawser.toml:6:17: cloud.password_file: cannot open /nonexistent/x: No such file or directory\n"},
    {"[conn-15] a relative file", "[cloud]\npassword_file = \"x\"\n" + server("a.example"),
     "hawser.toml:6:17: cloud.password_file: must be an absolute path, one that begins with /\n"},
    {"[conn-15] a cipher that is none", "[cloud]\npassword_cipher = \"sesame\"\n" + server("a.example"),
     "hawser.toml:6:19: cloud.password_cipher: was made on another device, or is damaged; set it anew with hawserctl "
     "server password\n"},
    {"remember_server", "[cloud]\nremember_server = 1\n" + server("a.example"),
     "hawser.toml:6:19: cloud.remember_server: is 1, must be true or false\n"},
    {"[conn-11] interfaces", with_server("[cloud.dhcp]\ninterfaces = [\"eth0\", \"a name too long\"]\n"),
     "hawser.toml:8:23: cloud.dhcp.interfaces: is \"a name too long\", must be the name of a network interface: 1 to "
     "15 "
     "characters without spaces and /\n"},
    {"[conn-12] one option for both", with_server("[cloud.dhcp]\npassword_option = 253\n"),
     "hawser.toml:7:1: cloud.dhcp: takes domain and password from one option, 253; give them two, or password_option = "
     "0\n"},
    {"[conn-22] a proxy of another kind", with_server("[cloud.proxy]\nurl = \"socks5://u:sesame@p.example:1\"\n"),
     "hawser.toml:8:7: cloud.proxy.url: must begin with http://, the one kind of proxy that is supported; write "
     "\"http://proxy.example:3128\", with user:password@ in front where it asks\n"},
    {"[conn-22] a proxy's port", with_server("[cloud.proxy]\nurl = \"http://u:sesame@p.example:65536\"\n"),
     "hawser.toml:8:7: cloud.proxy.url: is no URL; write \"http://proxy.example:3128\", with user:password@ in front "
     "where it asks\n"},
    {"[conn-22] no_proxy", with_server("[cloud.proxy]\nno_proxy = [\"a b\"]\n"),
     "hawser.toml:8:13: cloud.proxy.no_proxy: is \"a b\", must be a domain name, an IP address, or \"*\" for every "
     "one\n"},
    {"domain_option", with_server("[cloud.dhcp]\ndomain_option = 255\n"),
     "hawser.toml:8:17: cloud.dhcp.domain_option: is 255, must be a whole number from 1 to 254\n"},
    {"B19 ca_file missing", with_server("[cloud.tls]\nca_file = \"/nonexistent/ca.pem\"\n"),
     "hawser.toml:8:11: cloud.tls.ca_file: cannot open /nonexistent/ca.pem: No such file or directory; name a PEM file "
     "with the certificate of the cloud's CA\n"},
    {"B19 ca_file relative", with_server("[cloud.tls]\nca_file = \"ca.pem\"\n"),
     "hawser.toml:8:11: cloud.tls.ca_file: is \"ca.pem\", must be an absolute path, one that begins with /\n"},
    {"B19 ca_file a folder", with_server("[cloud.tls]\nca_file = \"/tmp\"\n"),
     "hawser.toml:8:11: cloud.tls.ca_file: /tmp is not a regular file; name a PEM file with the certificate of the "
     "cloud's CA\n"},
    {"B5 not closed", with_server("[cloud.keepalive\ncount = 3\n"), "hawser.toml:7:17: is not TOML: "},
    {"B5 no value", with_server("x =\n"), "hawser.toml:7:4: is not TOML: "},
    {"B5 a key twice", with_server("ports = [1]\nports = [2]\n"), "hawser.toml:8:9: is not TOML: "},
    {"B5 a string without its end", with_server("role = \"backup\n"), "hawser.toml:7:15: is not TOML: "},
    {"B14 NUL", with_server("role = \"b" + std::string(1, '\0') + "\"\n"),
     "hawser.toml:7:10: holds a NUL byte here; this is no text file\n"},
    {"B14 not UTF-8", with_server("role = \"\u00fc\xff\"\n"),
     "hawser.toml:7:10: is not UTF-8 here; save the file as UTF-8\n"},
    {"B14 a control character", with_server("role = \"\x01\"\n"), "hawser.toml:7:9: is not TOML: "},
    {"B16 arrays 10,000 deep", with_server("x = " + std::string(10000, '[') + std::string(10000, ']') + "\n"),
     "hawser.toml:7:21: is not TOML: "},
    {"B16 a dotted key 10,000 deep", with_server("x" + dotted(10000) + " = 1\n"),
     "hawser.toml:7:32: is nested deeper than 16 tables; make it flatter\n"},
    {"B16 a table 10,000 deep", with_server("[x" + dotted(10000) + "]\n"),
     "hawser.toml:7:33: is nested deeper than 16 tables; make it flatter\n"},
};

}  // namespace

TEST_CASE("[conn-7][conn-8] each bad value of hawser.toml gets its place, its key, what is wrong and what is right") {
  for (const Row& row : kRows) {
    ConfigFolder folder;
    folder.write("hawser.toml", kGoodDevice + row.body);
    const auto result = folder.load();
    INFO(row.name << "\n" << row.body.substr(0, 2000));
    std::string got = join(folder, result.faults);
    // A syntax error goes on in the library's words, which are not ours to fix.
    if (const auto at = got.find("is not TOML: "); at != got.npos) got.erase(at + 13);
    CHECK(got == row.faults);
    CHECK_FALSE(result.settings);
  }
}
