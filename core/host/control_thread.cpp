#include "core/host/control_thread.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/encoding.hpp"
#include "core/host/walls/walls.hpp"

namespace hawser::host {
namespace {

using namespace std::chrono_literals;

constexpr int kMessagesPerTurn = 64;                       // so that neither direction starves
constexpr std::chrono::milliseconds kFlushLimit = 1s;      // for the last words, at the end
constexpr std::chrono::milliseconds kDeliverRetry = 50ms;  // the service thread's queue was full
constexpr std::int64_t kBudgetMsMost = 60 * 1000;
constexpr std::int64_t kStopMsMost = 10 * 60 * 1000;
constexpr std::uint64_t kPingsPerPss = 6;  // once a minute: the kernel walks every page for it
constexpr std::size_t kRollupBytesMax = 8192;

// Where hawserd cannot look for itself, since we have another user.
std::optional<std::int64_t> pss_kib() {
  const auto text = read_file("/proc/self/smaps_rollup", kRollupBytesMax);
  const auto at = text ? text->find("\nPss:") : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  return std::strtoll(text->c_str() + at + 5, nullptr, 10);
}

}  // namespace

ControlThread::ControlThread(Descriptor channel, GatewayChooser choose_gateway)
    : channel_(std::move(channel)),
      link_([this] { return loop_.post([this] { pump(); }); }),
      callbacks_(loop_, link_, control::FlightWriter::take(control::kFlightDescriptor)),
      choose_gateway_(std::move(choose_gateway)) {}

void ControlThread::run() {
  watch();
  loop_.run();
  ::_exit(1);  // nothing stops the loop; end() ends the process
}

void ControlThread::watch() {
  watches_output_ = channel_.wants_to_write();
  const int events = watches_output_ ? POLLIN | POLLOUT : POLLIN;
  loop_.watch(channel_.descriptor(), static_cast<short>(events), [this](short ready) { on_ready(ready); });
}

void ControlThread::on_ready(short events) {
  if ((events & POLLOUT) != 0) {
    if (!channel_.flush()) ::_exit(0);
    pump();
  }
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto message = channel_.receive();
    if (!message) ::_exit(0);  // the core has gone; nobody is left to tell
    if (!*message) return;
    hear(**message);
  }
}

void ControlThread::pump() {
  while (!channel_.wants_to_write()) {
    const json::Object message = link_.take();
    if (!message) break;
    if (auto sent = channel_.send(message); !sent) {
      if (sent.error().code != "too_big") ::_exit(0);
      link_.log("error", "a message to the core was dropped: " + sent.error().message);
    }
  }
  if (channel_.wants_to_write() != watches_output_) watch();
  end_if_flushed();
}

void ControlThread::end(int code) {
  if (ending_) return;
  ending_ = code;
  loop_.after(kFlushLimit, [code] { ::_exit(code); });
  pump();
}

void ControlThread::end_if_flushed() {
  if (ending_ && !channel_.wants_to_write()) ::_exit(*ending_);
}

void ControlThread::set_up(const json::Object& message) {
  auto setup = read_setup(message);
  if (!setup) {
    link_.log("error", setup.error().message);
    return end(1);
  }
  // Ours only, before anything can start a program. A regular file there is what hawserd verified.
  struct stat library {};
  if (::fstat(control::kLibraryDescriptor, &library) == 0 && S_ISREG(library.st_mode)) {
    setup->library_descriptor = control::kLibraryDescriptor;
    ::fcntl(control::kLibraryDescriptor, F_SETFD, FD_CLOEXEC);
  }
  if (!confine(*setup)) return;
  validity_floor_ = setup->validity_floor;
  callbacks_.set_budget(std::chrono::milliseconds(std::clamp<std::int64_t>(
      json::integer_or(message, "callback_budget_ms", kCallbackBudget.count()), 1, kBudgetMsMost)));
  GatewayMaker gateway = choose_gateway_(*setup);
  instance_ = std::make_unique<Instance>(std::move(*setup), link_, switchboard_, callbacks_, std::move(gateway),
                                         [this](int code) {
                                           if (!loop_.post([this, code] { end(code); })) ::_exit(code);
                                         });
  instance_->start_thread();
}

bool ControlThread::confine(Setup& setup) {
  if (!setup.confinement) {
    (void)forbid_new_privileges();
    return true;
  }
  keep_ca_file(setup);
  const auto isolation =
      put_up_walls(*setup.confinement, {setup.library.parent_path(), setup.state_dir, setup.library_descriptor});
  auto message = json::make_object();
  if (isolation) {
    message->set("type", "confined");
    message->set("isolation", control::to_json(*isolation));
    link_.send(message);
    pump();  // heard also when the plugin's first instruction ends the process
    return true;
  }
  message->set("type", "refused");
  message->set("reason", isolation.error().code);
  message->set("detail", isolation.error().message);
  link_.send(message);
  end(1);
  return false;
}

void ControlThread::pong(const json::Object& ping) {
  auto message = json::make_object();
  message->set("type", "pong");
  message->set("id", json::text_or(ping, "id"));
  if (pings_++ % kPingsPerPss == 0) {
    if (const auto kib = pss_kib()) message->set("pss_kib", static_cast<Poco::Int64>(*kib));
  }
  link_.send_newest("pong", message);
}

void ControlThread::deliver(std::function<bool()> attempt) {
  if (attempt()) return;
  loop_.after(kDeliverRetry, [this, attempt] { deliver(attempt); });
}

void ControlThread::stop(std::chrono::milliseconds deadline, Instance::Leaving leaving) {
  if (!instance_) return end(0);
  loop_.after(deadline, [this] {
    auto message = json::make_object();
    message->set("type", "health");
    message->set("state", "stopped");
    message->set("detail", "the plugin did not stop within its time and is ended");
    link_.send(message);
    end(0);
  });
  deliver(
      [this, deadline, leaving, until = Clock::now() + deadline] { return instance_->stop(deadline, until, leaving); });
}

void ControlThread::hear(const json::Object& message) {
  const std::string type = json::text_or(message, "type");
  if (!instance_) {
    if (type == "setup") return set_up(message);
    if (type == "stop") return end(0);
    link_.log("error", "the core sent " + printable(type) + " before setup");
    return end(1);
  }
  if (type == "ping") return pong(message);
  CoreWord word;
  word.at = Clock::now();
  word.reason = json::text_or(message, "reason");
  if (type == "grant") {
    const auto grant = json::object_member(message, "grant");
    if (!grant) return link_.log("error", "the core sent a grant without one");
    word.grant = *grant;
    word.spread_s = json::integer_or(*grant, "reconnect_spread_s", -1);
    switchboard_.deliver(json::text_or(*grant, "service"), std::move(word));
  } else if (type == "grant_refused" || type == "revoke") {
    word.kind = type == "revoke" ? CoreWord::Kind::Revoke : CoreWord::Kind::GrantRefused;
    switchboard_.deliver(json::text_or(message, "service"), std::move(word));
  } else if (type == "server_changed") {
    word.kind = CoreWord::Kind::ServerChanged;
    switchboard_.deliver_to_all(word);
  } else if (type == "network_changed" || type == "unbound") {
    word.kind = type == "unbound" ? CoreWord::Kind::Unbound : CoreWord::Kind::NetworkChanged;
    word.resumed = json::bool_or(message, "resumed", false);
    switchboard_.deliver_to_all(word);
  } else if (type == "validity_floor") {
    validity_floor_->raise(std::chrono::seconds(json::integer_or(message, "at", 0)));
  } else if (type == "configure") {
    const auto config = json::object_member(message, "config");
    const bool apply = json::text_or(message, "mode") == "apply";
    deliver([this, apply, id = json::text_or(message, "id"), text = config ? json::to_text(*config) : "{}"] {
      return instance_->configure(id, text, apply);
    });
  } else if (type == "action_done") {
    std::optional<int> exit_code;
    if (const auto code = json::integer_member(message, "exit_code", -128, 255)) exit_code = static_cast<int>(*code);
    auto output = from_base64(json::text_or(message, "output_b64"));
    deliver(
        [this, exit_code, id = json::text_or(message, "id"), text = output ? *output : "",
         reason = json::text_or(message, "reason")] { return instance_->action_done(id, exit_code, text, reason); });
  } else if (type == "cloud_reached") {
    deliver([this, id = json::text_or(message, "id"), reached = json::bool_or(message, "ok", false),
             how = json::text_or(message, "how")] { return instance_->cloud_reached(id, reached, how); });
  } else if (type == "stop") {
    stop(std::chrono::milliseconds(
             std::clamp<std::int64_t>(json::integer_or(message, "deadline_ms", 5000), 0, kStopMsMost)),
         {json::bool_or(message, "keep_state", false), json::bool_or(message, "hand_over", false)});
  }
}

}  // namespace hawser::host
