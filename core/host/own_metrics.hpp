#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "core/base/loop.hpp"
#include "core/host/core_link.hpp"
#include "hawser/plugin.h"

namespace hawser::host {

inline constexpr std::size_t kMetricsMax = 64;  // of one plugin
inline constexpr milliseconds kMetricsInterval{5000};

// The plugin's own figures (hws.metrics/1): the newest value of each, told to the core when one has changed, at most once
// in kMetricsInterval. A plugin that sets none costs nothing; nor does one whose figures stand still.
// Owned by Instance. set() is for any thread, the rest happens on the service thread, whose loop is `loop`.
class OwnMetrics {
 public:
  OwnMetrics(Loop& loop, CoreLink& link) : loop_(loop), link_(link) {}

  hws_status set(std::int32_t kind, hws_str name, hws_str unit, double value, const hws_kv* attributes,
                 std::size_t count);

 private:
  struct Key {
    std::string name;
    std::map<std::string, std::string> attributes;
    auto operator<=>(const Key&) const = default;
  };
  struct Figure {
    std::int32_t kind = HWS_GAUGE;
    std::string unit;
    double value = 0;
    bool operator==(const Figure&) const = default;
  };

  void plan();
  void tell();
  json::Object message();

  Loop& loop_;
  CoreLink& link_;
  TimePoint told_at_{};  // service thread

  std::mutex mutex_;  // guards the two below
  std::map<Key, Figure> figures_;
  bool planned_ = false;
};

}  // namespace hawser::host
