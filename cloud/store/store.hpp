#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cloud/store/records.hpp"
#include "core/base/result.hpp"

namespace hawser::cloud {

// All lasting state of the cloud; nothing but its own sockets is known to a node otherwise.
// One instance per thread or process, each with its own connection to what lies behind. Every call is one transaction
// and is on stable storage when it returns, except where "quick" is said: that survives a crash of the program, but
// perhaps not a power cut. Every call may throw StoreError.
class Store {
 public:
  virtual ~Store() = default;

  // Devices. add_device is refused for a serial that is there already.
  virtual Status add_device(const DeviceRecord& device, const std::optional<std::string>& password = {}) = 0;
  // Sealed at rest. Nothing unsets it; false for an unknown serial.
  virtual bool set_password(const std::string& serial, const std::optional<std::string>& password) = 0;
  virtual std::optional<std::string> password(const std::string& serial) = 0;
  virtual bool remove_device(const std::string& serial) = 0;  // with all that is kept of it; its tokens stay to expire
  virtual bool set_blocked(const std::string& serial, bool blocked) = 0;
  virtual std::optional<DeviceRecord> device(const std::string& serial) = 0;
  virtual std::vector<DeviceRecord> devices() = 0;
  virtual std::int64_t device_count() = 0;
  // False when another key was quicker.
  virtual bool bind(const std::string& serial, const std::string& thumbprint, Millis now) = 0;
  // What the device said of itself at its authentication; quick. A model that the operator gave stays.
  virtual void note_agent(const std::string& serial, const std::string& agent, const std::string& model) = 0;
  virtual void note_registration(const DeviceRecord& device) = 0;  // quick
  // Into the history, the last kLinkEventsPerDeviceMax of a device, and for the `newest` connection of its kind into
  // the present state. Nothing for a binding (generation) that is over. Quick.
  static constexpr int kLinkEventsPerDeviceMax = 1000;
  virtual void note_link(const std::string& serial, const std::string& generation, const LinkEvent& event,
                         bool newest) = 0;
  virtual std::vector<LinkEvent> link_events(const std::string& serial, int last) = 0;  // oldest first
  virtual void forget_connections(Millis now) = 0;  // at a start: nobody is connected yet

  // Tokens, quick. At most kTokensPerOwner of a kind are kept per device and service, the oldest goes.
  static constexpr int kTokensPerOwner = 16;
  virtual void add_tokens(std::span<const TokenRecord> tokens) = 0;
  virtual std::optional<TokenRecord> token(const std::string& hash) = 0;

  // Services of a device, as its last list has them. Grants of services that left the list are withdrawn. Quick.
  virtual void set_services(const std::string& serial, std::span<const ServiceRecord> services) = 0;
  virtual std::vector<ServiceRecord> services(const std::string& serial) = 0;
  // What an operator took from a device; a service is enabled unless it stands here. Disabling withdraws its grants.
  // False for an unknown serial.
  virtual bool set_service_enabled(const std::string& serial, const std::string& service, bool enabled) = 0;
  virtual std::set<std::string> disabled_services(const std::string& serial) = 0;

  // Events: ids seen in seven days are dropped. Returns how many were new.
  virtual int add_events(const std::string& serial, std::span<const EventRecord> events) = 0;
  virtual std::vector<EventRecord> events(const std::string& serial, int last) = 0;

  virtual void add_unbinding_code(const std::string& serial, const std::string& code_hash, Millis expires_at) = 0;
  // On Done the device is removed.
  virtual UnbindOutcome try_unbind(const std::string& serial, const std::string& code_hash, Millis now) = 0;

  // Refused (queue_full) when kOpenCommandsMax wait for their answers.
  static constexpr int kOpenCommandsMax = 256;
  virtual Status add_command(const std::string& serial, const CommandRecord& command, Millis now) = 0;
  virtual std::vector<CommandRecord> open_commands(const std::string& serial) = 0;
  virtual bool answer_command(const std::string& serial, const std::string& id, bool ok, const std::string& result) = 0;
  virtual std::optional<CommandRecord> command(const std::string& serial, const std::string& id) = 0;

  // A place where one bundle may be put once, known by the hash of its token.
  virtual void add_upload(const std::string& hash, const std::string& serial, Millis expires_at) = 0;
  // The serial for which it was made, for the first who asks before it expires.
  virtual std::optional<std::string> take_upload(const std::string& hash, Millis now) = 0;
  virtual bool finish_upload(const std::string& hash, const UploadRecord& outcome) = 0;  // false: its device is gone
  virtual std::optional<UploadRecord> upload(const std::string& hash) = 0;

  // Profiles of sites. `edit` makes the new plugins of the old ones, or refuses; the revision rises by one, and beyond
  // whatever a device of the site says it has. Nobody comes between.
  using EditPlugins = std::function<Result<std::string>(const std::string& plugins)>;
  virtual Result<SiteRecord> edit_site(const std::string& site, const EditPlugins& edit, const std::string& who,
                                       Millis now) = 0;
  virtual std::optional<SiteRecord> site(const std::string& site) = 0;
  virtual std::vector<SiteRecord> sites() = 0;
  virtual std::vector<DeviceRecord> devices_of(const std::string& site) = 0;
  virtual void note_profile_result(const std::string& serial, const std::string& site,
                                   const ProfileResult& result) = 0;  // quick
  virtual std::optional<ProfileResult> profile_result(const std::string& serial) = 0;

  // Plugins to install. add_plugin_bundle is refused above the limits, and for a version that is there.
  static constexpr int kPluginBundlesMax = 256;
  static constexpr std::int64_t kPluginBundleBytesMax = std::int64_t{4} << 30;  // of all
  virtual Status add_plugin_bundle(const PluginBundle& bundle) = 0;
  virtual std::vector<PluginBundle> plugin_bundles() = 0;
  virtual std::optional<PluginBundle> plugin_bundle(const std::string& plugin, const std::string& version) = 0;
  virtual std::optional<PluginBundle> plugin_bundle_at(const std::string& token) = 0;
  virtual bool remove_plugin_bundle(const std::string& plugin, const std::string& version) = 0;

  // Who did what to a device; the last kActsPerDeviceMax of it.
  static constexpr int kActsPerDeviceMax = 1000;
  virtual void note_act(const std::string& serial, const OperatorAct& act) = 0;
  virtual std::vector<OperatorAct> acts(const std::string& serial, int last) = 0;  // oldest first

  // Device to cloud.
  virtual InboundStream inbound(const StreamKey& key) = 0;
  // Effects and numbers of a whole group, together or not at all.
  virtual void commit_received(std::span<const ReceivedMessage> group, Millis now) = 0;

  // Cloud to device. queue_outbound gives numbers; refused (queue_full) above the limits below.
  static constexpr int kOutboundMessagesMax = 1000;
  static constexpr std::int64_t kOutboundBytesMax = 64 << 20;
  virtual Status queue_outbound(const std::string& serial, const std::string& service,
                                std::span<const std::string> payloads) = 0;
  virtual OutboundStream outbound(const std::string& serial, const std::string& service) = 0;
  virtual std::vector<OutboundMessage> outbound_after(const std::string& serial, const std::string& service, Seq after,
                                                      int most) = 0;
  virtual void outbound_acked(const std::string& serial, const std::string& service, Seq acked) = 0;
  virtual void outbound_nacked(const std::string& serial, const std::string& service, Seq seq, const std::string& code,
                               const std::string& message) = 0;
  // The device lost what it had: a new stream begins at 1 with what was not acknowledged.
  virtual void renew_outbound(const std::string& serial, const std::string& service) = 0;
  // Best-effort texts for a connected service; taken once.
  virtual void queue_text(const std::string& serial, const std::string& service, const std::string& text) = 0;
  virtual std::vector<std::string> take_texts(const std::string& serial, const std::string& service) = 0;

  // What the services stored.
  virtual std::vector<MetricValue> metrics(const std::string& serial, bool with_history) = 0;
  // Oldest first, one call per chunk; nothing is held meanwhile, neither in memory nor in the database.
  virtual void logs(const std::string& serial, const std::string& source,
                    const std::function<void(const StoredLog&)>& each) = 0;
  // The revision and its messages, as queue_outbound: both or neither.
  virtual Status push_revision(const std::string& serial, const RevisionRecord& revision,
                               std::span<const std::string> payloads) = 0;
  virtual void note_status(const std::string& serial, const ConfigStatus& status, Millis now) = 0;
  virtual std::vector<RevisionRecord> revisions(const std::string& serial) = 0;
  virtual std::optional<RevisionRecord> revision(const std::string& serial, const std::string& revision) = 0;
  virtual std::vector<StreamFigures> figures(const std::string& serial) = 0;

  // Rises when another process changed something.
  virtual std::int64_t data_version() = 0;
  // The serials that operators' commands concerned since `seen`, which moves on; nothing when those can no longer be
  // told (then every device may be concerned).
  static constexpr int kChangesKept = 10'000;
  virtual std::optional<std::set<std::string>> changed_since(std::int64_t& seen) = 0;
  virtual std::int64_t last_change() = 0;
  // Removes what is over its age or number. Quick.
  virtual void clean(Millis now) = 0;
};

}  // namespace hawser::cloud
