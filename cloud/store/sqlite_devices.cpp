#include <algorithm>

#include "cloud/store/sqlite_store.hpp"

// Devices, tokens, services.
namespace hawser::cloud {
namespace {

constexpr const char* kDeviceColumns =
    "SELECT serial, model, generation, added_at, blocked, password, key_thumbprint, bound_at, hostname, site, boot_id,"
    " agent, connect_path, keepalive_s, keepalive_count, ping_s, registered_at, state, state_since, peer, last_reason"
    " FROM device";

DeviceRecord device_of(const Row& row) {
  DeviceRecord device;
  device.serial = row.text(0);
  device.model = row.text(1);
  device.generation = row.text(2);
  device.added_at = row.integer(3);
  device.blocked = row.integer(4) != 0;
  device.password_set = !row.is_null(5);
  device.key_thumbprint = row.text(6);
  device.bound_at = row.integer(7);
  device.hostname = row.text(8);
  device.site = row.text(9);
  device.boot_id = row.text(10);
  device.agent = row.text(11);
  device.connect_path = row.text(12);
  device.keepalive_s = static_cast<int>(row.integer(13));
  device.keepalive_count = static_cast<int>(row.integer(14));
  device.ping_s = static_cast<int>(row.integer(15));
  device.registered_at = row.integer(16);
  device.state = row.text(17);
  device.state_since = row.integer(18);
  device.peer = row.text(19);
  device.last_reason = row.text(20);
  return device;
}

// A space cannot stand in a protocol's name, so it separates them.
std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> names;
  std::size_t from = 0;
  while (from < text.size()) {
    const std::size_t space = std::min(text.find(' ', from), text.size());
    names.push_back(text.substr(from, space - from));
    from = space + 1;
  }
  return names;
}

}  // namespace

Status SqliteStore::add_device(const DeviceRecord& device, const std::optional<std::string>& password) {
  Transaction transaction(database_);
  if (database_.one_integer("SELECT 1 FROM device WHERE serial=?", device.serial))
    return Error{"bad_request", "device " + device.serial + " is already added"};
  // A message that was on its way to the disk while the serial was removed must not show up at its next owner.
  remove_rows_of(device.serial);
  database_.run("INSERT INTO device(serial, model, generation, added_at) VALUES(?,?,?,?)", device.serial, device.model,
                device.generation, device.added_at);
  if (password)
    database_.run("UPDATE device SET password=? WHERE serial=?", vault_.seal(*password, device.serial), device.serial);
  transaction.commit();
  return ok();
}

void SqliteStore::remove_rows_of(const std::string& serial) {
  database_.run("DELETE FROM metric_point WHERE metric IN (SELECT number FROM metric WHERE serial=?)", serial);
  for (const char* sql :
       {"DELETE FROM device WHERE serial=?", "DELETE FROM service WHERE serial=?", "DELETE FROM event WHERE serial=?",
        "DELETE FROM command WHERE serial=?", "DELETE FROM inbound WHERE serial=?",
        "DELETE FROM inbound_nacked WHERE serial=?", "DELETE FROM outbound WHERE serial=?",
        "DELETE FROM outbound_message WHERE serial=?", "DELETE FROM outbound_nacked WHERE serial=?",
        "DELETE FROM text WHERE serial=?", "DELETE FROM metric WHERE serial=?", "DELETE FROM log WHERE serial=?",
        "DELETE FROM log_use WHERE serial=?", "DELETE FROM revision WHERE serial=?",
        "DELETE FROM link_event WHERE serial=?", "DELETE FROM service_off WHERE serial=?",
        "DELETE FROM upload WHERE serial=?", "DELETE FROM profile_result WHERE serial=?",
        "DELETE FROM operator_act WHERE serial=?"})
    database_.run(sql, serial);
}

bool SqliteStore::remove_device(const std::string& serial) {
  Transaction transaction(database_);
  if (!database_.one_integer("SELECT 1 FROM device WHERE serial=?", serial)) return false;
  remove_rows_of(serial);
  note_change(serial);
  transaction.commit();
  return true;
}

bool SqliteStore::set_blocked(const std::string& serial, bool blocked) {
  Transaction transaction(database_);
  const bool known = database_.run("UPDATE device SET blocked=? WHERE serial=?", blocked ? 1 : 0, serial) > 0;
  note_change(serial);
  transaction.commit();
  return known;
}

std::optional<DeviceRecord> SqliteStore::device(const std::string& serial) {
  static const std::string sql = std::string(kDeviceColumns) + " WHERE serial=?";
  std::optional<DeviceRecord> found;
  database_.query(
      sql, [&](const Row& row) { found = device_of(row); }, serial);
  return found;
}

std::vector<DeviceRecord> SqliteStore::devices() {
  static const std::string sql = std::string(kDeviceColumns) + " ORDER BY serial";
  std::vector<DeviceRecord> found;
  database_.query(sql, [&](const Row& row) { found.push_back(device_of(row)); });
  return found;
}

std::vector<DeviceRecord> SqliteStore::devices_of(const std::string& site) {
  static const std::string sql = std::string(kDeviceColumns) + " WHERE site=? ORDER BY serial";
  std::vector<DeviceRecord> found;
  database_.query(
      sql, [&](const Row& row) { found.push_back(device_of(row)); }, site);
  return found;
}

std::int64_t SqliteStore::device_count() { return database_.one_integer("SELECT count(*) FROM device").value_or(0); }

bool SqliteStore::bind(const std::string& serial, const std::string& thumbprint, Millis now) {
  Transaction transaction(database_);
  const int changed = database_.run(
      "UPDATE device SET key_thumbprint=?, bound_at=? WHERE serial=? AND key_thumbprint=''", thumbprint, now, serial);
  transaction.commit();
  return changed > 0;
}

void SqliteStore::note_agent(const std::string& serial, const std::string& agent, const std::string& model) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  database_.run("UPDATE device SET agent=?, model=CASE WHEN model='' THEN ? ELSE model END WHERE serial=?", agent,
                model, serial);
  transaction.commit();
}

void SqliteStore::note_registration(const DeviceRecord& device) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  database_.run(
      "UPDATE device SET hostname=?, site=?, boot_id=?, connect_path=?, keepalive_s=?, keepalive_count=?, ping_s=?,"
      " registered_at=? WHERE serial=?",
      device.hostname, device.site, device.boot_id, device.connect_path, device.keepalive_s, device.keepalive_count,
      device.ping_s, device.registered_at, device.serial);
  transaction.commit();
}

void SqliteStore::add_tokens(std::span<const TokenRecord> tokens) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  for (const TokenRecord& token : tokens) {
    const int kind = static_cast<int>(token.kind);
    database_.run("INSERT INTO token VALUES(?,?,?,?,?,?,?,?,?)", token.hash, kind, token.serial, token.generation,
                  token.service, token.plugin, token.digest, token.protocol, token.expires_at);
    database_.run(
        "DELETE FROM token WHERE hash IN (SELECT hash FROM token WHERE serial=? AND kind=? AND service=?"
        " ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
        token.serial, kind, token.service, kTokensPerOwner);
  }
  transaction.commit();
}

std::optional<TokenRecord> SqliteStore::token(const std::string& hash) {
  std::optional<TokenRecord> found;
  database_.query(
      "SELECT hash, kind, serial, generation, service, plugin, digest, protocol, expires_at FROM token WHERE hash=?",
      [&](const Row& row) {
        found = TokenRecord{row.text(0),   static_cast<TokenKind>(row.integer(1)),
                            row.text(2),   row.text(3),
                            row.text(4),   row.text(5),
                            row.text(6),   row.text(7),
                            row.integer(8)};
      },
      hash);
  return found;
}

void SqliteStore::set_services(const std::string& serial, std::span<const ServiceRecord> services) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  for (const ServiceRecord& old : this->services(serial)) {
    bool stays = false;
    for (const ServiceRecord& service : services)
      stays = stays || (service.service == old.service && service.digest == old.digest && service.plugin == old.plugin);
    if (stays) continue;
    database_.run("DELETE FROM service WHERE serial=? AND service=?", serial, old.service);
    database_.run("DELETE FROM token WHERE serial=? AND kind=? AND service=?", serial,
                  static_cast<int>(TokenKind::Grant), old.service);
  }
  for (const ServiceRecord& service : services)
    database_.run(
        "INSERT INTO service VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET version=excluded.version,"
        " protocols=excluded.protocols",
        serial, service.service, service.plugin, service.version, service.digest, joined(service.protocols),
        service.state, service.since, service.reason);
  transaction.commit();
}

std::vector<ServiceRecord> SqliteStore::services(const std::string& serial) {
  std::vector<ServiceRecord> found;
  database_.query(
      "SELECT service, plugin, version, digest, protocols, state, since, reason FROM service WHERE serial=?",
      [&](const Row& row) {
        found.push_back({row.text(0), row.text(1), row.text(2), row.text(3), split(row.text(4)), row.text(5),
                         row.integer(6), row.text(7)});
      },
      serial);
  return found;
}

}  // namespace hawser::cloud
