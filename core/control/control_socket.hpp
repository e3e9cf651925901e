#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/base/json.hpp"
#include "core/base/loop.hpp"
#include "core/base/result.hpp"
#include "core/control/peer.hpp"

// The control socket, between hawserd and hawserctl. One request is one line, one answer is one line, in order:
//   {"command":"state","args":{}}
//   {"ok":true,"result":{...}}   or   {"ok":false,"error":{"code":"...","message":"..."}}
//
// Commands of this version, and what hawserctl expects of the answers (N/A is null, times are RFC 3339):
//   state {}                  the keys of `hawserctl state --json`. A ..._reason that is not null may have a ..._detail
//                             beside it (failure_detail, last_down_detail, ...);
//                             servers: [{"domain","port","role","source","vpn_instance","source_ip","ip_version",
//                             "current","failure_reason","failure_detail","retry_in_s"}], in the order tried;
//                             clock_floor_used, clock_ahead_s; refused_config_detail: every fault of the configuration
//                             on disk, a line each, where the last reload was refused
//   plugin_list {}            {"plugins":[{"id","version","state","reason","detail","pid","restarts","services":[..]}]}
//   plugin_show {"plugin"}    one of these, and what else is known of it
//   plugin_restart {"plugin"} {}
//   reset {"first"?: true}    {}
//   history {"limit"?}        {"events":[{"at","uptime_ms","kind","service","reason","detail"}]}, oldest first; `at` is
//                             null where the clock was not trusted
//   config_reload {}          {"changed":[key...],"warnings":[...]}; bad_config: the old one goes on running, and the
//                             message has every fault on a line of its own
//   unbind {"code"}           {} once the cloud has let go; code_wrong, code_expired, code_used, too_many_requests,
//                             not_connected, timeout
//   proof {"domain","nonce"}  {"proof","serial","model","agent"} (sdk/protocol.md §2), for `doctor`
//   log_level {"level"}       {}
//   config_show {}            an object, shown as it is, without secrets
// What changes something, and proof, is for root and the group `hawser`; state, history, plugin_list, plugin_show,
// config_show and version also for the group `hawser-view`. Whoever is in neither is answered not_permitted whatever
// the command. Any other command is answered with code unknown_command.
namespace hawser::control {

inline constexpr std::size_t kControlRequestMax = 64 * 1024;       // bytes of a request, newline included
inline constexpr std::size_t kControlAnswerMax = 4 * 1024 * 1024;  // bytes of an answer, newline included
inline constexpr std::size_t kControlConnectionsMax = 32;          // the next one is told so and closed
inline constexpr std::size_t kControlStrangersMax = 4;             // of them, of those who may do nothing at all
inline constexpr std::chrono::seconds kControlRequestLimit{5};     // from connecting, or from an answer, to a request
inline constexpr std::chrono::seconds kControlAnswerLimit{5};      // for the client to take an answer

struct Request {
  std::string command;
  json::Object args;  // never null
  uid_t uid;          // of the peer, as the kernel told at this command
  pid_t pid;
  Access access;  // never None: these are refused before
};

// To be called exactly once, on the loop's thread, at once or later; also after the client or the server is gone, when
// it does nothing. An Error goes to the client as it is. A Reply that is destroyed uncalled leaves the client waiting.
using Reply = std::function<void(Result<json::Object>)>;

// Owned by the daemon, lives on its loop's thread.
class ControlServer {
 public:
  using Handler = std::function<void(Request, Reply)>;

  // Listens at `path`. Everybody may connect (mode 0666): two groups have access, a mode names but one, and a refusal
  // that says who may is of more use than the system's EACCES. Who is who is asked at each command. A stale socket is
  // replaced; where a server answers already, and where something other than a socket stands, the Error says so. `loop`
  // must outlive the server.
  static Result<std::unique_ptr<ControlServer>> listen(Loop& loop, const std::filesystem::path& path, Handler handler,
                                                       AccessGroups groups = {});

  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();  // closes every connection and removes the socket

 private:
  struct Parts;
  explicit ControlServer(std::shared_ptr<Parts> parts);
  std::shared_ptr<Parts> parts_;
};

}  // namespace hawser::control
