#include <algorithm>
#include <array>

#include "cloud/gateway/strict_json.hpp"
#include "cloud/services/microservice.hpp"

// hawser.config.v1, the device's side: status. The parts of `apply` are made by `hawser-cloud config push`.
namespace hawser::cloud {
namespace {

constexpr std::array kStates = {"received",  "rejected",    "checked", "applied",
                                "confirmed", "rolled_back", "failed",  "drifted"};
constexpr std::size_t kDetailBytesMax = 4096;
constexpr std::size_t kDiffBytesMax = 512 << 10;

class ConfigPush final : public Microservice {
 public:
  std::string service() const override { return "config_push"; }
  std::string protocol() const override { return "hawser.config.v1"; }
  Result<Effect> receive(const std::string&, std::string_view payload, Now) const override {
    auto message = parse_strict(payload);
    if (!message) return message.error();
    try {
      if (text_of(*message, "type") != "status") return Effect(Nothing{});  // unknown types are ignored
      ConfigStatus status{text_of(*message, "revision"), text_of(*message, "state"), text_if_any(*message, "reason"),
                          text_if_any(*message, "detail", kDetailBytesMax),
                          text_if_any(*message, "diff", kDiffBytesMax)};
      if (std::find(kStates.begin(), kStates.end(), status.state) == kStates.end())
        throw SchemaFault("state is none of hawser.config.v1");
      return Effect(std::move(status));
    } catch (const SchemaFault& fault) {
      return Error{"bad_payload", fault.what()};
    }
  }
  // A device that refuses a part sends no status for it.
  std::optional<ConfigStatus> refused(std::string_view payload, const std::string& code,
                                      const std::string& why) const override {
    const auto message = parse_strict(payload);
    if (!message) return std::nullopt;
    try {
      return ConfigStatus{text_of(*message, "revision"), "rejected", code, why, ""};
    } catch (const SchemaFault&) {
      return std::nullopt;
    }
  }
};

}  // namespace

std::unique_ptr<Microservice> make_config_push() { return std::make_unique<ConfigPush>(); }

std::vector<std::unique_ptr<Microservice>> first_services() {
  std::vector<std::unique_ptr<Microservice>> services;
  services.push_back(make_monitoring());
  services.push_back(make_log_upload());
  services.push_back(make_config_push());
  return services;
}

}  // namespace hawser::cloud
