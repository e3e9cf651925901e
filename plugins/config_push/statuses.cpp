#include "statuses.hpp"

#include <algorithm>
#include <hawser/state_file.hpp>
#include <nlohmann/json.hpp>

#include "encoding.hpp"
#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::ordered_json;

Statuses::Statuses(sdk::Context& host, const std::string& state_folder)
    : host_(host), path_(state_folder + "/statuses.json") {
  const auto text = sdk::read_file(path_, kStateFileBytesMax * 4);
  if (!text) return;
  try {
    const Json json = Json::parse(*text);
    for (const Json& one : json.at("waiting")) waiting_.push_back({next_ticket_++, one.at("text"), one.at("number")});
    for (const Json& one : json.at("told")) told_.push_back(one);
  } catch (const Json::exception&) {
    host_.warn("the file of waiting statuses is damaged and left out", {{"path", path_}});
  }
}

namespace {

std::string to_text(const Statuses::Status& status) {
  Json json = {{"type", "status"}, {"revision", status.revision}, {"state", status.state}};
  if (!status.reason.empty()) json["reason"] = status.reason;
  if (!status.detail.empty()) json["detail"] = status.detail.substr(0, kDetailBytesMax);
  if (!status.diff.empty()) json["diff"] = status.diff;
  // Diffs hold what the files held: bytes that are no UTF-8 are replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::uint64_t Statuses::add_once(const Status& status) {
  std::string text = to_text(status);
  Sha256 digest;
  digest.add(text);
  const std::string hex = digest.hex();
  if (std::find(told_.begin(), told_.end(), hex) != told_.end()) return 0;
  told_.push_back(hex);
  return add(status, std::move(text));
}

std::uint64_t Statuses::add(const Status& status) { return add(status, to_text(status)); }

std::uint64_t Statuses::add(const Status& status, std::string text) {
  if (waiting_.size() >= kStatusesMax) {
    host_.warn("too many statuses wait for the cloud; the oldest is dropped", {{"status", waiting_.front().text}});
    waiting_.pop_front();
  }
  waiting_.push_back({next_ticket_, std::move(text)});
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

// What has a lower number was taken by the host of an earlier run: it is in its spool, or the cloud has it.
void Statuses::resumed(std::uint64_t next_number) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.number != 0 && one.number < next_number; });
  next_number_ = next_number;
  save();
  send_waiting();
}

void Statuses::send_waiting() {
  if (!cloud_ || next_number_ == 0) return;
  for (Waiting& one : waiting_) {
    if (one.taken) continue;
    const auto number = cloud_->send_durable(sdk::to_bytes(one.text), HWS_COMPRESS);
    if (!number) return;  // writable() calls again
    one.taken = true;
    one.number = *number;
    next_number_ = *number + 1;
  }
}

void Statuses::acked(std::uint64_t number) {
  const auto before = waiting_.size();
  std::erase_if(waiting_, [&](const Waiting& one) { return one.taken && one.number <= number; });
  if (waiting_.size() != before) save();
}

bool Statuses::is_waiting(std::uint64_t ticket) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const Waiting& one) { return one.ticket == ticket; });
}

void Statuses::save() {
  Json list = Json::array();
  std::uint64_t next = next_number_;
  for (Waiting& one : waiting_) {  // in the order in which they will be sent
    if (!one.taken && next != 0) one.number = next++;
    list.push_back({{"number", one.number}, {"text", one.text}});
  }
  try {
    sdk::write_file_atomically(path_, Json{{"waiting", list}, {"told", told_}}.dump());
  } catch (const std::exception& error) {  // a full disk must not stop a file from being put back
    host_.warn("statuses for the cloud are kept in memory only", {{"error", error.what()}});
  }
}

}  // namespace hawser::config_push
