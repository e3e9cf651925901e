#include "statuses.hpp"

#include <algorithm>
#include <hawser/state_file.hpp>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::ordered_json;

Statuses::Statuses(sdk::Context& host, const std::string& state_folder)
    : host_(host), path_(state_folder + "/statuses.json") {
  const auto text = sdk::read_file(path_, kStateFileBytesMax * 4);
  if (!text) return;
  const Json list = Json::parse(*text, nullptr, false);
  if (!list.is_array()) {
    host_.warn("the file of waiting statuses is damaged and left out", {{"path", path_}});
    return;
  }
  for (const Json& one : list) {
    if (one.is_string()) waiting_.push_back({next_ticket_++, one, std::nullopt});
  }
}

std::uint64_t Statuses::add(const Status& status) {
  Json json = {{"type", "status"}, {"revision", status.revision}, {"state", status.state}};
  if (!status.reason.empty()) json["reason"] = status.reason;
  if (!status.detail.empty()) json["detail"] = status.detail.substr(0, kDetailBytesMax);
  if (!status.diff.empty()) json["diff"] = status.diff;
  if (waiting_.size() >= kStatusesMax) {
    host_.warn("too many statuses wait for the cloud; the oldest is dropped", {{"status", waiting_.front().text}});
    waiting_.pop_front();
  }
  // Diffs hold what the files held: bytes that are no UTF-8 are replaced.
  waiting_.push_back({next_ticket_, json.dump(-1, ' ', false, Json::error_handler_t::replace), std::nullopt});
  const std::string told = "revision " + std::string(status.revision) + " is " + std::string(status.state);
  if (status.reason.empty()) {
    host_.info(told);
  } else {
    host_.info(told, {{"reason", status.reason}, {"detail", status.detail}});
  }
  save();
  send_waiting();
  return next_ticket_++;
}

void Statuses::send_waiting() {
  if (!cloud_) return;
  for (Waiting& one : waiting_) {
    if (one.number) continue;
    one.number = cloud_->send_durable(sdk::to_bytes(one.text), HWS_COMPRESS);
    if (!one.number) return;  // writable() calls again
  }
}

void Statuses::acked(std::uint64_t number) {
  const auto before = waiting_.size();
  std::erase_if(waiting_, [&](const Waiting& one) { return one.number && *one.number <= number; });
  if (waiting_.size() != before) save();
}

bool Statuses::is_waiting(std::uint64_t ticket) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiting& one) { return one.ticket == ticket; });
}

void Statuses::save() const {
  Json list = Json::array();
  for (const Waiting& one : waiting_) list.push_back(one.text);
  try {
    sdk::write_file_atomically(path_, list.dump());
  } catch (const std::exception& error) {  // a full disk must not stop a file from being put back
    host_.warn("statuses for the cloud are kept in memory only", {{"error", error.what()}});
  }
}

}  // namespace hawser::config_push
