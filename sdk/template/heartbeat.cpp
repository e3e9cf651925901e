// A complete Hawser plugin: says "beat" once a period, and counts what comes back.
#include <charconv>
#include <hawser/plugin.hpp>

class Heartbeat {
 public:
  static constexpr const char* kId = HAWSER_PLUGIN_ID;  // both from CMakeLists.txt
  static constexpr const char* kVersion = HAWSER_PLUGIN_VERSION;
  explicit Heartbeat(hawser::sdk::Context& host) : host_(host) {}

  hawser::sdk::ConfigAnswer configure(std::string_view json, bool apply) {
    int period_ms = 1000;
    if (auto at = json.find_first_of("0123456789", json.find("\"period_ms\"")); at != json.npos)
      std::from_chars(json.data() + at, json.data() + json.size(), period_ms);
    if (period_ms < 10) return hawser::sdk::ConfigAnswer::refused("period_ms must be 10 or more");
    if (cloud_ && period_ms != period_.count()) return hawser::sdk::ConfigAnswer::restart_needed();  // it runs already
    if (apply) period_ = hawser::sdk::Milliseconds(period_ms);
    return {};
  }

  void start() {
    cloud_ = &host_.open("heartbeat", "example.heartbeat.v1",
                         {.message = [this](hawser::sdk::Bytes reply) { received_ += reply.size(); }});
    host_.every(period_, [this] {
      if (!cloud_->send_durable(hawser::sdk::to_bytes("beat"))) host_.warn("the outbox is full");
    });
    host_.health(HWS_READY);
  }

 private:
  hawser::sdk::Context& host_;
  hawser::sdk::Milliseconds period_{1000};
  hawser::sdk::Subconnection* cloud_ = nullptr;
  std::size_t received_ = 0;
};
HAWSER_PLUGIN(Heartbeat)
