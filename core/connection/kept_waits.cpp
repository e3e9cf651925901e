#include "core/connection/kept_waits.hpp"

#include <algorithm>
#include <ctime>

#include "core/base/json.hpp"

namespace hawser::connection {
namespace {

constexpr std::int64_t kTwinsMax = 64;

std::int64_t seconds_of(std::chrono::system_clock::time_point wall) {
  return std::chrono::duration_cast<seconds>(wall.time_since_epoch()).count();
}

seconds left_of(const json::Object& row, bool same_boot, const Moment& at) {
  const std::int64_t most = std::chrono::duration_cast<seconds>(kRetryMost).count();
  const std::int64_t whole = std::clamp<std::int64_t>(json::integer_or(row, "wait_s", 0), 0, most);
  const std::int64_t left = same_boot ? json::integer_or(row, "ends_boot_s", 0) - at.boot.count()
                                      : json::integer_or(row, "ends_at_s", 0) - seconds_of(at.wall);
  return seconds(left > whole ? whole : std::max<std::int64_t>(left, 0));
}

}  // namespace

Moment Moment::present(const std::string& boot_id) {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return {Clock::now(), seconds(time.tv_sec), std::chrono::system_clock::now(), boot_id};
}

Waits::Memory lasting(const Waits::Memory& memory) {
  Waits::Memory kept = memory;
  std::erase_if(kept.asks, [](const auto& entry) { return !entry.second.lasting && !entry.second.removed; });
  return kept;
}

std::string text_of(const Waits::Memory& memory, const Moment& at) {
  auto servers = json::make_array();
  for (const auto& [key, ask] : memory.asks) {
    const auto left = std::max(seconds(0), std::chrono::ceil<seconds>(ask.until - at.now)).count();
    auto row = json::make_object();
    row->set("server", key);
    row->set("removed", ask.removed);
    row->set("wait_s", left);
    row->set("ends_boot_s", at.boot.count() + left);
    row->set("ends_at_s", seconds_of(at.wall) + left);
    servers->add(row);
  }
  auto whole = json::make_object();
  whole->set("boot_id", at.boot_id);
  whole->set("twins", memory.twins);
  whole->set("servers", servers);
  return json::to_text(whole);
}

Waits::Memory memory_of(const std::string& text, const Moment& at) {
  Waits::Memory memory;
  const auto whole = json::parse_object(text);
  if (!whole) return memory;
  const auto servers = json::array_member(*whole, "servers", Waits::kAsksMax);
  if (!servers) return memory;
  const bool same_boot = json::text_or(*whole, "boot_id") == at.boot_id;
  memory.twins = static_cast<unsigned>(std::clamp<std::int64_t>(json::integer_or(*whole, "twins", 0), 0, kTwinsMax));
  for (std::size_t i = 0; i < (*servers)->size(); ++i) {
    const auto row = json::object_at(*servers, i);
    const auto key = row ? json::text_member(*row, "server", 1, 300) : Result<std::string>(Error{});
    if (key) memory.asks[*key] = {at.now + left_of(*row, same_boot, at), json::bool_or(*row, "removed", false), true};
  }
  return memory;
}

}  // namespace hawser::connection
