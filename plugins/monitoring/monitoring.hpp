#pragma once

#include <cstdint>
#include <hawser/plugin.hpp>
#include <string_view>

#include "interval.hpp"
#include "sampler.hpp"

namespace hawser::monitoring {

inline constexpr std::uint32_t kOutboxBytes = 1024 * 1024;  // on the way to the spool

// The plugin hawser.monitoring: a sample at start, then one every interval, each sent as a durable message with its own
// time. While the cloud is away samples wait in the host's spool, also over restarts; when that is full new ones are
// dropped, counted and said.
class Monitoring {
 public:
  Monitoring(sdk::Context& host, Outside outside, std::string version);

  sdk::ConfigAnswer configure(std::string_view json, bool apply);
  void start();

 private:
  void sample_and_wait();
  void sample();
  void wait_for_next();
  void set_interval(std::chrono::seconds interval);
  void from_cloud(std::string_view json);
  void drop();

  sdk::Context& host_;
  Outside outside_;
  Sampler sampler_;
  std::chrono::seconds interval_ = kIntervalDefault;
  sdk::Subconnection* cloud_ = nullptr;
  sdk::Context::TimerId next_ = 0;
  std::uint64_t dropped_ = 0;
  bool outbox_full_ = false;
};

}  // namespace hawser::monitoring
