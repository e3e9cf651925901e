// What `bundle` is made of, and the real hawserctl that makes one.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/control/archive.hpp"
#include "core/control/program_output.hpp"
#include "core/control/redaction.hpp"
#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"
#include "core/control/upload.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

std::string shell(const std::string& command) {
  return program_output({"sh", "-c", command}, 1 << 20, std::chrono::seconds(20)).value();
}

}  // namespace

TEST_CASE("[state-4] an archive is what tar and zstd make of it") {
  const TestFolder folder;
  const auto file = folder.path() / "x.tar.zst";
  const Descriptor out(::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ArchiveWriter archive(out.get(), "top", 1 << 20);
  REQUIRE(archive.add("a.txt", "hello\n"));
  REQUIRE(archive.add("b/empty", ""));
  REQUIRE(archive.add("b/block", std::string(512, 'x')));
  REQUIRE(archive.finish());
  CHECK(archive.bytes() == std::filesystem::file_size(file));
  const std::string list = shell("tar --zstd -tvf " + file.string());
  CHECK(list.find("-rw------- 0/0               6 ") != std::string::npos);
  CHECK(list.find("top/a.txt\n") != std::string::npos);
  CHECK(list.find(" top/b/empty\n") != std::string::npos);
  CHECK(shell("tar --zstd -xOf " + file.string() + " top/b/block | wc -c") == "512\n");
}

TEST_CASE("[state-4] an archive never grows over its limit, and says what did not fit") {
  const TestFolder folder;
  const Descriptor out(::open((folder.path() / "x").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  ArchiveWriter archive(out.get(), "top", 300 * 1024);
  CHECK(archive.add("small", "x"));
  const auto refused = archive.add("large", std::string(1 << 20, 'x'));
  REQUIRE(!refused);
  CHECK(refused.error().code == "too_big");
  CHECK(refused.error().message == "large (1048576 bytes) could make the archive longer than 307200 bytes");
  CHECK(archive.add("after", "y"));
  CHECK(archive.finish());
  CHECK(!archive.add(std::string(200, 'n'), "x"));
}

TEST_CASE("[state-4] no secret of a configuration passes, wherever it stands") {
  const auto clean = without_secrets(R"(# old password hunter1
[cloud]
password = "hunter2" # hunter3
password_file = "/etc/hunter4"
domain = "a.example"
[cloud.proxy]
host = "proxy"
user = "hunter5"
password = "hunter6"
[config]
api_key = ["hunter7"]
Secret = {a = "hunter8"}
token = 5
url = "https://hunter9:hunter10@host/path"
hook = "https://host/x?sig=hunter13&b"
inner = [{ name = "x", access_token = "hunter11" }]
"odd key" = "hunter12"
text = "a\u001b\"b"
interval = 1.5
on = true
when = 2018-01-27T14:18:40Z
multi = """
x
y"""
)",
                                     "f.toml");
  REQUIRE(clean);
  INFO(*clean);
  CHECK(clean->find("hunter") == std::string::npos);
  CHECK(clean->find("domain = \"a.example\"\n") != std::string::npos);
  CHECK(clean->find("url = \"https://(removed)@host/path\"\n") != std::string::npos);
  CHECK(clean->find("hook = \"https://host/x?(removed)\"\n") != std::string::npos);
  CHECK(clean->find("[cloud.proxy]\nhost = \"proxy\"\nuser = \"(removed)\"\n") != std::string::npos);
  CHECK(clean->find("inner = [{name = \"x\", access_token = \"(removed)\"}]\n") != std::string::npos);
  CHECK(clean->find("on = true\n") != std::string::npos);
  CHECK(without_secrets(*clean, "again.toml"));
  CHECK(!without_secrets("password = hunter2 [", "broken.toml"));
}

TEST_CASE("a program's output is bounded, its end is kept, and a stalled one is ended") {
  CHECK(program_output({"sh", "-c", "echo out; echo err >&2"}, 100, std::chrono::seconds(20)).value() == "out\nerr\n");
  CHECK(program_output({"sh", "-c", "seq 1 100000"}, 12, std::chrono::seconds(20)).value() == "9999\n100000\n");
  const auto stalled = program_output({"sleep", "60"}, 100, std::chrono::milliseconds(50));
  REQUIRE(!stalled);
  CHECK(stalled.error().code == "timeout");
  CHECK(program_output({"no-such-program-here"}, 100, std::chrono::seconds(1)).error().code == "not_found");
}

TEST_CASE("[state-4] a bundle goes to https only, with a query but without user and fragment") {
  const auto url = parse_https_url("https://Cloud.example:8443/up/load?id=7&x=%20");
  REQUIRE(url);
  CHECK(url->origin.text() == "cloud.example:8443");
  CHECK(url->path == "/up/load?id=7&x=%20");
  CHECK(parse_https_url("https://[::1]/x")->origin.host == "::1");
  for (const char* bad : {"http://a/x", "wss://a/x", "https://u:p@a/x", "https://a/x#f", "https://a/x?y#f",
                          "https://a/ x", "https://", "", "https://a:0/x", "https://a/x?\n"}) {
    INFO(bad);
    CHECK(!parse_https_url(bad));
  }
}

TEST_CASE("[state-4] bundle writes an archive that only its owner reads, and overwrites nothing") {
  const TestFolder folder;
  const auto file = (folder.path() / "b.tar.zst").string();
  std::ofstream(folder.path() / "hawser.toml")
      << "[device]\nserial = \"S1\"\nmodel = \"M\"\n[cloud]\npassword = "
         "\"hunter2\"\n[[cloud.server]]\ndomain = \"127.0.0.1\"\nports = [1]\n";
  const TestFolder run_folder;
  const std::string socket = (run_folder.path() / "control.sock").string();
  const ServerThread server(socket, [](Loop&) -> ControlServer::Handler {
    return [](Request request, Reply reply) {
      if (request.command == "log")
        return reply(json::parse_object(R"({"goes_to":"pipe","path":null,"lines":"2026 info hawserd: here\n"})"));
      if (request.command == "history") return reply(json::parse_object(R"({"events":[{"kind":"up"}]})"));
      reply(json::parse_object(R"({"cloud_connection_state":"Established"})"));
    };
  });
  const std::vector<std::string> words = {"--socket", socket,     "--config", folder.path().string(),
                                          "bundle",   "--output", file};
  const Ran made = run(words);
  CHECK(made.err == "");
  CHECK(made.exit == 0);
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  const std::string list = shell("tar --zstd -tf " + file);
  for (const char* name :
       {"/agent/state.json", "/agent/state.txt", "/agent/history.json", "/config/hawser.toml",
        "/log/agent_last_lines.txt", "/versions.txt", "/doctor.txt", "/doctor.json", "/system/ip_address.txt"}) {
    INFO(name);
    CHECK(list.find(name) != std::string::npos);
  }
  CHECK(made.out.find("Warning") == std::string::npos);
  CHECK(shell("tar --zstd -xOf " + file + " | grep -c hunter2") == "0\n");
  CHECK(run(words).err == "hawserctl: " + file + " exists already; remove it, or name another file with --output\n");
  for (const char* other : {"b.tar.gz", "b.tgz", "b.zip"}) {  // what is written is zstd
    INFO(other);
    const Ran misnamed = run({"--socket", socket, "--config", folder.path().string(), "bundle", "--output",
                              (folder.path() / other).string()});
    CHECK(misnamed.exit == 1);
    CHECK(misnamed.err.find("name it ....tar.zst") != std::string::npos);
    CHECK(!std::filesystem::exists(folder.path() / other));
  }
  CHECK(run({"bundle", "--output", "x", "--upload", "https://a/x"}).exit == 2);
}

TEST_CASE("[state-4] a bundle without a log of the agent says so, why, and where to look") {
  const TestFolder folder;
  const auto file = (folder.path() / "b.tar.zst").string();
  const Ran made = run({"--socket", (folder.path() / "none.sock").string(), "--config", folder.path().string(),
                        "bundle", "--output", file});
  INFO(made.out << made.err);
  CHECK(made.exit == 0);
  if (shell("journalctl --quiet --unit=hawserd --lines=1 2>&1 | grep -c ^20") == "1\n") return;  // it has a log here
  const std::string missing = shell("tar --zstd -xOf " + file + " --wildcards '*/missing.txt'");
  for (const auto& told : {made.out, missing}) {
    CHECK(told.find("the agent's log is not in this bundle") != std::string::npos);
    CHECK(told.find("look where the service script of this device sends that") != std::string::npos);
  }
  CHECK(missing.find("log/agent_last_lines.txt: no agent is running") != std::string::npos);
  CHECK(missing.find("log/journal.txt: ") != std::string::npos);
}
