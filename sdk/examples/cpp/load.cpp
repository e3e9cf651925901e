// Tells the cloud every ten seconds how busy the device is, and shows it as a figure of its own.
#include <fstream>
#include <hawser/plugin.hpp>

namespace sdk = hawser::sdk;
using namespace std::chrono_literals;

class Load {
 public:
  static constexpr const char* kId = HAWSER_PLUGIN_ID;  // both from CMakeLists.txt
  static constexpr const char* kVersion = HAWSER_PLUGIN_VERSION;
  explicit Load(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view, bool) { return sdk::ConfigAnswer::accepted(); }  // nothing can be set

  void start() {
    cloud_ = &host_.open("load", "example.load.v1", {.writable = [this] { tell(); }});
    host_.every(10s, [this] { tell(); });
    host_.health(HWS_READY);
  }

 private:
  void tell() {
    double load = 0;
    std::ifstream("/proc/loadavg") >> load;
    host_.gauge("system.load", load, "1");
    const std::string message = "{\"load\":" + std::to_string(load) + "}";
    if (cloud_->send_durable(sdk::to_bytes(message))) return;
    if (++left_out_ == 1) host_.warn("the outbox is full: loads are left out until there is room");
  }

  sdk::Context& host_;
  sdk::Subconnection* cloud_ = nullptr;
  unsigned left_out_ = 0;
};
HAWSER_PLUGIN(Load)
