#include "core/supervisor/config_exchange.hpp"

#include "core/base/encoding.hpp"

namespace hawser::supervisor {
namespace {
constexpr std::size_t kWhyBytesMax = 512;
}  // namespace

ConfigExchange::~ConfigExchange() {
  for (const auto& [plugin, open] : open_) loop_.cancel(open.timer);
}

void ConfigExchange::offer(SupervisedPlugin& plugin, config::PluginSettings settings) {
  forget(plugin.id());
  Open& open = open_[plugin.id()];
  open.settings = std::move(settings);
  send(plugin, open);
}

void ConfigExchange::send(SupervisedPlugin& plugin, Open& open) {
  open.id = std::to_string(++last_id_);
  loop_.cancel(open.timer);
  open.timer = loop_.after(limit_, [this, &plugin] {
    finish(plugin, Outcome::RestartNeeded, "it did not answer in " + std::to_string(limit_.count()) + " ms");
  });
  auto message = json::make_object();
  message->set("type", "configure");
  message->set("id", open.id);
  message->set("config", open.settings.config);
  message->set("mode", open.applying ? "apply" : "check");
  plugin.send(message);
}

void ConfigExchange::on_configured(SupervisedPlugin& plugin, const json::Object& message) {
  const auto found = open_.find(plugin.id());
  if (found == open_.end() || json::text_or(message, "id") != found->second.id) return;  // of an older exchange
  const std::string status = json::text_or(message, "status");
  const std::string why = printable(json::text_or(message, "why"), kWhyBytesMax);
  if (status == "refused") return finish(plugin, Outcome::Refused, why);
  if (status != "ok") return finish(plugin, Outcome::RestartNeeded, why);
  if (found->second.applying) return finish(plugin, Outcome::Applied, why);
  found->second.applying = true;
  send(plugin, found->second);
}

std::optional<config::PluginSettings> ConfigExchange::forget(const std::string& plugin) {
  const auto found = open_.find(plugin);
  if (found == open_.end()) return std::nullopt;
  loop_.cancel(found->second.timer);
  auto settings = std::move(found->second.settings);
  open_.erase(found);
  return settings;
}

void ConfigExchange::finish(SupervisedPlugin& plugin, Outcome outcome, const std::string& why) {
  const auto settings = forget(plugin.id());
  if (settings) done_(plugin, outcome, *settings, why);
}

}  // namespace hawser::supervisor
