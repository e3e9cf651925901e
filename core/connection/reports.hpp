#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/connection/main_connection.hpp"

namespace hawser::connection {

// Events on their way to the cloud: kept until acknowledged, in memory. push() and counts() are for any thread, the
// rest for the connection thread.
class Reports {
 public:
  static constexpr std::size_t kKeptMax = 1000;
  static constexpr std::size_t kPerReportMax = 100;
  static constexpr std::size_t kReportBytesMax = 128 * 1024;  // half a message of the main connection
  static constexpr std::size_t kDetailBytesMax = 512;

  struct Counts {
    std::uint64_t dropped = 0;  // reason queue_full
    std::uint64_t unbound = 0;  // of a binding that is gone
    std::uint64_t full = 0;     // how often the queue went from not full to full
  };

  // `clock_trusted`: whether the event may carry the time of the wall clock. Drops the oldest when full.
  void push(const Event& event, bool clock_trusted);
  Counts counts() const;

  // The next report's text, or nothing when none waits or one is not acknowledged yet. `incomplete` tells that events
  // were dropped since the last report.
  struct Report {
    std::string text;
    bool incomplete = false;
  };
  std::optional<Report> next();
  bool acknowledged(const std::string& report_id);  // false for an id that is not the one under way
  // The connection is over: what is not acknowledged goes again. True when a report was under way.
  bool connection_ended();
  void clear();  // the binding that they belonged to is gone

 private:
  struct Kept {
    std::string id;
    json::Object event;  // never changed once made
  };
  struct UnderWay {
    std::string id;
    std::vector<std::string> events;
    std::uint64_t told_dropped = 0;
  };

  static json::Object describe(const std::string& id, const Event& event, bool clock_trusted);

  mutable std::mutex mutex_;  // guards everything below
  std::deque<Kept> kept_;
  Counts counts_;
  bool full_ = false;
  std::uint64_t told_dropped_ = 0;  // of counts_.dropped, what the cloud has acknowledged
  std::optional<UnderWay> under_way_;
};

}  // namespace hawser::connection
