#include "monitoring.hpp"

namespace hawser::monitoring {

struct Plugin : Monitoring {
  static constexpr const char* kId = HAWSER_PLUGIN_ID;
  static constexpr const char* kVersion = HAWSER_PLUGIN_VERSION;
  explicit Plugin(sdk::Context& host) : Monitoring(host, Outside{}, kVersion) {}
};

}  // namespace hawser::monitoring

HAWSER_PLUGIN(hawser::monitoring::Plugin)
