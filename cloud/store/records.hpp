#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What the store keeps, as plain values. Times are milliseconds since 1970 unless a name says otherwise.
namespace hawser::cloud {

using Millis = std::int64_t;
using Seq = std::int64_t;

struct DeviceRecord {
  std::string serial;
  std::string model;
  std::string generation;  // new with every adding, so that tokens of an earlier binding open nothing
  Millis added_at = 0;
  bool blocked = false;
  bool password_set = false;
  std::string key_thumbprint;  // empty: never bound
  Millis bound_at = 0;
  // from the last registration
  std::string hostname, site, boot_id, agent, connect_path;
  int keepalive_s = 180, keepalive_count = 3, ping_s = 60;
  Millis registered_at = 0;
  // main connection
  std::string state = "never_connected";  // never_connected | connected | disconnected
  Millis state_since = 0;
  std::string peer, last_reason;
};

enum class TokenKind { Connect, Grant };

struct TokenRecord {
  std::string hash;  // hex SHA-256 of the token; the token itself is stored nowhere
  TokenKind kind = TokenKind::Connect;
  std::string serial, generation;
  std::string service, plugin, digest, protocol;  // grants only
  Millis expires_at = 0;
};

struct ServiceRecord {
  std::string service, plugin, version, digest;
  std::vector<std::string> protocols;
  std::string state = "waiting_for_grant";
  Millis since = 0;
  std::string reason;
};

struct EventRecord {
  std::string id, at, kind, service, reason, detail;
  std::int64_t uptime_ms = 0;
  Millis received_at = 0;
};

// A connection as the cloud saw it come or go: the main one (service empty), or a subconnection.
struct LinkEvent {
  std::string service;
  bool up = false;
  Millis at = 0;
  std::string peer;    // the address it came from
  int code = 0;        // of the close, whoever sent it; 1006 without one
  std::string reason;  // of §7; empty when up
  std::string detail;
};

struct UploadRecord {
  std::string serial;
  std::string state = "open";  // open | receiving | done | failed
  std::string path;            // when done
  std::string reason;          // when failed
  std::int64_t bytes = 0;
};

struct CommandRecord {
  std::string id, name, args;
  std::string state = "open";  // open | done | failed
  std::string result;
};

// What the plugins of a site's devices are to do.
struct SiteRecord {
  std::string site;
  std::int64_t revision = 0;
  std::string plugins = "[]";  // JSON, as site_profile has it
  Millis changed_at = 0;
  std::string changed_by;
};

// What a device made of its site's profile.
struct ProfileResult {
  std::int64_t revision = 0;
  std::string plugins = "[]";  // JSON, as site_profile_result has it
  std::string reason;
  Millis at = 0;
};

struct PluginBundle {
  std::string plugin, version, sha256;
  std::string token;  // of the path at which devices get it
  std::string file;
  std::int64_t bytes = 0;
  Millis added_at = 0;
  std::string added_by;
};

// What an operator did to a device, or the device answered to it.
struct OperatorAct {
  Millis at = 0;
  std::string who, what;
};

enum class UnbindOutcome { Done, CodeWrong, CodeExpired, CodeUsed, TooMany };

struct StreamKey {
  std::string serial, service, stream;
};

struct InboundStream {
  Seq stored = 0;             // highest number stored without a gap
  std::vector<Seq> nacked;    // the last 1000
  std::int64_t received = 0;  // messages stored with effect
  std::int64_t skipped = 0;   // numbers the device passed over
};

struct OutboundMessage {
  Seq seq = 0;
  std::string payload;
};

struct OutboundStream {
  std::string stream;
  Seq next_seq = 1;
  Seq acked = 0;
};

// --- what a message does, decided on receipt, applied with its number in one transaction ---

struct MetricPoint {
  std::string name, unit, attributes;  // attributes: canonical JSON object
  double value = 0;
  Millis at = 0;
};
struct LogChunk {
  std::string source, file_id, first_at, format, cursor, pull, error;
  std::int64_t offset = 0, end_offset = 0, lines = 0, lost = 0;
  bool partial = false, end = false;
  std::string body;
};
struct ConfigStatus {
  std::string revision, state, reason, detail, diff;
};
struct Nothing {};  // a number that counts as stored without effect
using Effect = std::variant<Nothing, std::vector<MetricPoint>, LogChunk, ConfigStatus>;

struct ReceivedMessage {
  StreamKey key;
  Seq first = 0, last = 0;  // equal except for skipped
  enum class Kind { Data, Nacked, Skipped } kind = Kind::Data;
  std::string reason;  // of Nacked and Skipped
  Effect effect;
};

// --- what operators read ---

struct MetricValue {
  MetricPoint point;
  std::vector<std::pair<Millis, double>> history;  // oldest first
};
struct StoredLog {
  LogChunk chunk;
  bool contiguous = true;
  Millis received_at = 0;
};
struct RevisionRecord {
  std::string revision, mode, state, reason, diff, files, detail;
  Millis created_at = 0, changed_at = 0;
};
struct StreamFigures {
  std::string service, stream;
  Seq acked = 0;
  std::int64_t received = 0, nacked = 0, skipped = 0;
  std::int64_t outbound_pending = 0;
  Seq outbound_acked = 0;
};

}  // namespace hawser::cloud
