#include "core/transport/test_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

extern char** environ;

namespace hawser::transport::test {
namespace {

using namespace std::chrono_literals;

constexpr int kLineMs = 20'000;

const char* const kNodeEcho = R"(
const fs = require('fs'), https = require('https'), { WebSocketServer } = require('ws');
const [certificate, key] = process.argv.slice(1);
const server = https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) });
const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 4 << 20,
                                      handleProtocols: () => 'hawser.main.v1' });
sockets.on('connection', socket => socket.on('message', (data, binary) => {
  const text = binary ? '' : data.toString();
  if (text === 'close') return socket.close(4010, 'unbound');
  if (text === 'ping') {
    socket.once('pong', payload => socket.send('ponged ' + payload));
    return socket.ping('marco');
  }
  socket.send(data, { binary });
}));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
)";

const char* const kPythonEcho = R"(
import asyncio, ssl, sys, websockets
async def echo(socket, path=None):
    try:
        async for message in socket:
            if message == "close":
                return await socket.close(4010, "unbound")
            if message == "ping":
                await (await socket.ping(b"marco"))
                message = "ponged marco"
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    async with websockets.serve(echo, "127.0.0.1", 0, ssl=context, subprotocols=["hawser.main.v1"],
                                max_size=4 << 20, compression=None, ping_interval=None) as server:
        print(list(server.sockets)[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
)";

const char* const kNodeClient = R"(
const { WebSocket } = require('ws');
const [port, count] = process.argv.slice(1).map(Number);
const next = i => {
  if (i === count) return process.exit(0);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${i}`, 'hawser.main.v1',
                               { perMessageDeflate: false, maxPayload: 1 << 20 });
  socket.on('error', () => {}).on('close', () => next(i + 1));
};
next(0);
)";

const char* const kPythonClient = R"(
import asyncio, sys, websockets
async def main():
    for i in range(int(sys.argv[2])):
        try:
            async with websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/{i}", subprotocols=["hawser.main.v1"],
                                          max_size=1 << 20, compression=None, ping_interval=None) as socket:
                async for message in socket:
                    pass
        except websockets.ConnectionClosed:
            pass
asyncio.run(main())
)";

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (std::string& text : strings) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

Program::Program(const std::vector<std::string>& command, const std::vector<std::string>& more_environment) {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const Descriptor child_input(in[0]), child_output(out[1]);
  input_.reset(in[1]);
  output_.reset(out[0]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), 1);
  std::vector<std::string> arguments = command, environment = more_environment;
  for (char** entry = environ; *entry; ++entry) environment.emplace_back(*entry);
  const int error = ::posix_spawn(&pid_, command[0].c_str(), &actions, nullptr, pointers(arguments).data(),
                                  pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start " + command[0]);
}

Program::~Program() {
  input_.reset();
  for (const auto limit = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < limit;) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    ::poll(nullptr, 0, 10);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool Program::has_ended() {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_;
}

std::string Program::line() {
  std::size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    pollfd ready{output_.get(), POLLIN, 0};
    char part[4096];
    if (::poll(&ready, 1, kLineMs) != 1) return {};
    const ssize_t got = ::read(output_.get(), part, sizeof part);
    if (got <= 0) return {};
    buffer_.append(part, static_cast<std::size_t>(got));
  }
  const std::string first = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return first;
}

std::vector<std::string> node_ws_echo(const std::string& certificate, const std::string& key) {
  return {"/usr/bin/env", "node", "-e", kNodeEcho, certificate, key};
}

std::vector<std::string> python_websockets_echo(const std::string& certificate, const std::string& key) {
  return {"/usr/bin/python3", "-c", kPythonEcho, certificate, key};
}

std::vector<std::string> node_ws_client(std::uint16_t port, std::size_t count) {
  return {"/usr/bin/env", "node", "-e", kNodeClient, std::to_string(port), std::to_string(count)};
}

std::vector<std::string> python_websockets_client(std::uint16_t port, std::size_t count) {
  return {"/usr/bin/python3", "-c", kPythonClient, std::to_string(port), std::to_string(count)};
}

}  // namespace hawser::transport::test
