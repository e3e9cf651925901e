// The C++ face of today, over the header that the include path gives it.
#include <hawser/plugin.hpp>

namespace sdk = hawser::sdk;

class Face {
 public:
  static constexpr const char* kId = "acme.probe";
  static constexpr const char* kVersion = "1.2.3";
  static constexpr std::uint32_t kHandoverFormat = 2;
  explicit Face(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view json, bool) {
    return json.find("refuse_me") == json.npos ? sdk::ConfigAnswer::accepted() : sdk::ConfigAnswer::refused("no");
  }

  void start() {
    host_.info("serial " + host_.fact("device.serial").value_or("?"));
    host_.post([this] { host_.info("posted"); });
    host_.after(sdk::Milliseconds(1), [this] { host_.info("timer"); });
    host_.run_action("allowed", [this](const sdk::ActionResult& result) {
      host_.info("action " + std::to_string(result.exit_code) + std::string(result.output));
    });
    host_.cloud_reached(sdk::Milliseconds(60'000), [](bool, std::string_view) {});
    host_.gauge("beans", 1.5, "By", {{"shelf", "left"}});
    host_.open("probe", "acme.probe.v1",
               {.resumed = [this](std::uint64_t next) { host_.info("resumed " + std::to_string(next)); }});
    count();
    host_.health(HWS_READY);
  }

  std::string save() { return "beans"; }
  void load(std::uint32_t format, std::string_view saved) {
    if (format > kHandoverFormat) throw sdk::Error(HWS_E_INVALID, "saved by a later version than this");
    host_.info("handed over " + std::string(saved));
  }

 private:
  void count() {
    const int starts = std::stoi(host_.state().get("starts").value_or("0")) + 1;
    host_.info("start number " + std::to_string(starts));
    host_.state().put("starts", std::to_string(starts),
                      [this](bool written) { host_.info(written ? "written" : "not written"); });
  }

  sdk::Context& host_;
};
HAWSER_PLUGIN(Face)
