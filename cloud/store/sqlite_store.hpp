#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "cloud/store/sqlite.hpp"
#include "cloud/store/store.hpp"
#include "cloud/store/vault.hpp"

namespace hawser::cloud {

// The store over one SQLite file in WAL mode: `serve` and commands may have it open at once.
class SqliteStore final : public Store {
 public:
  static constexpr Millis kEventAgeMax = 7LL * 24 * 3600 * 1000;
  static constexpr Millis kActAgeMax = 90LL * 24 * 3600 * 1000;
  static constexpr int kEventsPerDeviceMax = 20'000;
  static constexpr int kNackedKept = 1000;
  static constexpr int kStreamsPerServiceMax = 8;     // streams of one service that are remembered
  static constexpr int kSeriesPerDeviceMax = 20'000;  // metrics beyond are dropped and counted
  static constexpr int kHistoryPoints = 360;          // per series
  static constexpr std::int64_t kLogBytesPerDeviceMax = 256LL << 20;
  static constexpr std::int64_t kLogRowBytes = 256;         // what a row costs beside its texts, about
  static constexpr Millis kClockAheadMax = 10 * 60 * 1000;  // a value from later than that is no last value for long
  static constexpr int kRevisionsPerDeviceMax = 200;

  explicit SqliteStore(const std::string& path);

  Status add_device(const DeviceRecord& device, const std::optional<std::string>& password = {}) override;
  bool set_password(const std::string& serial, const std::optional<std::string>& password) override;
  std::optional<std::string> password(const std::string& serial) override;
  bool remove_device(const std::string& serial) override;
  bool set_blocked(const std::string& serial, bool blocked) override;
  std::optional<DeviceRecord> device(const std::string& serial) override;
  std::vector<DeviceRecord> devices() override;
  std::int64_t device_count() override;
  bool bind(const std::string& serial, const std::string& thumbprint, Millis now) override;
  void note_agent(const std::string& serial, const std::string& agent, const std::string& model) override;
  void note_registration(const DeviceRecord& device) override;
  void note_link(const std::string& serial, const std::string& generation, const LinkEvent& event,
                 bool newest) override;
  std::vector<LinkEvent> link_events(const std::string& serial, int last) override;
  void forget_connections(Millis now) override;
  void add_tokens(std::span<const TokenRecord> tokens) override;
  std::optional<TokenRecord> token(const std::string& hash) override;
  void set_services(const std::string& serial, std::span<const ServiceRecord> services) override;
  std::vector<ServiceRecord> services(const std::string& serial) override;
  bool set_service_enabled(const std::string& serial, const std::string& service, bool enabled) override;
  std::set<std::string> disabled_services(const std::string& serial) override;
  int add_events(const std::string& serial, std::span<const EventRecord> events) override;
  std::vector<EventRecord> events(const std::string& serial, int last) override;
  void add_unbinding_code(const std::string& serial, const std::string& code_hash, Millis expires_at) override;
  UnbindOutcome try_unbind(const std::string& serial, const std::string& code_hash, Millis now) override;
  Status add_command(const std::string& serial, const CommandRecord& command, Millis now) override;
  std::vector<CommandRecord> open_commands(const std::string& serial) override;
  bool answer_command(const std::string& serial, const std::string& id, bool ok, const std::string& result) override;
  std::optional<CommandRecord> command(const std::string& serial, const std::string& id) override;
  void add_upload(const std::string& hash, const std::string& serial, Millis expires_at) override;
  std::optional<std::string> take_upload(const std::string& hash, Millis now) override;
  bool finish_upload(const std::string& hash, const UploadRecord& outcome) override;
  std::optional<UploadRecord> upload(const std::string& hash) override;

  Result<SiteRecord> edit_site(const std::string& site, const EditPlugins& edit, const std::string& who,
                               Millis now) override;
  std::optional<SiteRecord> site(const std::string& site) override;
  std::vector<SiteRecord> sites() override;
  std::vector<DeviceRecord> devices_of(const std::string& site) override;
  void note_profile_result(const std::string& serial, const std::string& site, const ProfileResult& result) override;
  std::optional<ProfileResult> profile_result(const std::string& serial) override;
  Status add_plugin_bundle(const PluginBundle& bundle) override;
  std::vector<PluginBundle> plugin_bundles() override;
  std::optional<PluginBundle> plugin_bundle(const std::string& plugin, const std::string& version) override;
  std::optional<PluginBundle> plugin_bundle_at(const std::string& token) override;
  bool remove_plugin_bundle(const std::string& plugin, const std::string& version) override;
  void note_act(const std::string& serial, const OperatorAct& act) override;
  std::vector<OperatorAct> acts(const std::string& serial, int last) override;

  InboundStream inbound(const StreamKey& key) override;
  void commit_received(std::span<const ReceivedMessage> group, Millis now) override;
  Status queue_outbound(const std::string& serial, const std::string& service,
                        std::span<const std::string> payloads) override;
  OutboundStream outbound(const std::string& serial, const std::string& service) override;
  std::vector<OutboundMessage> outbound_after(const std::string& serial, const std::string& service, Seq after,
                                              int most) override;
  void outbound_acked(const std::string& serial, const std::string& service, Seq acked) override;
  void outbound_nacked(const std::string& serial, const std::string& service, Seq seq, const std::string& code,
                       const std::string& message) override;
  void renew_outbound(const std::string& serial, const std::string& service) override;
  void queue_text(const std::string& serial, const std::string& service, const std::string& text) override;
  std::vector<std::string> take_texts(const std::string& serial, const std::string& service) override;

  std::vector<MetricValue> metrics(const std::string& serial, bool with_history) override;
  void logs(const std::string& serial, const std::string& source,
            const std::function<void(const StoredLog&)>& each) override;
  Status push_revision(const std::string& serial, const RevisionRecord& revision,
                       std::span<const std::string> payloads) override;
  void note_status(const std::string& serial, const ConfigStatus& status, Millis now) override;
  std::vector<RevisionRecord> revisions(const std::string& serial) override;
  std::optional<RevisionRecord> revision(const std::string& serial, const std::string& revision) override;
  std::vector<StreamFigures> figures(const std::string& serial) override;

  std::int64_t data_version() override { return database_.data_version(); }
  std::optional<std::set<std::string>> changed_since(std::int64_t& seen) override;
  std::int64_t last_change() override;
  void clean(Millis now) override;

 private:
  OutboundStream ensure_outbound(const std::string& serial, const std::string& service);
  void seal_passwords();
  void note_change(const std::string& serial);
  void remove_rows_of(const std::string& serial);
  void apply(const ReceivedMessage& message, Millis now);
  Status queue_in_transaction(const std::string& serial, const std::string& service,
                              std::span<const std::string> payloads);
  void store_points(const std::string& serial, const std::vector<MetricPoint>& points, Millis now);
  void store_chunk(const std::string& serial, LogChunk chunk, Millis now);
  void forget_oldest_logs(const std::string& serial);
  void store_status(const std::string& serial, const ConfigStatus& status, Millis now);
  void advance(const ReceivedMessage& message, Millis now);

  Database database_;
  Vault vault_;
};

}  // namespace hawser::cloud
