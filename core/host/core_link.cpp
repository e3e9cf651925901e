#include "core/host/core_link.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"

namespace hawser::host {
namespace {

json::Object log_line(const std::string& level, const std::string& message, const json::Object& fields) {
  auto line = message_of("log");
  line->set("level", level);
  line->set("message", message);
  line->set("fields", fields);
  return line;
}

}  // namespace

void CoreLink::wake() {
  if (woken_.exchange(true)) return;
  try {
    if (!wake_()) woken_ = false;
  } catch (...) {
    woken_ = false;
    throw;
  }
}

bool CoreLink::send(json::Object message) {
  {
    const std::lock_guard lock(mutex_);
    if (messages_.size() >= kMessageQueueMax) return false;
    messages_.emplace_back("", std::move(message));
  }
  wake();
  return true;
}

void CoreLink::send_newest(const std::string& key, json::Object message) {
  {
    const std::lock_guard lock(mutex_);
    const auto older =
        std::find_if(messages_.begin(), messages_.end(), [&](const auto& waiting) { return waiting.first == key; });
    if (older != messages_.end()) {
      older->second = std::move(message);
    } else {
      messages_.emplace_back(key, std::move(message));
    }
  }
  wake();
}

void CoreLink::log(const std::string& level, std::string_view message, const Fields& fields) {
  auto kept = json::make_object();
  for (std::size_t i = 0; i < fields.size() && i < kLogFieldsMax; ++i)
    kept->set(printable(fields[i].first, 64), printable(fields[i].second, kLogFieldBytesMax));
  auto line = log_line(level, printable(message, kLogMessageBytesMax), kept);
  {
    const std::lock_guard lock(mutex_);
    if (logs_.size() >= kLogQueueMax) {
      ++logs_dropped_;
      return;
    }
    logs_.push_back(std::move(line));
  }
  wake();
}

void CoreLink::event(const std::string& kind, const std::string& service, const std::string& reason,
                     const std::string& detail) {
  auto message = message_of("event");
  message->set("kind", kind);
  message->set("service", service);
  message->set("reason", reason);
  message->set("detail", printable(detail, kLogMessageBytesMax));
  if (!send(std::move(message))) log("warn", "an event was not passed on, the control channel is full: " + detail);
}

json::Object CoreLink::take() {
  const std::lock_guard lock(mutex_);
  json::Object message;
  if (!messages_.empty()) {
    message = std::move(messages_.front().second);
    messages_.pop_front();
  } else if (!logs_.empty()) {
    message = std::move(logs_.front());
    logs_.pop_front();
  } else if (logs_dropped_ > 0) {
    message = log_line(
        "warn", std::to_string(logs_dropped_) + " log lines were dropped: the plugin logs faster than they leave",
        json::make_object());
    logs_dropped_ = 0;
  } else {
    woken_ = false;
  }
  return message;
}

}  // namespace hawser::host
