#include "core/connection/shared.hpp"

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/connection/grants.hpp"
#include "core/connection/kept_waits.hpp"

namespace hawser::connection {

void Shared::read_kept() {
  constexpr std::size_t kKeptBytesMax = 64 * 1024;
  // Without them the device starts at the head of its list, and asks at once: no reason to stay away from its cloud.
  if (const auto text = read_file(identity.state_dir / "last_server", kKeptBytesMax)) last_server = *text;
  if (const auto text = read_file(identity.state_dir / "waits", kKeptBytesMax))
    waits.restore(memory_of(*text, Moment::present(identity.boot_id)));
  kept_waits = lasting(waits.memory());
}

std::vector<std::string> take_requests(Shared& shared) {
  auto taken = shared.requests.take();
  if (taken.offers) {
    auto offers = admissible(std::move(*taken.offers));
    shared.grants_wanted |= json::to_text(services_of(offers)) != json::to_text(services_of(shared.offers));
    shared.offers = std::move(offers);
  }
  shared.grants_wanted |= taken.grants;
  for (const auto id : taken.reach) {
    if (shared.reach.size() == Requests::kReachMax) shared.reach.erase(shared.reach.begin());
    shared.reach.push_back({id, 0});
  }
  for (auto& asked : taken.unbindings) shared.unbindings.push_back(std::move(asked));
  std::vector<std::string> messages;
  for (const auto& [id, result] : taken.results) {
    if (auto message = shared.commands.finish(id, result)) messages.push_back(std::move(*message));
  }
  for (auto& message : taken.profile_results) messages.push_back(std::move(message));
  shared.board.count(shared.reports.counts());
  return messages;
}

milliseconds random_between(milliseconds least, milliseconds most) {
  if (most <= least) return least;
  return least + milliseconds(random_below(static_cast<std::uint64_t>((most - least).count()) + 1));
}

}  // namespace hawser::connection
