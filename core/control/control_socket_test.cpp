#include "core/control/control_socket.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <fstream>
#include <vector>

#include "core/control/control_client.hpp"
#include "core/control/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

json::Object text_object(const std::string& name, const std::string& value) {
  auto object = json::make_object();
  object->set(name, value);
  return object;
}

ControlServer::Handler test_handler(Loop& loop) {
  return [&loop, held = std::make_shared<std::vector<Reply>>()](Request request, Reply reply) {
    if (request.command == "echo") return reply(request.args);
    if (request.command == "who") return reply(text_object("uid", std::to_string(request.uid)));
    if (request.command == "big") {
      const auto size = static_cast<std::size_t>(json::integer_or(request.args, "size", 0));
      return reply(text_object("text", std::string(size, 'x')));
    }
    if (request.command == "later") {
      loop.after(milliseconds(20), [reply] { reply(text_object("when", "later")); });
      return;
    }
    if (request.command == "twice") {
      reply(text_object("time", "first"));
      return reply(text_object("time", "second"));
    }
    if (request.command == "hold") return held->push_back(reply);
    if (request.command == "release") {
      for (const auto& one : *held) one(text_object("when", "released"));
      held->clear();
      return reply(json::make_object());
    }
    reply(Error{"unknown_command", "no such command"});
  };
}

struct Fixture {
  TestFolder folder;
  std::filesystem::path path = folder.path() / "control.sock";
  ServerThread server{path, test_handler};
};

const std::string kEcho = R"({"command":"echo","args":{"a":1}})";
const std::string kEchoed = R"({"ok":true,"result":{"a":1}})";
std::string refused(const std::string& code) { return R"({"ok":false,"error":{"code":")" + code; }

}  // namespace

TEST_CASE("each line is answered by a line, in order, however the bytes arrive") {
  Fixture fixture;
  RawClient client(fixture.path);
  CHECK(client.ask(kEcho) == kEchoed);
  CHECK(client.ask(R"({"command":"echo"})") == R"({"ok":true,"result":{}})");
  for (const char c : kEcho + "\n") REQUIRE(client.send({&c, 1}));
  CHECK(client.line() == kEchoed);
  REQUIRE(client.send(R"({"command":"later"})"
                      "\n" +
                      kEcho +
                      "\n"
                      R"({"command":"twice"})"
                      "\n" +
                      kEcho + "\n"));
  CHECK(client.line() == R"({"ok":true,"result":{"when":"later"}})");
  CHECK(client.line() == kEchoed);
  CHECK(client.line() == R"({"ok":true,"result":{"time":"first"}})");
  CHECK(client.line() == kEchoed);
}

TEST_CASE("B61 a request of wrong form is refused with a sentence, and the connection goes on") {
  Fixture fixture;
  RawClient client(fixture.path);
  for (const std::string& bad :
       {std::string(""), std::string("hello"), std::string("[1]"), std::string("{}"), std::string(R"({"command":5})"),
        std::string(R"({"command":""})"), std::string(R"({"command":"echo","args":5})"),
        std::string(R"({"command":"echo","command":"echo"})"), R"({"command":")" + std::string(65, 'x') + "\"}",
        std::string("\0\x01\xff", 3), std::string(10'000, '[')}) {
    INFO(bad.substr(0, 100));
    CHECK(client.ask(bad).rfind(refused("bad_request"), 0) == 0);
  }
  CHECK(client.ask(R"({"command":"nonsense"})").rfind(refused("unknown_command"), 0) == 0);
  CHECK(client.ask(kEcho) == kEchoed);
}

TEST_CASE("B61 a request over 64 KiB and an answer over 4 MiB are refused by name") {
  Fixture fixture;
  RawClient client(fixture.path);
  const auto request = [](std::size_t bytes) {
    const std::string head = R"({"command":"echo","args":{"a":")", tail = "\"}}";
    return head + std::string(bytes - head.size() - tail.size(), 'x') + tail;
  };
  CHECK(client.ask(request(kControlRequestMax - 1)).size() > kControlRequestMax - 100);
  CHECK(client.ask(request(kControlRequestMax)).rfind(refused("too_big"), 0) == 0);
  CHECK(client.line() == "(closed)");
  RawClient endless(fixture.path);
  endless.send(std::string(1024 * 1024, 'x'));  // breaks off when the server has had enough
  CHECK(endless.line().rfind(refused("too_big"), 0) == 0);
  RawClient asking(fixture.path);
  CHECK(asking.ask(R"({"command":"big","args":{"size":4194200}})").size() > 4'194'200);
  CHECK(asking.ask(R"({"command":"big","args":{"size":4194304}})").rfind(refused("too_big"), 0) == 0);
  CHECK(asking.ask(kEcho) == kEchoed);
}

TEST_CASE("B61 a client that vanishes in the middle of an answer, or before it, harms no one") {
  Fixture fixture;
  RawClient other(fixture.path);
  for (int i = 0; i < 40; ++i) {
    RawClient client(fixture.path);
    REQUIRE(client.send(std::string(i % 2 ? R"({"command":"big","args":{"size":4000000}})" : R"({"command":"hold"})") +
                        "\n"));
    CHECK(other.ask(kEcho) == kEchoed);
  }
  CHECK(other.ask(R"({"command":"release"})") == R"({"ok":true,"result":{}})");
  CHECK(other.ask(kEcho) == kEchoed);
}

TEST_CASE("a client that ends its input still gets its answer") {
  Fixture fixture;
  RawClient client(fixture.path);
  REQUIRE(client.send("{\"command\":\"later\"}\n"));
  client.end_input();
  CHECK(client.line() == R"({"ok":true,"result":{"when":"later"}})");
  CHECK(client.line() == "(closed)");
}

TEST_CASE("B61 32 connections are served, more are told so, and a place that gets free is taken") {
  Fixture fixture;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kControlConnectionsMax; ++i) {
    clients.push_back(std::make_unique<RawClient>(fixture.path));
    REQUIRE(clients.back()->ask(kEcho) == kEchoed);
  }
  for (int i = 0; i < 200; ++i) {
    RawClient more(fixture.path);
    CHECK(more.line().rfind(refused("too_many_connections"), 0) == 0);
    CHECK(more.line() == "(closed)");
  }
  clients[5]->end_input();
  CHECK(clients[5]->line() == "(closed)");
  RawClient next(fixture.path);
  CHECK(next.ask(kEcho) == kEchoed);
}

TEST_CASE("a client that sends no whole request, or takes no answer, is let go after 5 s") {
  Fixture fixture;
  RawClient silent(fixture.path), half(fixture.path), deaf(fixture.path), waiting(fixture.path);
  const auto start = Clock::now();
  REQUIRE(half.send(R"({"command":)"));
  REQUIRE(deaf.send("{\"command\":\"big\",\"args\":{\"size\":4000000}}\n"));
  REQUIRE(waiting.send("{\"command\":\"hold\"}\n"));
  CHECK(silent.line() == "(closed)");
  CHECK(half.line() == "(closed)");
  CHECK(Clock::now() - start > std::chrono::milliseconds(4500));
  CHECK(Clock::now() - start < std::chrono::seconds(10));
  // The handler may take its time: only the client is hurried.
  RawClient other(fixture.path);
  CHECK(other.ask(R"({"command":"release"})") == R"({"ok":true,"result":{}})");
  CHECK(waiting.line() == R"({"ok":true,"result":{"when":"released"}})");
  REQUIRE(deaf.hangs_up(std::chrono::seconds(10)));
  CHECK(deaf.line() == "(closed)");  // the end of the answer never came
}

TEST_CASE(
    "[sec-3] everybody may connect from the first moment, whatever the umask, and the socket is removed at the end") {
  TestFolder folder;
  const auto path = folder.path() / "control.sock";
  const mode_t mask = ::umask(0077);
  {
    const ServerThread server(path, test_handler);
    REQUIRE(server.status());
    struct stat about {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 07777) == 0666);
  }
  ::umask(mask);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a stale socket is replaced; a live one, and what is no socket, is left alone") {
  TestFolder folder;
  const auto path = folder.path() / "control.sock";
  const auto address = socket_address(path);
  {
    const Descriptor stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    REQUIRE(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
  }
  const ServerThread server(path, test_handler);
  REQUIRE(server.status());
  {
    const ServerThread second(path, test_handler);
    CHECK(second.status().error().code == "already_running");
    CHECK(second.status().error().message == "an agent answers at " + path.string() + " already");
  }
  CHECK(RawClient(path).ask(kEcho) == kEchoed);
  std::ofstream(folder.path() / "file") << "precious";
  CHECK(ServerThread(folder.path() / "file", test_handler).status().error().message ==
        (folder.path() / "file").string() + " is no socket; remove it, or name another");
  CHECK(std::filesystem::file_size(folder.path() / "file") == 8);
  CHECK(ServerThread(folder.path() / std::string(120, 'x'), test_handler).status().error().message.find("107 bytes") !=
        std::string::npos);
  CHECK(ServerThread(folder.path() / "none/x", test_handler).status().error().code == "io_error");
}

namespace {

// A client that connected as another user, with these groups; what the kernel noted then is what counts. By the system
// calls themselves: the library's functions would change the server's thread too.
std::unique_ptr<RawClient> connect_as(const std::filesystem::path& path, gid_t gid, const std::vector<gid_t>& groups) {
  std::vector<gid_t> before(static_cast<std::size_t>(::getgroups(0, nullptr)));
  REQUIRE(::getgroups(static_cast<int>(before.size()), before.data()) >= 0);
  const auto become = [](uid_t user, gid_t group, const std::vector<gid_t>& others) {
    if (user == 0) REQUIRE(::syscall(SYS_setresuid, -1, user, -1) == 0);
    REQUIRE(::syscall(SYS_setgroups, others.size(), others.data()) == 0);
    REQUIRE(::syscall(SYS_setresgid, -1, group, -1) == 0);
    if (user != 0) REQUIRE(::syscall(SYS_setresuid, -1, user, -1) == 0);
  };
  become(65534, gid, groups);
  auto client = std::make_unique<RawClient>(path);
  become(0, 0, before);
  return client;
}

ControlServer::Handler tell_access(Loop&) {
  return [](Request request, Reply reply) {
    reply(text_object("access", request.access == Access::Change ? "change" : "view"));
  };
}

}  // namespace

TEST_CASE("[sec-3] root may change, the group hawser too, hawser-view may look, and anyone else gets a refusal") {
  TestFolder folder;
  const auto path = folder.path() / "control.sock";
  const ServerThread server(path, tell_access, {50001, 50002});
  const std::string change = R"({"ok":true,"result":{"access":"change"}})";
  const std::string view = R"({"ok":true,"result":{"access":"view"}})";
  CHECK(RawClient(path).ask(kEcho) == change);
  if (::geteuid() != 0) return;  // needs a second user
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  CHECK(connect_as(path, 50001, {})->ask(kEcho) == change);
  CHECK(connect_as(path, 65534, {7, 50001, 9})->ask(kEcho) == change);
  CHECK(connect_as(path, 65534, {50002})->ask(kEcho) == view);
  std::vector<gid_t> many(200);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<gid_t>(60000 + i);
  many.push_back(50002);
  CHECK(connect_as(path, 65534, many)->ask(kEcho) == view);
  const auto stranger = connect_as(path, 65534, {1, 2, 3});
  for (int i = 0; i < 2; ++i) {
    const std::string answer = stranger->ask(kEcho);
    CHECK(answer.rfind(refused("not_permitted"), 0) == 0);
    CHECK(answer.find("user 65534 may not talk to the agent; root and the group hawser may") != std::string::npos);
  }
}

TEST_CASE("[sec-3] those who may do nothing hold a few of the connections at most") {
  if (::geteuid() != 0) return;  // needs a second user
  TestFolder folder;
  const auto path = folder.path() / "control.sock";
  const ServerThread server(path, tell_access, {50001, 50002});
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  std::vector<std::unique_ptr<RawClient>> strangers;
  for (std::size_t i = 0; i < kControlStrangersMax; ++i) strangers.push_back(connect_as(path, 65534, {}));
  for (int i = 0; i < 40; ++i)
    CHECK(connect_as(path, 65534, {})->line().rfind(refused("too_many_connections"), 0) == 0);
  CHECK(RawClient(path).ask(kEcho) == R"({"ok":true,"result":{"access":"change"}})");
  CHECK(strangers[0]->ask(kEcho).rfind(refused("not_permitted"), 0) == 0);
}

TEST_CASE("[sec-3] a group that does not exist lets no one in") {
  CHECK(access_of({65534, 0, 1, {0}}, {}) == Access::None);
  CHECK(access_of({0, 0, 1, {}}, {}) == Access::Change);
  CHECK(access_of({65534, 5, 1, {6}}, {5, 6}) == Access::Change);
  CHECK(access_of({65534, 6, 1, {}}, {5, 6}) == Access::View);
  CHECK(process_name(::getpid()).rfind("control_test", 0) == 0);
  CHECK(process_name(999'999'999) == "?");
}

TEST_CASE("an answer that comes after the server is gone does nothing") {
  TestFolder folder;
  const auto path = folder.path() / "control.sock";
  Loop loop;
  Reply kept;
  auto server = ControlServer::listen(loop, path, [&](Request, Reply reply) { kept = std::move(reply); });
  REQUIRE(server);
  RawClient client(path);
  REQUIRE(client.send(kEcho + "\n"));
  while (!kept) loop.turn(Clock::now() + std::chrono::seconds(1));
  server->reset();
  kept(json::make_object());
  CHECK(client.line() == "(closed)");
}

TEST_CASE("the client says what is wrong at the other end") {
  TestFolder folder;
  CHECK(ControlClient::connect(folder.path() / "none").error().code == "not_running");
  const auto path = folder.path() / "control.sock";
  const auto address = socket_address(path);
  const Descriptor listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0);
  REQUIRE(::listen(listener.get(), 5) == 0);
  const auto call = [&](const std::string& answer, milliseconds limit) {
    auto client = ControlClient::connect(path);
    REQUIRE(client);
    Descriptor peer(::accept(listener.get(), nullptr, nullptr));
    std::thread talk(
        [&] { [[maybe_unused]] const auto sent = ::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL); });
    talk.join();
    if (answer.empty() || answer.back() == '\n') ::shutdown(peer.get(), SHUT_WR);
    return client->call("state", json::make_object(), limit);
  };
  const milliseconds plenty{10'000};
  CHECK(call("", plenty).error().code == "closed");
  CHECK(call("nonsense\n", plenty).error().code == "bad_response");
  CHECK(call("{\"ok\":1}\n", plenty).error().code == "bad_response");
  CHECK(call("{\"ok\":true}\n", plenty).error().code == "bad_response");
  CHECK(call("{\"ok\":false}\n", plenty).error().code == "bad_response");
  CHECK(call("{\"ok\":false,\"error\":{\"code\":\"x\",\"message\":\"y\"}}\n", plenty).error().message == "y");
  CHECK(call("{\"ok\":tr", milliseconds(50)).error().code == "timeout");
}
