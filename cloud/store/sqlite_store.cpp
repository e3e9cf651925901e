#include "cloud/store/sqlite_store.hpp"

#include "cloud/store/schema.hpp"

// Opening, events, unbinding, commands, cleaning.
namespace hawser::cloud {
namespace {

constexpr Millis kHour = 3600 * 1000;
constexpr int kWrongCodesPerHour = 5;
constexpr Millis kOldCodeKept = 24 * kHour;  // so that a late one is told apart from a wrong one

}  // namespace

SqliteStore::SqliteStore(const std::string& path) : database_(path), vault_(path + ".key") {
  const auto version = [&] { return database_.one_integer("PRAGMA user_version").value_or(0); };
  if (version() == kSchemaVersion) return;
  Transaction transaction(database_);  // asked again inside: another process may be doing the same
  const auto found = version();
  if (found > kSchemaVersion)
    throw StoreError(path + ": made by a newer hawser-cloud (version " + std::to_string(found) +
                     " of the database, this program knows " + std::to_string(kSchemaVersion) +
                     "); use that one, or another database");
  if (found < 1) database_.script(kSchema1);
  if (found < 2) database_.script(kSchema2);
  if (found < 3) {
    database_.script(kSchema3);
    seal_passwords();
  }
  if (found < 4) database_.script(kSchema4);
  database_.script(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str());
  transaction.commit();
}

int SqliteStore::add_events(const std::string& serial, std::span<const EventRecord> events) {
  Transaction transaction(database_);
  int added = 0;
  for (const EventRecord& event : events)
    added += database_.run(
        "INSERT OR IGNORE INTO event(serial, id, at, kind, service, reason, detail, uptime_ms, received_at)"
        " VALUES(?,?,?,?,?,?,?,?,?)",
        serial, event.id, event.at, event.kind, event.service, event.reason, event.detail, event.uptime_ms,
        event.received_at);
  database_.run(
      "DELETE FROM event WHERE number IN (SELECT number FROM event WHERE serial=? ORDER BY number DESC"
      " LIMIT -1 OFFSET ?)",
      serial, kEventsPerDeviceMax);
  transaction.commit();
  return added;
}

std::vector<EventRecord> SqliteStore::events(const std::string& serial, int last) {
  std::vector<EventRecord> found;
  database_.query(
      "SELECT id, at, kind, service, reason, detail, uptime_ms, received_at FROM (SELECT * FROM event WHERE serial=?"
      " ORDER BY number DESC LIMIT ?) ORDER BY number",
      [&](const Row& row) {
        found.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), row.integer(6),
                         row.integer(7)});
      },
      serial, last);
  return found;
}

void SqliteStore::add_unbinding_code(const std::string& serial, const std::string& code_hash, Millis expires_at) {
  Transaction transaction(database_);
  database_.run("INSERT OR REPLACE INTO unbinding_code(serial, hash, expires_at) VALUES(?,?,?)", serial, code_hash,
                expires_at);
  transaction.commit();
}

UnbindOutcome SqliteStore::try_unbind(const std::string& serial, const std::string& code_hash, Millis now) {
  Transaction transaction(database_);
  const auto failures =
      database_.one_integer("SELECT count(*) FROM unbinding_failure WHERE serial=? AND at>?", serial, now - kHour);
  if (failures.value_or(0) >= kWrongCodesPerHour) return UnbindOutcome::TooMany;
  auto outcome = UnbindOutcome::CodeWrong;
  database_.query(
      "SELECT expires_at, used FROM unbinding_code WHERE serial=? AND hash=?",
      [&](const Row& row) {
        outcome = row.integer(1) ? UnbindOutcome::CodeUsed
                                 : (row.integer(0) <= now ? UnbindOutcome::CodeExpired : UnbindOutcome::Done);
      },
      serial, code_hash);
  if (outcome == UnbindOutcome::Done) {
    database_.run("UPDATE unbinding_code SET used=1 WHERE serial=? AND hash=?", serial, code_hash);
    remove_rows_of(serial);
    note_change(serial);
  } else if (outcome == UnbindOutcome::CodeWrong) {
    database_.run("INSERT INTO unbinding_failure VALUES(?,?)", serial, now);
  }
  transaction.commit();
  return outcome;
}

Status SqliteStore::add_command(const std::string& serial, const CommandRecord& command, Millis now) {
  Transaction transaction(database_);
  const auto open = database_.one_integer("SELECT count(*) FROM command WHERE serial=? AND state='open'", serial);
  if (open.value_or(0) >= kOpenCommandsMax)
    return Error{"queue_full", "256 commands wait for answers of " + serial + " already; let it answer them first"};
  database_.run("INSERT INTO command(serial, id, name, args, state, created_at) VALUES(?,?,?,?,'open',?)", serial,
                command.id, command.name, command.args, now);
  note_change(serial);
  transaction.commit();
  return ok();
}

std::vector<CommandRecord> SqliteStore::open_commands(const std::string& serial) {
  std::vector<CommandRecord> found;
  database_.query(
      "SELECT id, name, args, state, result FROM command WHERE serial=? AND state='open' ORDER BY number LIMIT ?",
      [&](const Row& row) {
        found.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)});
      },
      serial, kOpenCommandsMax);
  return found;
}

bool SqliteStore::answer_command(const std::string& serial, const std::string& id, bool ok, const std::string& result) {
  Transaction transaction(database_);
  const int changed = database_.run("UPDATE command SET state=?, result=? WHERE serial=? AND id=? AND state='open'",
                                    ok ? "done" : "failed", result, serial, id);
  transaction.commit();
  return changed > 0;
}

std::optional<CommandRecord> SqliteStore::command(const std::string& serial, const std::string& id) {
  std::optional<CommandRecord> found;
  database_.query(
      "SELECT id, name, args, state, result FROM command WHERE serial=? AND id=?",
      [&](const Row& row) {
        found = {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)};
      },
      serial, id);
  return found;
}

void SqliteStore::clean(Millis now) {
  Transaction transaction(database_, Transaction::Kind::Quick);
  database_.run("DELETE FROM token WHERE expires_at<?", now);
  database_.run("DELETE FROM upload WHERE expires_at<?", now - kOldCodeKept);
  database_.run("DELETE FROM change WHERE number<=(SELECT max(number) FROM change)-?", kChangesKept);
  database_.run("DELETE FROM operator_act WHERE at<?", now - kActAgeMax);
  database_.run("DELETE FROM event WHERE received_at<?", now - kEventAgeMax);
  database_.run("DELETE FROM unbinding_code WHERE expires_at<?", now - kOldCodeKept);
  database_.run("DELETE FROM unbinding_failure WHERE at<?", now - kHour);
  database_.run("DELETE FROM command WHERE state<>'open' AND created_at<?", now - kEventAgeMax);
  transaction.commit();
}

}  // namespace hawser::cloud
