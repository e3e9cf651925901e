#pragma once

namespace hawser::cloud {

// Each version of the database adds a script of its own; none is ever changed.
inline constexpr int kSchemaVersion = 4;

inline constexpr const char* kSchema1 = R"sql(
CREATE TABLE IF NOT EXISTS device(
  serial TEXT PRIMARY KEY, model TEXT NOT NULL, generation TEXT NOT NULL, added_at INTEGER NOT NULL,
  blocked INTEGER NOT NULL DEFAULT 0, password TEXT, key_thumbprint TEXT NOT NULL DEFAULT '',
  bound_at INTEGER NOT NULL DEFAULT 0, hostname TEXT NOT NULL DEFAULT '', site TEXT NOT NULL DEFAULT '',
  boot_id TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL DEFAULT '', connect_path TEXT NOT NULL DEFAULT '',
  keepalive_s INTEGER NOT NULL DEFAULT 180, keepalive_count INTEGER NOT NULL DEFAULT 3,
  ping_s INTEGER NOT NULL DEFAULT 60, registered_at INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'never_connected', state_since INTEGER NOT NULL DEFAULT 0,
  peer TEXT NOT NULL DEFAULT '', last_reason TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token(
  hash TEXT PRIMARY KEY, kind INTEGER NOT NULL, serial TEXT NOT NULL, generation TEXT NOT NULL,
  service TEXT NOT NULL, plugin TEXT NOT NULL, digest TEXT NOT NULL, protocol TEXT NOT NULL,
  expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_of ON token(serial, kind, service, expires_at);
CREATE INDEX IF NOT EXISTS token_age ON token(expires_at);
CREATE TABLE IF NOT EXISTS service(
  serial TEXT NOT NULL, service TEXT NOT NULL, plugin TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
  protocols TEXT NOT NULL, state TEXT NOT NULL, since INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(serial, service)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
  service TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, uptime_ms INTEGER NOT NULL,
  received_at INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS event_id ON event(serial, id);
CREATE INDEX IF NOT EXISTS event_age ON event(received_at);
CREATE TABLE IF NOT EXISTS unbinding_code(
  serial TEXT NOT NULL, hash TEXT NOT NULL, expires_at INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(serial, hash)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unbinding_failure(serial TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS unbinding_failure_of ON unbinding_failure(serial, at);
CREATE TABLE IF NOT EXISTS command(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, args TEXT NOT NULL,
  state TEXT NOT NULL, result TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS command_id ON command(serial, id);
CREATE TABLE IF NOT EXISTS inbound(
  serial TEXT NOT NULL, service TEXT NOT NULL, stream TEXT NOT NULL, stored INTEGER NOT NULL DEFAULT 0,
  received INTEGER NOT NULL DEFAULT 0, nacked INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0,
  used_at INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(serial, service, stream)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbound_nacked(
  serial TEXT NOT NULL, service TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(serial, service, stream, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbound(
  serial TEXT NOT NULL, service TEXT NOT NULL, stream TEXT NOT NULL, next_seq INTEGER NOT NULL DEFAULT 1,
  acked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(serial, service)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbound_message(
  serial TEXT NOT NULL, service TEXT NOT NULL, seq INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY(serial, service, seq));
CREATE TABLE IF NOT EXISTS outbound_nacked(
  serial TEXT NOT NULL, service TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL, code TEXT NOT NULL,
  message TEXT NOT NULL, PRIMARY KEY(serial, service, stream, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS text(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, service TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS text_of ON text(serial, service);
CREATE TABLE IF NOT EXISTS metric(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, name TEXT NOT NULL, attributes TEXT NOT NULL, unit TEXT NOT NULL,
  value REAL NOT NULL, at INTEGER NOT NULL, points INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS metric_name ON metric(serial, name, attributes);
CREATE TABLE IF NOT EXISTS metric_point(
  metric INTEGER NOT NULL, slot INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
  PRIMARY KEY(metric, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, source TEXT NOT NULL, file_id TEXT NOT NULL,
  offset INTEGER NOT NULL, end_offset INTEGER NOT NULL, lines INTEGER NOT NULL, first_at TEXT NOT NULL,
  format TEXT NOT NULL, cursor TEXT NOT NULL, partial INTEGER NOT NULL, lost INTEGER NOT NULL, pull TEXT NOT NULL,
  end INTEGER NOT NULL, error TEXT NOT NULL, contiguous INTEGER NOT NULL, received_at INTEGER NOT NULL,
  bytes INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS log_of ON log(serial, source, number);
CREATE TABLE IF NOT EXISTS log_use(serial TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revision(
  serial TEXT NOT NULL, revision TEXT NOT NULL, mode TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
  diff TEXT NOT NULL, files TEXT NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
  PRIMARY KEY(serial, revision)) WITHOUT ROWID;
)sql";

// A status's detail; and an index for each look-up whose time would grow with what a device sends.
inline constexpr const char* kSchema2 = R"sql(
ALTER TABLE revision ADD COLUMN detail TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS device_number ON device(blocked);
CREATE INDEX IF NOT EXISTS event_of ON event(serial, number);
CREATE INDEX IF NOT EXISTS log_age ON log(serial, number);
CREATE INDEX IF NOT EXISTS log_file ON log(serial, source, file_id, number) WHERE pull='';
)sql";

// Passwords are sealed from here on (SqliteStore does it); what the cloud saw of connections; what an operator
// disabled; where a bundle may be uploaded once; and which serials an operator's command concerned, so that no others
// are asked.
inline constexpr const char* kSchema3 = R"sql(
CREATE TABLE link_event(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, service TEXT NOT NULL, up INTEGER NOT NULL, at INTEGER NOT NULL,
  peer TEXT NOT NULL, code INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX link_event_of ON link_event(serial, number);
CREATE TABLE service_off(
  serial TEXT NOT NULL, service TEXT NOT NULL, PRIMARY KEY(serial, service)) WITHOUT ROWID;
CREATE TABLE upload(
  hash TEXT PRIMARY KEY, serial TEXT NOT NULL, state TEXT NOT NULL, path TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL DEFAULT 0, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE change(number INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL);
)sql";

// Operators drive plugins: profiles of sites and what devices made of them, bundles to install, and who did what.
inline constexpr const char* kSchema4 = R"sql(
CREATE TABLE site(
  site TEXT PRIMARY KEY, revision INTEGER NOT NULL, plugins TEXT NOT NULL, changed_at INTEGER NOT NULL,
  changed_by TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX device_site ON device(site);
CREATE TABLE profile_result(
  serial TEXT PRIMARY KEY, site TEXT NOT NULL, revision INTEGER NOT NULL, plugins TEXT NOT NULL, reason TEXT NOT NULL,
  at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE plugin_bundle(
  plugin TEXT NOT NULL, version TEXT NOT NULL, sha256 TEXT NOT NULL, token TEXT NOT NULL, file TEXT NOT NULL,
  bytes INTEGER NOT NULL, added_at INTEGER NOT NULL, added_by TEXT NOT NULL,
  PRIMARY KEY(plugin, version)) WITHOUT ROWID;
CREATE UNIQUE INDEX plugin_bundle_token ON plugin_bundle(token);
CREATE TABLE operator_act(
  number INTEGER PRIMARY KEY, serial TEXT NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL);
CREATE INDEX operator_act_of ON operator_act(serial, number);
CREATE INDEX operator_act_age ON operator_act(at);
)sql";

}  // namespace hawser::cloud
