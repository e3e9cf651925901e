#include "core/connection/commands.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::connection {
namespace {

constexpr std::size_t kUnderWayMax = 256;
constexpr std::size_t kReadMax = 2 * Commands::kFileBytesMax;  // JSON text in JSON text

std::string message_of(const std::string& id, const Result<json::Object>& result) {
  auto message = json::make_object();
  message->set("type", "command_result");
  message->set("id", id);
  message->set("ok", result.has_value());
  if (result) {
    message->set("result", *result);
  } else {
    auto error = json::make_object();
    error->set("code", result.error().code);
    error->set("message", printable(result.error().message, 512));
    message->set("error", error);
  }
  return json::to_text(message);
}

}  // namespace

Commands::Commands(std::filesystem::path file, WriteFile write) : file_(std::move(file)), write_(std::move(write)) {
  load();
}

void Commands::load() {
  const auto text = read_file(file_, kReadMax);
  if (!text && text.error().code == "not_found") return;
  const auto whole = text ? json::parse_object(*text) : Result<json::Object>(text.error());
  const auto rows = whole ? json::array_member(*whole, "results", kResultsMax) : Result<json::Array>(whole.error());
  if (!rows) {
    // What is kept here spares a repetition; losing it must not keep the device from its cloud.
    spdlog::warn("results of commands: {} is broken ({}); it is set aside and begun anew", file_.string(),
                 rows.error().message);
    std::error_code ignored;
    std::filesystem::rename(file_, file_.string() + ".broken", ignored);
    return;
  }
  for (std::size_t i = 0; i < (*rows)->size(); ++i) {
    const auto row = json::object_at(*rows, i);
    const auto id = row ? json::text_or(*row, "id") : "";
    if (!id.empty()) add(id, json::text_or(*row, "message"));
  }
}

void Commands::save() const {
  auto rows = json::make_array();
  for (const Kept& kept : results_) {
    auto row = json::make_object();
    row->set("id", kept.id);
    row->set("message", kept.message);
    rows->add(row);
  }
  auto whole = json::make_object();
  whole->set("results", rows);
  write_(file_, json::to_text(whole), "results of commands are not kept over a restart");
}

void Commands::add(std::string id, std::string message) {
  bytes_ += message.size();
  results_.push_back({std::move(id), std::move(message)});
  while (results_.size() > kResultsMax || bytes_ > kFileBytesMax) {
    bytes_ -= results_.front().message.size();
    results_.pop_front();
  }
}

std::optional<std::string> Commands::kept(const std::string& id) const {
  const auto found = std::find_if(results_.begin(), results_.end(), [&](const Kept& k) { return k.id == id; });
  if (found == results_.end()) return std::nullopt;
  return found->message;
}

bool Commands::begin(const std::string& id) {
  if (under_way_.size() >= kUnderWayMax) return false;  // the cloud repeats it
  return under_way_.insert(id).second;
}

void Commands::clear() {
  results_.clear();
  under_way_.clear();
  bytes_ = 0;
  save();
}

std::optional<std::string> Commands::finish(const std::string& id, const Result<json::Object>& result) {
  if (under_way_.erase(id) == 0) return std::nullopt;
  std::string message = message_of(id, result);
  if (message.size() > kResultBytesMax)
    message = message_of(id, Error{"too_big", "the result is larger than a message may be"});
  add(id, message);
  save();
  return message;
}

}  // namespace hawser::connection
