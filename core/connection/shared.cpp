#include "core/connection/shared.hpp"

#include "core/base/encoding.hpp"
#include "core/connection/grants.hpp"

namespace hawser::connection {

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
  std::vector<std::string> messages;
  for (const auto& [id, result] : taken.results) messages.push_back(shared.commands.finish(id, result));
  shared.board.count(shared.reports.counts());
  return messages;
}

milliseconds random_between(milliseconds least, milliseconds most) {
  if (most <= least) return least;
  return least + milliseconds(random_below(static_cast<std::uint64_t>((most - least).count()) + 1));
}

}  // namespace hawser::connection
