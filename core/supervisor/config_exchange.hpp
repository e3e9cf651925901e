#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/supervisor/supervised_plugin.hpp"

namespace hawser::supervisor {

inline constexpr milliseconds kConfigureLimit{10'000};  // for each of the two answers; callbacks may take their time

// Offers a running plugin its new [config]: first to check, then to apply. One exchange a plugin; a newer one replaces
// it. Owned by the supervisor, lives on the loop's thread; the plugins it is asked about outlive it, or forget().
class ConfigExchange {
 public:
  enum class Outcome {
    Applied,
    RestartNeeded,  // by the plugin's word, or because it did not answer in time
    Refused         // the old one goes on
  };
  // Once per offer() that is not replaced or forgotten. `why` may be empty.
  using Done =
      std::function<void(SupervisedPlugin& plugin, Outcome, const config::PluginSettings&, const std::string& why)>;

  ConfigExchange(Loop& loop, Done done, milliseconds limit = kConfigureLimit)
      : loop_(loop), done_(std::move(done)), limit_(limit) {}
  ConfigExchange(const ConfigExchange&) = delete;
  ConfigExchange& operator=(const ConfigExchange&) = delete;
  ~ConfigExchange();

  void offer(SupervisedPlugin& plugin, config::PluginSettings settings);
  bool is_open(const std::string& plugin) const { return open_.count(plugin) > 0; }
  void on_configured(SupervisedPlugin& plugin, const json::Object& message);  // hostile data
  // The host ended in the middle: these settings are for its next start. Nothing when no exchange was open.
  std::optional<config::PluginSettings> forget(const std::string& plugin);

 private:
  struct Open {
    config::PluginSettings settings;
    std::string id;
    bool applying = false;
    Loop::TimerId timer = 0;
  };
  void send(SupervisedPlugin& plugin, Open& open);
  void finish(SupervisedPlugin& plugin, Outcome outcome, const std::string& why);

  Loop& loop_;
  Done done_;
  milliseconds limit_;
  std::map<std::string, Open> open_;
  std::uint64_t last_id_ = 0;
};

}  // namespace hawser::supervisor
