#include "journal.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::json;

namespace {

constexpr std::array<const char*, 6> kStepNames = {"staging", "swapping",  "reloading",
                                                   "applied", "confirmed", "undoing"};

Json to_json(const Attributes& one) { return {{"mode", one.mode}, {"owner", one.owner}, {"group", one.group}}; }

Attributes attributes(const Json& json) { return {json.at("mode"), json.at("owner"), json.at("group")}; }

Step step(const Json& json) {
  for (std::size_t i = 0; i < kStepNames.size(); ++i) {
    if (json == kStepNames[i]) return static_cast<Step>(i);
  }
  throw std::runtime_error("the journal names a step that this version does not know");
}

JournalFile file(const Json& json) {
  return {json.at("path"),
          json.at("temporary"),
          json.at("content"),
          json.at("backup"),
          json.at("remove"),
          json.at("existed"),
          attributes(json.at("before")),
          attributes(json.at("after"))};
}

}  // namespace

void Journal::save(const std::string& path) const {
  Json list = Json::array();
  for (const JournalFile& one : files) {
    list.push_back({{"path", one.path},
                    {"temporary", one.temporary},
                    {"content", one.content},
                    {"backup", one.backup},
                    {"remove", one.remove},
                    {"existed", one.existed},
                    {"before", to_json(one.before)},
                    {"after", to_json(one.after)}});
  }
  const Json json = {{"version", 1},
                     {"revision", revision},
                     {"step", kStepNames.at(static_cast<std::size_t>(step))},
                     {"reason", reason},
                     {"detail", detail},
                     {"reload_again", reload_again},
                     {"confirm_timeout_s", confirm_timeout_s},
                     {"reload", reload},
                     {"files", list}};
  sdk::write_file_atomically(path, json.dump(1, ' ', false, Json::error_handler_t::replace));
}

std::optional<Journal> Journal::load(const std::string& path) {
  const auto text = sdk::read_file(path, kStateFileBytesMax);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text);
  Journal journal;
  journal.revision = json.at("revision");
  journal.step = config_push::step(json.at("step"));
  journal.reason = json.at("reason");
  journal.detail = json.at("detail");
  journal.reload_again = json.at("reload_again");
  journal.confirm_timeout_s = json.at("confirm_timeout_s");
  journal.reload = json.at("reload").get<std::vector<std::string>>();
  for (const Json& one : json.at("files")) journal.files.push_back(file(one));
  return journal;
}

}  // namespace hawser::config_push
