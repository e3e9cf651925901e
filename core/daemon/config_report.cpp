#include <algorithm>
#include <array>
#include <cctype>

#include "core/config/show.hpp"
#include "core/daemon/state_report.hpp"

namespace hawser::daemon {
namespace {

// A plugin's own configuration may hold what we know nothing of: members with such a word in their name are not shown.
constexpr std::array<std::string_view, 6> kSecretWords = {"password", "passwd", "secret", "token", "key", "credential"};

bool sounds_secret(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

Poco::Dynamic::Var without_secrets(const Poco::Dynamic::Var& value);

json::Object without_secrets(const json::Object& object) {
  auto copy = json::make_object();
  for (const auto& name : object->getNames())
    copy->set(name, sounds_secret(name) ? Poco::Dynamic::Var("(removed)") : without_secrets(object->get(name)));
  return copy;
}

Poco::Dynamic::Var without_secrets(const Poco::Dynamic::Var& value) {
  if (value.type() == typeid(json::Object)) return without_secrets(value.extract<json::Object>());
  if (value.type() != typeid(json::Array)) return value;
  auto copy = json::make_array();
  for (const auto& element : *value.extract<json::Array>()) copy->add(without_secrets(element));
  return copy;
}

}  // namespace

json::Object config_report(const config::Settings& settings) {
  auto report = config::to_json(settings);
  const auto plugins = json::object_member(report, "plugins.d");
  if (!plugins) return report;
  for (const auto& id : plugins.value()->getNames()) {
    auto plugin = json::object_member(*plugins, id).value();
    if (const auto own = json::object_member(plugin, "config")) plugin->set("config", without_secrets(*own));
  }
  return report;
}

}  // namespace hawser::daemon
