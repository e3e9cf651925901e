#pragma once

#include <map>
#include <set>
#include <string>

#include "cloud/gateway/hub.hpp"

namespace hawser::cloud {

// The cloud's end of one main connection, sdk/protocol.md §4. Shared by hub and server; the hub's thread.
class MainSession final : public Conversation, public std::enable_shared_from_this<MainSession> {
 public:
  static constexpr std::size_t kMessageBytesMax = 256 << 10;
  static constexpr std::int64_t kCommandRepeatMs = 60'000;
  static constexpr std::int64_t kRevokeMs = 7'000;  // the device has 5 s

  // `host` is the name that the device used; URLs of grants are made with it.
  MainSession(Hub& hub, Peer& peer, DeviceRecord device, std::string host);

  std::size_t message_bytes_max() const override { return kMessageBytesMax; }
  void on_open() override;
  void on_text(std::string_view text) override;
  void on_binary(std::string_view bytes) override;
  void on_closed(int code, std::string_view words) override;

  void tick(Now now);
  void store_changed();
  void microservices_changed();  // its grants may be others now
  void drain(int retry_after_s, int spread_s);
  // `detail` follows the reason in the close frame, and stands in the history.
  void end(int code, const std::string& reason, const std::string& detail = {});

  const std::string& serial() const { return device_.serial; }
  Peer& peer() { return peer_; }

 private:
  void keepalive(const Json& message);
  void subconnection_request(const Json& message);
  void report(const Json& message);
  void unbind(const Json& message);
  void command_result(const Json& message);
  void site_profile_result(const Json& message);

  Json make_grants(Json& refused);
  void send_update();
  void follow_services();
  void follow_site(const std::string& site);
  void send(const Json& message);
  void send_commands(bool again);

  Hub& hub_;
  Peer& peer_;
  DeviceRecord device_;
  std::string host_;
  std::int64_t last_seq_ = 0;
  std::int64_t grants_issued_ms_ = 0;  // 0: none yet
  std::int64_t commands_sent_ms_ = 0;
  std::set<std::string> commands_sent_;
  std::string profile_id_, profile_site_;  // of the newest site_profile sent; empty: none yet
  std::int64_t profile_revision_ = 0;
  std::set<std::string> disabled_;               // services that an operator took from it
  std::map<std::string, std::int64_t> revoked_;  // since when, of those that may still be open
  std::uint64_t ignored_ = 0;                    // messages of unknown type
  std::string ended_;                            // why we closed; empty while open
  std::string detail_;
};

}  // namespace hawser::cloud
