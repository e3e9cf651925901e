#include "core/daemon/kept_wishes.hpp"

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kDigestLetters = 64;
constexpr std::size_t kKeptIdsMax = 1024;

std::string text_of(const config::CloudWishes& wishes) {
  auto enabled = json::make_array(), disabled = json::make_array(), refused = json::make_array();
  for (const auto& [id, on] : wishes.commands) (on ? enabled : disabled)->add(id);
  for (const auto& id : wishes.refused_configs) refused->add(id);
  auto whole = json::make_object();
  if (wishes.profile) whole->set("profile", config::to_json(*wishes.profile));
  whole->set("enabled", enabled);
  whole->set("disabled", disabled);
  whole->set("refused_configs", refused);
  const std::string text = json::to_text(whole);
  return hex(sha256(text)) + "\n" + text;
}

Result<config::CloudWishes> read_wishes(const std::string& content) {
  if (content.size() <= kDigestLetters || content[kDigestLetters] != '\n')
    return Error{"bad_response", "it is cut short"};
  const std::string text = content.substr(kDigestLetters + 1);
  if (hex(sha256(text)) != content.substr(0, kDigestLetters)) return Error{"bad_response", "its digest is wrong"};
  const auto whole = json::parse_object(text);
  if (!whole) return whole.error();
  config::CloudWishes wishes;
  if ((*whole)->has("profile")) {
    const auto object = json::object_member(*whole, "profile");
    auto profile = object ? config::read_site_profile(*object) : Result<config::SiteProfile>(object.error());
    if (!profile) return profile.error();
    wishes.profile = std::move(*profile);
  }
  for (const char* name : {"enabled", "disabled", "refused_configs"}) {
    const auto ids = json::texts_member(*whole, name, kKeptIdsMax);
    if (!ids) return ids.error();
    for (const auto& id : *ids) {
      if (std::string_view(name) == "refused_configs") {
        wishes.refused_configs.insert(id);
      } else {
        wishes.commands[id] = std::string_view(name) == "enabled";
      }
    }
  }
  return wishes;
}

}  // namespace

KeptWishes::KeptWishes(std::filesystem::path file, WriteFile write) : file_(std::move(file)), write_(std::move(write)) {
  const auto content = read_file(file_, kWishesBytesMax);
  if (!content && content.error().code == "not_found") return;
  auto wishes = content ? read_wishes(*content) : Result<config::CloudWishes>(content.error());
  if (wishes) {
    value_ = std::move(*wishes);
    return;
  }
  spdlog::error(
      "{} is broken ({}); it is set aside, and what the cloud wants of the plugins is unknown until it says so again",
      file_.string(), wishes.error().message);
  std::error_code ignored;
  std::filesystem::rename(file_, file_.string() + ".broken", ignored);
}

void KeptWishes::set(config::CloudWishes value) {
  value_ = std::move(value);
  write_(file_, text_of(value_), "what the cloud wants of the plugins is not kept over a restart");
}

}  // namespace hawser::daemon
