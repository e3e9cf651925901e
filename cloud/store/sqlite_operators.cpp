#include "cloud/store/sqlite_store.hpp"

// What operators ask for: passwords, services taken from a device, uploads; what they are told of connections; and how
// `serve` hears of their commands.
namespace hawser::cloud {

// Rows of an earlier version hold them in the clear.
void SqliteStore::seal_passwords() {
  std::vector<std::pair<std::string, std::string>> plain;
  database_.query("SELECT serial, password FROM device WHERE password IS NOT NULL",
                  [&](const Row& row) { plain.emplace_back(row.text(0), row.text(1)); });
  for (const auto& [serial, password] : plain)
    database_.run("UPDATE device SET password=? WHERE serial=?", vault_.seal(password, serial), serial);
}

bool SqliteStore::set_password(const std::string& serial, const std::optional<std::string>& password) {
  Transaction transaction(database_);
  const int changed =
      password ? database_.run("UPDATE device SET password=? WHERE serial=?", vault_.seal(*password, serial), serial)
               : database_.run("UPDATE device SET password=NULL WHERE serial=?", serial);
  transaction.commit();
  return changed > 0;
}

std::optional<std::string> SqliteStore::password(const std::string& serial) {
  std::optional<std::string> sealed;
  database_.query(
      "SELECT password FROM device WHERE serial=? AND password IS NOT NULL",
      [&](const Row& row) { sealed = row.text(0); }, serial);
  if (!sealed) return sealed;
  return vault_.open(*sealed, serial);
}

void SqliteStore::note_link(const std::string& serial, const std::string& generation, const LinkEvent& event,
                            bool newest) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  if (!database_.one_integer("SELECT 1 FROM device WHERE serial=? AND generation=?", serial, generation)) return;
  if (newest && event.service.empty())
    database_.run("UPDATE device SET state=?, peer=?, last_reason=?, state_since=? WHERE serial=?",
                  event.up ? "connected" : "disconnected", event.peer, event.reason, event.at, serial);
  if (newest && !event.service.empty())
    database_.run("UPDATE service SET state=?, reason=?, since=? WHERE serial=? AND service=?",
                  event.up ? "ready" : "disconnected", event.reason, event.at, serial, event.service);
  database_.run("INSERT INTO link_event(serial, service, up, at, peer, code, reason, detail) VALUES(?,?,?,?,?,?,?,?)",
                serial, event.service, event.up ? 1 : 0, event.at, event.peer, event.code, event.reason, event.detail);
  database_.run(
      "DELETE FROM link_event WHERE serial=? AND number<=(SELECT number FROM link_event WHERE serial=?"
      " ORDER BY number DESC LIMIT 1 OFFSET ?)",
      serial, serial, kLinkEventsPerDeviceMax);
  transaction.commit();
}

std::vector<LinkEvent> SqliteStore::link_events(const std::string& serial, int last) {
  std::vector<LinkEvent> found;
  database_.query(
      "SELECT service, up, at, peer, code, reason, detail FROM (SELECT * FROM link_event WHERE serial=?"
      " ORDER BY number DESC LIMIT ?) ORDER BY number",
      [&](const Row& row) {
        found.push_back({row.text(0), row.integer(1) != 0, row.integer(2), row.text(3),
                         static_cast<int>(row.integer(4)), row.text(5), row.text(6)});
      },
      serial, last);
  return found;
}

void SqliteStore::forget_connections(Millis now) {
  Transaction transaction(database_);
  database_.run(
      "INSERT INTO link_event(serial, service, up, at, peer, code, reason, detail) SELECT serial, '', 0, ?, peer, 1006,"
      " 'restarting', 'the cloud ended without a word to the device' FROM device WHERE state='connected'",
      now);
  database_.run(
      "UPDATE device SET state='disconnected', last_reason='restarting', state_since=? WHERE state='connected'", now);
  database_.run("UPDATE service SET state='disconnected', reason='restarting', since=? WHERE state='ready'", now);
  transaction.commit();
}

bool SqliteStore::set_service_enabled(const std::string& serial, const std::string& service, bool enabled) {
  Transaction transaction(database_);
  if (!database_.one_integer("SELECT 1 FROM device WHERE serial=?", serial)) return false;
  if (enabled) {
    database_.run("DELETE FROM service_off WHERE serial=? AND service=?", serial, service);
  } else {
    database_.run("INSERT OR IGNORE INTO service_off VALUES(?,?)", serial, service);
    database_.run("DELETE FROM token WHERE serial=? AND kind=? AND service=?", serial,
                  static_cast<int>(TokenKind::Grant), service);
  }
  note_change(serial);
  transaction.commit();
  return true;
}

std::set<std::string> SqliteStore::disabled_services(const std::string& serial) {
  std::set<std::string> found;
  database_.query(
      "SELECT service FROM service_off WHERE serial=?", [&](const Row& row) { found.insert(row.text(0)); }, serial);
  return found;
}

void SqliteStore::add_upload(const std::string& hash, const std::string& serial, Millis expires_at) {
  Transaction transaction(database_);
  database_.run("INSERT INTO upload(hash, serial, state, expires_at) VALUES(?,?,'open',?)", hash, serial, expires_at);
  transaction.commit();
}

std::optional<std::string> SqliteStore::take_upload(const std::string& hash, Millis now) {
  // A guess must not cost the others a turn of the database.
  if (!database_.one_integer("SELECT 1 FROM upload WHERE hash=? AND state='open'", hash)) return {};
  Transaction transaction(database_, Transaction::Kind::Quick);
  std::optional<std::string> serial;
  if (database_.run("UPDATE upload SET state='receiving' WHERE hash=? AND state='open' AND expires_at>?", hash, now) >
      0)
    database_.query(
        "SELECT serial FROM upload WHERE hash=?", [&](const Row& row) { serial = row.text(0); }, hash);
  transaction.commit();
  return serial;
}

bool SqliteStore::finish_upload(const std::string& hash, const UploadRecord& outcome) {
  Transaction transaction(database_);
  const int changed = database_.run("UPDATE upload SET state=?, path=?, reason=?, bytes=? WHERE hash=?", outcome.state,
                                    outcome.path, outcome.reason, outcome.bytes, hash);
  transaction.commit();
  return changed > 0;
}

std::optional<UploadRecord> SqliteStore::upload(const std::string& hash) {
  std::optional<UploadRecord> found;
  database_.query(
      "SELECT serial, state, path, reason, bytes FROM upload WHERE hash=?",
      [&](const Row& row) {
        found = {row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4)};
      },
      hash);
  return found;
}

void SqliteStore::note_change(const std::string& serial) {
  database_.run("INSERT INTO change(serial) VALUES(?)", serial);
}

std::int64_t SqliteStore::last_change() { return database_.one_integer("SELECT max(number) FROM change").value_or(0); }

std::optional<std::set<std::string>> SqliteStore::changed_since(std::int64_t& seen) {
  const std::int64_t oldest = database_.one_integer("SELECT min(number) FROM change").value_or(seen + 1);
  std::set<std::string> serials;
  const bool whole = oldest <= seen + 1;
  database_.query(
      "SELECT number, serial FROM change WHERE number>? ORDER BY number",
      [&](const Row& row) {
        seen = row.integer(0);
        serials.insert(row.text(1));
      },
      seen);
  if (!whole) return std::nullopt;
  return serials;
}

}  // namespace hawser::cloud
