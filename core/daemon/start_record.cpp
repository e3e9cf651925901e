#include "core/daemon/start_record.hpp"

#include <algorithm>

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kFileBytesMax = 64 * 1024;
constexpr std::size_t kMarksMax = 16;

}  // namespace

StartRecord::StartRecord(std::filesystem::path file, std::string boot, std::chrono::seconds uptime)
    : file_(std::move(file)), boot_(std::move(boot)) {
  read(uptime);
  const auto early = static_cast<std::size_t>(
      std::find_if(marks_.rbegin(), marks_.rend(), [](const Mark& mark) { return !mark.early; }) - marks_.rbegin());
  if (early >= kEarlyEndsMost || marks_.size() >= kEndsMost) {
    const std::string how = early >= kEarlyEndsMost
                                ? std::to_string(early) + " times in a row within a minute of its start"
                                : std::to_string(marks_.size()) + " times within ten minutes";
    safe_mode_ = Error{"safe_mode", "hawserd ended without order " + how +
                                        "; no plugin is started until: hawserctl plugin release --all, a new "
                                        "configuration, or ten minutes without another such end"};
  }
  marks_.push_back({uptime.count(), true});
  while (marks_.size() > kMarksMax) marks_.pop_front();
  write();
}

void StartRecord::read(std::chrono::seconds uptime) {
  const auto text = read_file(file_, kFileBytesMax);
  if (!text && text.error().code == "not_found") return;
  const auto object = text ? json::parse_object(*text) : Result<json::Object>(text.error());
  const auto runs = object ? json::array_member(*object, "runs", kMarksMax) : Result<json::Array>(object.error());
  if (!runs) {
    spdlog::warn("{} is damaged and begun anew: {}", file_.string(), runs.error().message);
    return;
  }
  if (json::text_or(*object, "boot") != boot_) return;
  for (std::size_t i = 0; i < (*runs)->size(); ++i) {
    const auto run = json::object_at(*runs, i);
    if (!run) continue;
    const Mark mark{json::integer_or(*run, "at_s", 0), json::bool_or(*run, "early", true)};
    const bool counts =
        mark.at_s <= uptime.count() && uptime.count() - mark.at_s <= std::chrono::seconds(kWindow).count();
    if (counts) marks_.push_back(mark);
  }
}

void StartRecord::write() const {
  auto runs = json::make_array();
  for (const Mark& mark : marks_) {
    auto run = json::make_object();
    run->set("at_s", static_cast<Poco::Int64>(mark.at_s));
    run->set("early", mark.early);
    runs->add(run);
  }
  auto all = json::make_object();
  all->set("boot", boot_);
  all->set("runs", runs);
  if (const auto written = write_file_atomically(file_, json::to_text(all) + "\n"); !written)
    spdlog::warn("an end without order will not be counted: {}", written.error().message);
}

void StartRecord::watch(Loop& loop, std::function<void()> calm) {
  loop.after(kEarly, [this] { past_first_minute(); });
  loop.after(kWindow, [this, calm = std::move(calm)] {
    forget_all();
    calm();
  });
}

void StartRecord::past_first_minute() {
  if (marks_.empty()) return;
  marks_.back().early = false;
  write();
}

void StartRecord::forget_all() {
  if (marks_.empty()) return;
  marks_.clear();
  write();
}

void StartRecord::ended_in_order() {
  if (marks_.empty()) return;
  marks_.pop_back();
  write();
}

}  // namespace hawser::daemon
