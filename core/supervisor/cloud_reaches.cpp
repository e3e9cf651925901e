#include "core/supervisor/cloud_reaches.hpp"

#include <algorithm>

namespace hawser::supervisor {

CloudReaches::~CloudReaches() {
  for (auto& [id, reach] : open_) loop_.cancel(reach.timer);
}

Result<std::uint64_t> CloudReaches::open(const std::string& plugin, milliseconds limit, Answer answer) {
  const auto own = std::count_if(open_.begin(), open_.end(), [&](const auto& r) { return r.second.plugin == plugin; });
  if (static_cast<std::size_t>(own) >= kReachesPerPlugin)
    return Error{"busy", "8 questions of this plugin are open already"};
  const std::uint64_t id = ++last_id_;
  limit = std::clamp(limit, milliseconds{1}, kReachLimitMax);
  const auto timer = loop_.after(limit, [this, id] { this->answer(id, false, "timeout"); });
  open_.emplace(id, Reach{plugin, std::move(answer), timer});
  return id;
}

void CloudReaches::answer(std::uint64_t id, bool ok, const std::string& how) {
  auto node = open_.extract(id);
  if (!node) return;
  loop_.cancel(node.mapped().timer);
  node.mapped().answer(ok, how);
}

void CloudReaches::forget(const std::string& plugin) {
  for (auto at = open_.begin(); at != open_.end();) {
    if (at->second.plugin == plugin) {
      loop_.cancel(at->second.timer);
      at = open_.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace hawser::supervisor
