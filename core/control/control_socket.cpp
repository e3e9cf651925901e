#include "core/control/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/control/socket_address.hpp"

namespace hawser::control {
namespace {

constexpr int kBacklog = 64;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr milliseconds kAcceptPause{1000};  // when the process is out of descriptors

std::string answer_line(const Result<json::Object>& result) {
  auto answer = json::make_object();
  answer->set("ok", result.has_value());
  if (result) {
    answer->set("result", *result);
  } else {
    auto error = json::make_object();
    error->set("code", result.error().code);
    error->set("message", result.error().message);
    answer->set("error", error);
  }
  return json::to_text(answer) + "\n";
}

Error failed(const std::string& doing, const std::filesystem::path& path) {
  return {"io_error", doing + " " + path.string() + ": " + std::strerror(errno)};
}

// Removes a socket that no one listens at. An Error where some one does, or where no socket stands.
Status clear_way(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return errno == ENOENT ? ok() : failed("cannot look at", path);
  if (!S_ISSOCK(about.st_mode)) return Error{"io_error", path.string() + " is no socket; remove it, or name another"};
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return failed("cannot make a socket for", path);
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected == 0 || errno == EAGAIN)  // EAGAIN: its backlog is full, so it lives
    return Error{"already_running", "an agent answers at " + path.string() + " already"};
  if (errno != ECONNREFUSED) return failed("cannot tell whether an agent answers at", path);
  return ::unlink(path.c_str()) == 0 ? ok() : failed("cannot remove the stale", path);
}

Result<Descriptor> open_listener(const std::filesystem::path& path) {
  const auto address = socket_address(path);
  if (!address) return address.error();
  if (auto clear = clear_way(path, *address); !clear) return clear.error();
  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return failed("cannot make a socket for", path);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return failed("cannot make the socket", path);
  // Before listen(2), so that nobody meets another mode; and no umask(2), which is the whole process's.
  if (::chmod(path.c_str(), 0666) != 0) return failed("cannot open to all the socket", path);
  if (::listen(listener.get(), kBacklog) != 0) return failed("cannot listen at", path);
  return listener;
}

}  // namespace

struct ControlServer::Parts : std::enable_shared_from_this<Parts> {
  struct Connection {
    Descriptor socket;
    std::string in, out;  // out: what is left of the answer
    std::uint64_t request = 0;
    bool stranger = false;  // may do nothing
    bool busy = false;      // a request is with the handler
    bool closing = false;   // close when `out` is empty
    Loop::TimerId timer = 0;
  };
  using Id = std::uint64_t;

  Parts(Loop& the_loop, std::filesystem::path the_path, Handler the_handler, AccessGroups the_groups,
        Descriptor the_listener)
      : loop(the_loop),
        path(std::move(the_path)),
        handler(std::move(the_handler)),
        groups(the_groups),
        listener(std::move(the_listener)) {
    struct stat about {};
    if (::lstat(path.c_str(), &about) == 0) device = about.st_dev, inode = about.st_ino;
  }

  void watch_listener();
  void accept_some();
  void add(Descriptor socket);
  void drop(Id id);
  void wait_for_request(Id id);
  void wait_for_answer(Id id);
  void set_limit(Id id, std::chrono::seconds limit);
  void on_ready(Id id, short revents);
  void read_some(Id id);
  void take_request(Id id);
  void handle(Id id, std::string_view line);
  void answer(Id id, std::uint64_t request, const Result<json::Object>& result);
  void flush(Id id);
  Connection* find(Id id) {
    const auto found = connections.find(id);
    return found == connections.end() ? nullptr : &found->second;
  }

  Loop& loop;
  std::filesystem::path path;
  Handler handler;
  AccessGroups groups;
  Descriptor listener;
  std::map<Id, Connection> connections;
  Id last_id = 0;
  Loop::TimerId accept_timer = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

void ControlServer::Parts::watch_listener() {
  loop.watch(listener.get(), POLLIN, [this](short) { accept_some(); });
}

void ControlServer::Parts::accept_some() {
  constexpr int kAtOnce = 16;
  for (int i = 0; i < kAtOnce; ++i) {
    Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      add(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      loop.unwatch(listener.get());  // it stays readable: without a pause this would spin
      accept_timer = loop.after(kAcceptPause, [this] { watch_listener(); });
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void ControlServer::Parts::add(Descriptor socket) {
  const auto peer = peer_of(socket.get());
  const bool stranger = !peer || access_of(*peer, groups) == Access::None;
  const auto strangers = std::count_if(connections.begin(), connections.end(),
                                       [](const auto& connection) { return connection.second.stranger; });
  // Those who may do nothing cannot keep those out who may.
  if (connections.size() >= kControlConnectionsMax ||
      (stranger && static_cast<std::size_t>(strangers) >= kControlStrangersMax)) {
    const std::string line =
        answer_line(Error{"too_many_connections", "too many programs talk to the agent already; try again later"});
    [[maybe_unused]] const auto sent = ::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  const Id id = ++last_id;
  connections[id].socket = std::move(socket);
  connections[id].stranger = stranger;
  wait_for_request(id);
}

void ControlServer::Parts::drop(Id id) {
  Connection* connection = find(id);
  if (!connection) return;
  loop.unwatch(connection->socket.get());
  loop.cancel(connection->timer);
  connections.erase(id);
}

void ControlServer::Parts::set_limit(Id id, std::chrono::seconds limit) {
  Connection& connection = connections.at(id);
  loop.cancel(connection.timer);
  connection.timer = loop.after(limit, [this, id] { drop(id); });
}

void ControlServer::Parts::wait_for_request(Id id) {
  set_limit(id, kControlRequestLimit);
  loop.watch(connections.at(id).socket.get(), POLLIN, [this, id](short revents) { on_ready(id, revents); });
}

// While the handler has the request nothing is read, so that a client that sends on and on fills its own socket only;
// yet poll(2) still tells when it is gone.
void ControlServer::Parts::wait_for_answer(Id id) {
  Connection& connection = connections.at(id);
  loop.cancel(connection.timer);
  loop.watch(connection.socket.get(), 0, [this, id](short revents) { on_ready(id, revents); });
}

void ControlServer::Parts::on_ready(Id id, short revents) {
  Connection* connection = find(id);
  if (!connection) return;
  if (!connection->out.empty() && (revents & (POLLOUT | POLLHUP | POLLERR))) return flush(id);
  if (revents & POLLIN) return read_some(id);
  drop(id);
}

void ControlServer::Parts::read_some(Id id) {
  Connection& connection = connections.at(id);
  std::array<char, kReadBytes> piece;
  const ssize_t got = ::recv(connection.socket.get(), piece.data(), piece.size(), 0);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got < 0) return drop(id);
  if (got == 0) {
    return drop(id);  // a request without its newline is none
  }
  connection.in.append(piece.data(), static_cast<std::size_t>(got));
  take_request(id);
}

// Takes one request of those that have arrived; the next one waits for its answer.
void ControlServer::Parts::take_request(Id id) {
  Connection* connection = find(id);
  if (!connection || connection->busy || connection->closing || !connection->out.empty()) return;
  const auto end = connection->in.find('\n');
  if (std::min(end, connection->in.size()) >= kControlRequestMax) {
    connection->busy = connection->closing = true;
    return answer(id, ++connection->request, Error{"too_big", "a request is longer than 64 KiB"});
  }
  if (end == std::string::npos) return;
  const std::string line = connection->in.substr(0, end);
  connection->in.erase(0, end + 1);
  handle(id, line);
}

void ControlServer::Parts::handle(Id id, std::string_view line) {
  Connection& connection = connections.at(id);
  connection.busy = true;
  const std::uint64_t number = ++connection.request;
  wait_for_answer(id);
  const auto refuse = [&](const char* code, const std::string& message) { answer(id, number, Error{code, message}); };
  const auto peer = peer_of(connection.socket.get());
  if (!peer) return drop(id);
  const Access access = access_of(*peer, groups);
  if (access == Access::None)
    return refuse(
        "not_permitted",
        "user " + std::to_string(peer->uid) +
            " may not talk to the agent; root and the group hawser may, hawser-view may look; an administrator "
            "adds you with: usermod -aG hawser-view USER, and then you sign in anew");
  const auto object = json::parse_object(line);
  if (!object) return refuse("bad_request", "the request is " + object.error().message);
  const auto command = json::text_member(*object, "command", 1, 64);
  if (!command) return refuse("bad_request", "the request's " + command.error().message);
  json::Object args = json::make_object();
  if ((*object)->has("args")) {
    const auto given = json::object_member(*object, "args");
    if (!given) return refuse("bad_request", "the request's " + given.error().message);
    args = *given;
  }
  const std::weak_ptr<Parts> weak = weak_from_this();
  handler({*command, args, peer->uid, peer->pid, access}, [weak, id, number](Result<json::Object> result) {
    if (const auto parts = weak.lock()) parts->answer(id, number, result);
  });
}

void ControlServer::Parts::answer(Id id, std::uint64_t request, const Result<json::Object>& result) {
  Connection* connection = find(id);
  if (!connection || !connection->busy || connection->request != request) return;
  connection->busy = false;
  connection->out = answer_line(result);
  if (connection->out.size() > kControlAnswerMax)
    connection->out = answer_line(Error{"too_big", "the answer is longer than 4 MiB; ask for less"});
  set_limit(id, kControlAnswerLimit);
  flush(id);
}

void ControlServer::Parts::flush(Id id) {
  Connection& connection = connections.at(id);
  std::size_t sent = 0;
  while (sent < connection.out.size()) {
    const ssize_t done = ::send(connection.socket.get(), connection.out.data() + sent, connection.out.size() - sent,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0 && errno != EAGAIN) return drop(id);
    if (done < 0) break;
    sent += static_cast<std::size_t>(done);
  }
  connection.out.erase(0, sent);
  if (!connection.out.empty())
    return loop.watch(connection.socket.get(), POLLOUT, [this, id](short revents) { on_ready(id, revents); });
  if (connection.closing) return drop(id);
  wait_for_request(id);
  // By the loop, not by a call: lines sent in one go neither nest nor keep others from their turn.
  if (!connection.in.empty()) {
    const std::weak_ptr<Parts> weak = weak_from_this();
    loop.after(milliseconds{0}, [weak, id] {
      if (const auto parts = weak.lock()) parts->take_request(id);
    });
  }
}

Result<std::unique_ptr<ControlServer>> ControlServer::listen(Loop& loop, const std::filesystem::path& path,
                                                             Handler handler, AccessGroups groups) {
  auto listener = open_listener(path);
  if (!listener) return listener.error();
  auto parts = std::make_shared<Parts>(loop, path, std::move(handler), groups, std::move(*listener));
  parts->watch_listener();
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(parts)));
}

ControlServer::ControlServer(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}

ControlServer::~ControlServer() {
  parts_->loop.unwatch(parts_->listener.get());
  parts_->loop.cancel(parts_->accept_timer);
  while (!parts_->connections.empty()) parts_->drop(parts_->connections.begin()->first);
  struct stat about {};
  const bool ours =
      ::lstat(parts_->path.c_str(), &about) == 0 && about.st_dev == parts_->device && about.st_ino == parts_->inode;
  if (ours) ::unlink(parts_->path.c_str());
}

}  // namespace hawser::control
