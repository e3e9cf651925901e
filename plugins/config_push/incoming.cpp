#include "incoming.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <hawser/state_file.hpp>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::json;

namespace {
constexpr std::size_t kHeadBytesMax = 1024;
}

// A part's file is one line with its MessageId, then the payload.
Incoming::Incoming(const std::string& state_folder) : folder_(state_folder + "/incoming/") {
  if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) sdk::throw_errno("making " + folder_);
  for (;;) {
    const auto content = sdk::read_file(file(count() + 1), kPartBytesMax + kHeadBytesMax);
    if (!content) return;
    const Json head = Json::parse(content->substr(0, content->find('\n')), nullptr, false);
    if (!head.is_object() || !head.contains("stream") || !head.contains("number")) return;
    ids_.push_back({head.at("stream").get<std::string>(), head.at("number").get<std::uint64_t>()});
  }
}

std::string Incoming::file(std::size_t part) const { return folder_ + "part-" + std::to_string(part); }

// From the last to the first: after a crash in between what is left still begins with part 1.
void Incoming::clear() {
  for (std::size_t part = count(); part > 0; --part) sdk::remove_if_there(file(part));
  ids_.clear();
  sdk::sync_folder(folder_);
}

void Incoming::add(std::size_t part, const MessageId& id, std::string_view payload) {
  const Json head = {{"stream", id.stream}, {"number", id.number}};
  sdk::write_file_atomically(file(part), head.dump() + "\n" + std::string(payload));
  ids_.push_back(id);
}

std::string Incoming::payload(std::size_t part) const {
  auto content = sdk::read_file(file(part), kPartBytesMax + kHeadBytesMax);
  if (!content) throw std::system_error(ENOENT, std::generic_category(), file(part));
  content->erase(0, content->find('\n') + 1);
  return std::move(*content);
}

bool Incoming::has(const MessageId& id) const { return std::find(ids_.begin(), ids_.end(), id) != ids_.end(); }

}  // namespace hawser::config_push
