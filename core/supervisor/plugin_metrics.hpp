#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/json.hpp"

namespace hawser::supervisor {

// One of a plugin's own figures (hws.metrics/1 of hawser/plugin.h). Texts are safe to show.
struct PluginMetric {
  std::string name, unit;
  bool counter = false;  // only rises, from the start of its host; else it goes up and down
  double value = 0;
  std::map<std::string, std::string> attributes;
};

// What the running hosts told last. Owned by the supervisor, lives on the loop's thread. Host messages are hostile data:
// checked and bounded; one fault, and the message changes nothing.
class PluginMetrics {
 public:
  Status take(const std::string& plugin, const json::Object& message);
  void forget(const std::string& plugin) { metrics_.erase(plugin); }
  const std::vector<PluginMetric>& of(const std::string& plugin) const;

 private:
  std::map<std::string, std::vector<PluginMetric>> metrics_;
};

}  // namespace hawser::supervisor
