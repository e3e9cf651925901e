#include "core/daemon/history.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/base/rfc3339.hpp"
#include "core/connection/validity_floor.hpp"

namespace hawser::daemon {
namespace {

std::int64_t uptime_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

constexpr std::size_t kKeptTextMax = 4 * History::kDetailBytesMax + 3;  // what printable() makes of the longest

Poco::Dynamic::Var text(const std::string& given, std::size_t limit) {
  return given.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(printable(given, limit));
}

// An event of the file, or nothing when the line is none.
std::optional<json::Object> event_of(std::string_view line) {
  const auto object = json::parse_object(line);
  if (!object || !json::text_member(*object, "kind", 1, History::kTextBytesMax)) return std::nullopt;
  auto event = json::make_object();  // members in their order, and no others
  const std::string at = json::text_or(*object, "at");
  event->set("at", at.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(at));
  event->set("uptime_ms", static_cast<Poco::Int64>(json::integer_or(*object, "uptime_ms", 0)));
  event->set("kind", json::text_or(*object, "kind"));
  for (const char* name : {"service", "reason", "detail"})
    event->set(name, text(json::text_or(*object, name), kKeptTextMax));
  return event;
}

// Whether the main connection was lost before the last run ended. What came last may be lost with a crash: then it was
// not.
bool ended_down(const std::deque<json::Object>& events) {
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const std::string kind = json::text_or(*event, "kind");
    if (kind == "down") return true;
    if (kind == "up" || json::text_or(*event, "reason") == "started") return false;
  }
  return false;
}

// Without a line that has no end: the power failed in the middle of it.
Status cut_torn_line(const std::filesystem::path& file, std::string& content) {
  if (content.empty() || content.back() == '\n') return ok();
  const auto end = content.rfind('\n');
  content.resize(end == std::string::npos ? 0 : end + 1);
  std::error_code problem;
  std::filesystem::resize_file(file, content.size(), problem);
  if (problem) return Error{"io_error", "cannot shorten " + file.string() + ": " + problem.message()};
  return ok();
}

}  // namespace

History::History(const std::filesystem::path& state_dir, std::chrono::system_clock::time_point floor)
    : floor_(floor), file_(state_dir / "history.jsonl", kFileBytesMax) {
  read(state_dir / "history.jsonl");
  note_start();
}

void History::read(const std::filesystem::path& file) {
  std::error_code problem;
  if (!std::filesystem::exists(std::filesystem::symlink_status(file, problem))) return;
  auto content = read_file(file, kFileBytesMax + LineFile::kWaitingMax);
  std::string fault = content ? "" : content.error().message;
  if (content) {
    if (const auto cut = cut_torn_line(file, *content); !cut) fault = cut.error().message;
    for (std::size_t begin = 0; begin < content->size();) {
      const auto end = content->find('\n', begin);
      const auto event = event_of(std::string_view(*content).substr(begin, end - begin));
      begin = end + 1;
      if (!event && fault.empty()) fault = "byte " + std::to_string(begin) + " ends a line that is no event";
      if (!event) continue;
      events_.push_back(*event);
      if (events_.size() > kKeptMax) events_.pop_front();
    }
  }
  if (fault.empty()) return;
  const auto aside = std::filesystem::path(file.string() + ".broken");
  std::filesystem::rename(file, aside, problem);
  spdlog::warn("{} is broken ({}); it is kept as {}", file.string(), fault, aside.string());
  for (const auto& event : events_) file_.append(json::to_text(event));
}

void History::note_start() {
  std::string detail = "hawserd " HAWSER_VERSION "; ";
  if (events_.empty()) {
    detail += "nothing is known of an earlier run";
  } else {
    const json::Object& last = events_.back();
    const bool rebooted = uptime_ms() < json::integer_or(last, "uptime_ms", 0);
    const bool stopped = json::text_or(last, "kind") == "agent" && json::text_or(last, "reason") == "stopped";
    detail += stopped ? "the last run was stopped" : "the last run ended without a stop: crashed, killed, or no power";
    if (rebooted) detail += "; the device was started anew since";
    if (!ended_down(events_)) add(*(cut_off_ = {"down", "", "agent_restarted", detail}));
  }
  add({"agent", "", "started", detail});
}

void History::add(const connection::Event& event) {
  const auto now = std::chrono::system_clock::now();
  auto row = json::make_object();
  row->set("at",
           now + connection::ValidityFloor::kSlack >= floor_ ? Poco::Dynamic::Var(rfc3339(now)) : Poco::Dynamic::Var());
  row->set("uptime_ms", static_cast<Poco::Int64>(uptime_ms()));
  row->set("kind", text(event.kind, kTextBytesMax));
  row->set("service", text(event.service, kTextBytesMax));
  row->set("reason", text(event.reason, kTextBytesMax));
  row->set("detail", text(event.detail, kDetailBytesMax));
  file_.append(json::to_text(row));
  events_.push_back(row);
  if (events_.size() > kKeptMax) events_.pop_front();
}

json::Object History::last(std::size_t limit) const {
  auto events = json::make_array();
  for (std::size_t i = events_.size() - std::min(limit, events_.size()); i < events_.size(); ++i)
    events->add(events_[i]);
  auto answer = json::make_object();
  answer->set("events", events);
  return answer;
}

}  // namespace hawser::daemon
