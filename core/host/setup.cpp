#include "core/host/setup.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kPathBytesMax = 4096;
constexpr std::size_t kServicesMax = 64;  // sdk/protocol.md §3
}  // namespace

Result<Setup> read_setup(const json::Object& message) {
  Setup setup;
  for (const auto& [name, target] : {std::pair{"plugin", &setup.plugin}, std::pair{"version", &setup.version}}) {
    auto text = json::text_member(message, name);
    if (!text) return text.error().with_context("setup");
    *target = std::move(*text);
  }
  for (const auto& [name, target] : {std::pair{"library", &setup.library}, std::pair{"state_dir", &setup.state_dir}}) {
    auto text = json::text_member(message, name, 1, kPathBytesMax);
    if (!text) return text.error().with_context("setup");
    *target = std::move(*text);
  }
  setup.digest = json::text_or(message, "digest");
  setup.serial = json::text_or(message, "serial");
  setup.hostname = json::text_or(message, "hostname");
  setup.site = json::text_or(message, "site");
  setup.ca_file = json::text_or(message, "ca_file");
  setup.validity_floor =
      std::chrono::system_clock::time_point(std::chrono::seconds(json::integer_or(message, "validity_floor", 0)));
  auto config = json::object_member(message, "config");
  setup.config = config ? json::to_text(*config) : "{}";
  auto actions = json::texts_member(message, "actions");
  if (actions) setup.actions.insert(actions->begin(), actions->end());
  const auto services = json::array_member(message, "services", kServicesMax);
  if (!services) return services.error().with_context("setup");
  for (std::size_t i = 0; i < (*services)->size(); ++i) {
    const auto row = json::object_at(*services, i);
    if (!row) return Error{"bad_payload", "setup: services holds something that is no object"};
    auto service = json::text_member(*row, "service");
    if (!service) return service.error().with_context("setup: services");
    auto protocols = json::texts_member(*row, "protocols");
    if (!protocols) return protocols.error().with_context("setup: services");
    setup.services[*service] = std::move(*protocols);
  }
  return setup;
}

}  // namespace hawser::host
