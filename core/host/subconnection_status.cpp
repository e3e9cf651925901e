#include "core/host/subconnection_status.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace hawser::host {

json::Object SubconnectionStatus::to_message(const std::string& service) const {
  auto message = json::make_object();
  message->set("type", "subconnection");
  message->set("service", service);
  message->set("state", std::string(name(state)));
  message->set("since", since);
  message->set("url", url);
  message->set("failure_reason", failure_reason.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(failure_reason));
  message->set("detail", detail);
  message->set("reconnects", reconnects);
  message->set("sent_messages", sent_messages);
  message->set("sent_bytes", sent_bytes);
  message->set("queued_messages", queued_messages);
  message->set("queued_bytes", queued_bytes);
  message->set("spooled_messages", spooled_messages);
  message->set("spooled_bytes", spooled_bytes);
  auto drops = json::make_object();
  for (const auto& [reason, count] : dropped) drops->set(reason, count);
  message->set("dropped", drops);
  message->set("buffer_full_count", buffer_full_count);
  message->set("acked_seq", acked_seq);
  message->set("rtt_ms", rtt_ms ? Poco::Dynamic::Var(*rtt_ms) : Poco::Dynamic::Var());
  return message;
}

bool StatusReporter::update(const SubconnectionStatus& status, TimePoint now) {
  if (sent_ && *sent_ == status) {
    due_ = TimePoint::max();
    return false;
  }
  const bool at_once = !sent_ || sent_->state != status.state || sent_->failure_reason != status.failure_reason;
  if (!at_once && now < sent_at_ + kStatusInterval) {
    due_ = sent_at_ + kStatusInterval;
    return false;
  }
  sent_ = status;
  sent_at_ = now;
  due_ = TimePoint::max();
  return true;
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const auto millis = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count());
  const std::time_t whole = seconds.count();
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), millis);
  return text.data();
}

}  // namespace hawser::host
