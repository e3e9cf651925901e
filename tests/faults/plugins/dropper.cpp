// A plugin that hands over more than its queues hold: at its start so many durable messages into a spool that drops its
// oldest, and one longer than the grant allows; later, when the cloud says so, best-effort messages in one burst; and it is
// deaf to the cloud for a while. What it handed over and what it received it says in figures, for a test to compare with
// the counters of the agent.
#include <chrono>
#include <hawser/plugin.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

namespace sdk = hawser::sdk;

class Dropper {
 public:
  static constexpr const char* kId = HAWSER_PLUGIN_ID;
  static constexpr const char* kVersion = HAWSER_PLUGIN_VERSION;
  explicit Dropper(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view json, bool apply) {
    const auto config = nlohmann::json::parse(json);
    if (!apply) return {};
    durable_ = config.value("durable", 0);
    durable_bytes_ = config.value("durable_bytes", 4000);
    too_long_bytes_ = config.value("too_long_bytes", 0);
    return {};
  }

  void start() {
    sdk::SubconnectionLimits limits;
    limits.drop_oldest = true;
    cloud_ = &host_.open(GALLERY_SERVICE, "acme." GALLERY_SERVICE ".v1",
                         {.text = [this](std::string_view json) { on_text(json); },
                          .message = [this](sdk::Bytes) { ++received_; },
                          .accepted = [this](std::uint64_t number) { on_accepted(number); }},
                         limits);
    host_.every(sdk::Milliseconds(10), [this] { fill(); });
    host_.health(HWS_READY);
  }

 private:
  void fill() {
    while (given_ < durable_) {
      const auto number = cloud_->send_durable(sdk::to_bytes(durable_message(durable_bytes_)));
      if (!number) return;
      ++given_;
      last_ = *number;
    }
    if (too_long_bytes_ == 0) return;
    const auto number = cloud_->send_durable(sdk::to_bytes(durable_message(too_long_bytes_)));
    if (!number) return;
    last_ = *number;
    too_long_bytes_ = 0;
  }

  std::string durable_message(int size) const {
    std::string text = std::to_string(given_ + 1) + " ";
    text.resize(static_cast<std::size_t>(size), 'd');
    return text;
  }

  void on_accepted(std::uint64_t number) {
    if (number == last_ && given_ == durable_ && too_long_bytes_ == 0) host_.info("all is handed over");
  }

  void on_text(std::string_view json) {
    ++received_;
    const auto asked = nlohmann::json::parse(json, nullptr, false);
    const std::string type = asked.is_object() ? asked.value("type", "") : "";
    if (type == "be_deaf") std::this_thread::sleep_for(sdk::Milliseconds(asked.value("ms", 0)));
    if (type == "burst") burst(asked.value("count", 0), asked.value("bytes", 1000));
    if (type == "figures") {
      const nlohmann::json figures = {
          {"type", "figures"}, {"id", asked.value("id", 0)}, {"received", received_}, {"burst", burst_}};
      cloud_->send_text(figures.dump());
    }
  }

  void burst(int count, int bytes) {
    const std::string text(static_cast<std::size_t>(bytes), 'b');
    for (int i = 0; i < count; ++i, ++burst_) cloud_->send(sdk::to_bytes(text));
  }

  sdk::Context& host_;
  sdk::Subconnection* cloud_ = nullptr;
  int durable_ = 0, durable_bytes_ = 0, too_long_bytes_ = 0;
  int given_ = 0, burst_ = 0, received_ = 0;
  std::uint64_t last_ = 0;
};
HAWSER_PLUGIN(Dropper)
