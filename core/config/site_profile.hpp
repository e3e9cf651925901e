#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/config/settings.hpp"

// What the cloud wants of a device's plugins, and what the device's own configuration makes of it: the stricter of the
// two counts (sdk-11). Plain values; any thread.
namespace hawser::config {

inline constexpr std::size_t kProfilePluginsMax = 64;

struct ProfilePlugin {
  bool enabled = true;
  json::Object config = json::make_object();  // lies below plugins.d/<id>.toml, whose keys win
  std::string version;                        // empty: whichever is installed
};

// The message site_profile of sdk/protocol.md §4.
struct SiteProfile {
  std::string site;  // empty: that of whom it was sent to
  std::int64_t revision = 0;
  std::map<std::string, ProfilePlugin> plugins;
};

// Of the message or of what the device kept of it. The Error is a schema fault.
Result<SiteProfile> read_site_profile(const json::Object& message);
json::Object to_json(const SiteProfile& profile);

// All that a cloud has asked for, and what came of it.
struct CloudWishes {
  std::optional<SiteProfile> profile;
  std::map<std::string, bool> commands;   // by plugin: the last of plugin_enable and plugin_disable
  std::set<std::string> refused_configs;  // plugins that did not take the profile's
};

// Of one plugin.
struct Verdict {
  bool runs = false;        // it is to run
  bool configured = false;  // with the profile's configuration below its own
  // Why something that the cloud asked for, or the device has enabled, is not done: disabled_by_site, disabled_by_cloud,
  // local_policy, config_refused, too_big, bad_request. Empty: nothing.
  std::string reason, detail;
};

// `local`: as the files of the device say.
Verdict judge(const Settings& local, const CloudWishes& wishes, const std::string& id);
// Nothing where it is of another site.
const SiteProfile* profile_for(const Settings& local, const CloudWishes& wishes);
Settings with_wishes(const Settings& local, const CloudWishes& wishes);

}  // namespace hawser::config
