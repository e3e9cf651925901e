#include "core/connection/reports.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include "core/base/encoding.hpp"

namespace hawser::connection {
namespace {

std::string rfc3339_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t whole = std::chrono::system_clock::to_time_t(now);
  const auto fraction = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 40> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string at(text.data(), size);
  const std::string digits = std::to_string(1000 + fraction).substr(1);
  return at + "." + digits + "Z";
}

std::int64_t uptime_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

json::Object Reports::describe(const std::string& id, const Event& event, bool clock_trusted) {
  auto row = json::make_object();
  row->set("id", id);
  row->set("at", clock_trusted ? Poco::Dynamic::Var(rfc3339_now()) : Poco::Dynamic::Var());
  row->set("uptime_ms", uptime_ms());
  row->set("kind", event.kind);
  if (!event.service.empty()) row->set("service", event.service);
  if (!event.reason.empty())
    row->set("reason", printable(event.reason, json::kIdBytesMax).substr(0, json::kIdBytesMax));
  if (!event.detail.empty()) row->set("detail", printable(event.detail, kDetailBytesMax));
  return row;
}

void Reports::push(const Event& event, bool clock_trusted) {
  const std::string id = random_uuid();
  Kept kept{id, describe(id, event, clock_trusted)};
  const std::lock_guard lock(mutex_);
  if (kept_.size() == kKeptMax) {
    kept_.pop_front();
    ++counts_.dropped;
  }
  const bool was_full = full_;
  kept_.push_back(std::move(kept));
  full_ = kept_.size() == kKeptMax;
  if (full_ && !was_full) ++counts_.full;
}

Reports::Counts Reports::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::optional<Reports::Report> Reports::next() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t untold = counts_.dropped - told_dropped_;
  if (under_way_ || (kept_.empty() && untold == 0)) return std::nullopt;
  under_way_ = UnderWay{random_uuid(), {}, counts_.dropped};
  auto events = json::make_array();
  if (untold != 0) {
    const Event dropped{"dropped", "", "queue_full", std::to_string(untold) + " events of the report queue"};
    events->add(describe(random_uuid(), dropped, false));
  }
  std::size_t bytes = 0;
  for (const Kept& kept : kept_) {
    bytes += json::to_text(kept.event).size();
    if (events->size() == kPerReportMax || bytes > kReportBytesMax) break;
    events->add(kept.event);
    under_way_->events.push_back(kept.id);
  }
  auto message = json::make_object();
  message->set("type", "report");
  message->set("id", under_way_->id);
  message->set("events", events);
  return Report{json::to_text(message), untold != 0};
}

bool Reports::acknowledged(const std::string& report_id) {
  const std::lock_guard lock(mutex_);
  if (!under_way_ || under_way_->id != report_id) return false;
  const auto& ids = under_way_->events;
  std::erase_if(kept_, [&](const Kept& kept) { return std::find(ids.begin(), ids.end(), kept.id) != ids.end(); });
  told_dropped_ = under_way_->told_dropped;
  full_ = kept_.size() == kKeptMax;
  under_way_.reset();
  return true;
}

bool Reports::connection_ended() {
  const std::lock_guard lock(mutex_);
  const bool unanswered = under_way_.has_value();
  under_way_.reset();
  return unanswered;
}

void Reports::clear() {
  const std::lock_guard lock(mutex_);
  counts_.unbound += kept_.size();
  kept_.clear();
  under_way_.reset();
  told_dropped_ = counts_.dropped;
  full_ = false;
}

}  // namespace hawser::connection
