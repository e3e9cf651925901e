// Says more than anybody can hear, from a thread of its own, so that its callbacks return.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>

#include "rogue.hpp"

namespace rogue {

void log_flood(Rogue& self) {
  std::thread([&self] {
    const std::string line(1000, 'l');
    const hws_kv fields[] = {{str("key"), str("value")}, {str("another"), str(line)}};
    for (;;) self.host->log(self.ctx, HWS_LOG_ERROR, str(line), fields, 2);
  }).detach();
}

// Standard output and error, past the host.
void print_flood(Rogue&) {
  std::thread([] {
    const std::string lines = std::string(500, 'p') + "\n" + std::string(500, 'q') + "\n";
    for (int turn = 0;; ++turn) {
      if (::write(turn % 2 ? STDOUT_FILENO : STDERR_FILENO, lines.data(), lines.size()) < 0) ::usleep(100);
    }
  }).detach();
}

// Health that never holds still, errors, and tasks for the service thread: as fast as the ABI takes them.
void control_flood(Rogue& self) {
  std::thread([&self] {
    for (std::uint64_t turn = 0;; ++turn) {
      const std::string words = "turn " + std::to_string(turn);
      self.host->health(self.ctx, turn % 2 ? HWS_DEGRADED : HWS_READY, str(words));
      self.host->error(self.ctx, HWS_E_FAIL, str(words));
      self.host->log(self.ctx, HWS_LOG_MISBEHAVING, str(words), nullptr, 0);
      self.host->post(self.ctx, [](void*) {}, nullptr);
    }
  }).detach();
}

// Asks for a sign of life from the cloud, and for an action, whenever it may.
void cloud_flood(Rogue& self) {
  self.host->timer(
      self.ctx, 1, 1,
      [](void* arg) {
        const Rogue& rogue = *static_cast<Rogue*>(arg);
        const auto* cloud = static_cast<const hws_host_cloud*>(rogue.host->extension(rogue.ctx, HWS_EXT_CLOUD));
        const auto* actions = static_cast<const hws_host_action*>(rogue.host->extension(rogue.ctx, HWS_EXT_ACTION));
        for (int i = 0; i < 100; ++i) {
          cloud->reached(rogue.ctx, 1000, [](void*, hws_status, hws_str) {}, nullptr);
          actions->run(rogue.ctx, str("noop"), [](void*, std::int32_t, hws_str, hws_str) {}, nullptr);
        }
      },
      &self, nullptr);
}

// Past the host on the control channel itself: what no host says.
void channel_garbage(Rogue&) {
  std::thread([] {
    std::string packet(40'000, '{');
    for (;;) {
      if (::send(3, packet.data(), packet.size(), MSG_NOSIGNAL) < 0) ::usleep(100);
    }
  }).detach();
}

}  // namespace rogue
