#include "cloud/store/sqlite_store.hpp"
#include "core/base/encoding.hpp"

// The numbered streams of both directions.
namespace hawser::cloud {

InboundStream SqliteStore::inbound(const StreamKey& key) {
  InboundStream found;
  database_.query(
      "SELECT stored, received, skipped FROM inbound WHERE serial=? AND service=? AND stream=?",
      [&](const Row& row) {
        found.stored = row.integer(0);
        found.received = row.integer(1);
        found.skipped = row.integer(2);
      },
      key.serial, key.service, key.stream);
  database_.query(
      "SELECT seq FROM inbound_nacked WHERE serial=? AND service=? AND stream=? ORDER BY seq",
      [&](const Row& row) { found.nacked.push_back(row.integer(0)); }, key.serial, key.service, key.stream);
  return found;
}

void SqliteStore::commit_received(std::span<const ReceivedMessage> group, Millis now) {
  Transaction transaction(database_);
  for (const ReceivedMessage& message : group) {
    advance(message, now);
    apply(message, now);
  }
  transaction.commit();
}

void SqliteStore::advance(const ReceivedMessage& message, Millis now) {
  const StreamKey& key = message.key;
  const bool data = message.kind == ReceivedMessage::Kind::Data;
  const bool nacked = message.kind == ReceivedMessage::Kind::Nacked;
  const std::int64_t skipped = data || nacked ? 0 : message.last - message.first + 1;
  const int inserted = database_.run("INSERT OR IGNORE INTO inbound(serial, service, stream) VALUES(?,?,?)", key.serial,
                                     key.service, key.stream);
  if (inserted > 0) {
    database_.run(
        "DELETE FROM inbound WHERE serial=? AND service=? AND stream IN (SELECT stream FROM inbound WHERE serial=? AND"
        " service=? AND stream<>? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
        key.serial, key.service, key.serial, key.service, key.stream, kStreamsPerServiceMax - 1);
    database_.run(
        "DELETE FROM inbound_nacked WHERE serial=? AND service=? AND stream NOT IN (SELECT stream FROM inbound WHERE"
        " serial=? AND service=?)",
        key.serial, key.service, key.serial, key.service);
  }
  // The condition holds the promise "once in effect" even if a caller's memory was wrong.
  const int moved = database_.run(
      "UPDATE inbound SET stored=?, received=received+?, nacked=nacked+?, skipped=skipped+?, used_at=?"
      " WHERE serial=? AND service=? AND stream=? AND stored=?",
      message.last, data ? 1 : 0, nacked ? 1 : 0, skipped, now, key.serial, key.service, key.stream, message.first - 1);
  if (moved != 1)
    throw StoreError("stream " + key.stream + ": number " + std::to_string(message.first) +
                     " does not follow what is stored");
  if (!nacked) return;
  database_.run("INSERT INTO inbound_nacked VALUES(?,?,?,?,?)", key.serial, key.service, key.stream, message.first,
                message.reason);
  database_.run(
      "DELETE FROM inbound_nacked WHERE serial=? AND service=? AND stream=? AND seq IN (SELECT seq FROM inbound_nacked"
      " WHERE serial=? AND service=? AND stream=? ORDER BY seq DESC LIMIT -1 OFFSET ?)",
      key.serial, key.service, key.stream, key.serial, key.service, key.stream, kNackedKept);
}

OutboundStream SqliteStore::ensure_outbound(const std::string& serial, const std::string& service) {
  database_.run("INSERT OR IGNORE INTO outbound(serial, service, stream) VALUES(?,?,?)", serial, service,
                random_uuid());
  OutboundStream found;
  database_.query(
      "SELECT stream, next_seq, acked FROM outbound WHERE serial=? AND service=?",
      [&](const Row& row) {
        found = {row.text(0), row.integer(1), row.integer(2)};
      },
      serial, service);
  return found;
}

Status SqliteStore::queue_outbound(const std::string& serial, const std::string& service,
                                   std::span<const std::string> payloads) {
  Transaction transaction(database_);
  if (auto queued = queue_in_transaction(serial, service, payloads); !queued) return queued;
  transaction.commit();
  return ok();
}

Status SqliteStore::queue_in_transaction(const std::string& serial, const std::string& service,
                                         std::span<const std::string> payloads) {
  if (!database_.one_integer("SELECT 1 FROM device WHERE serial=?", serial))
    return Error{"unknown_serial", "device " + serial + " is not added"};
  std::int64_t waiting = 0, bytes = 0;
  database_.query(
      "SELECT count(*), coalesce(sum(length(payload)), 0) FROM outbound_message WHERE serial=? AND service=?",
      [&](const Row& row) {
        waiting = row.integer(0);
        bytes = row.integer(1);
      },
      serial, service);
  for (const std::string& payload : payloads) bytes += static_cast<std::int64_t>(payload.size());
  if (waiting + static_cast<std::int64_t>(payloads.size()) > kOutboundMessagesMax || bytes > kOutboundBytesMax)
    return Error{"queue_full", std::to_string(waiting) + " messages wait for " + serial + "/" + service +
                                   " already; let the device fetch them first"};
  Seq next = ensure_outbound(serial, service).next_seq;
  for (const std::string& payload : payloads)
    database_.run("INSERT INTO outbound_message VALUES(?,?,?,?)", serial, service, next++, Blob{payload});
  database_.run("UPDATE outbound SET next_seq=? WHERE serial=? AND service=?", next, serial, service);
  note_change(serial);
  return ok();
}

OutboundStream SqliteStore::outbound(const std::string& serial, const std::string& service) {
  Transaction transaction(database_);
  OutboundStream found = ensure_outbound(serial, service);
  transaction.commit();
  return found;
}

std::vector<OutboundMessage> SqliteStore::outbound_after(const std::string& serial, const std::string& service,
                                                         Seq after, int most) {
  std::vector<OutboundMessage> found;
  database_.query(
      "SELECT seq, payload FROM outbound_message WHERE serial=? AND service=? AND seq>? ORDER BY seq LIMIT ?",
      [&](const Row& row) {
        found.push_back({row.integer(0), row.text(1)});
      },
      serial, service, after, most);
  return found;
}

void SqliteStore::outbound_acked(const std::string& serial, const std::string& service, Seq acked) {
  Transaction transaction(database_);
  database_.run("UPDATE outbound SET acked=max(acked, ?) WHERE serial=? AND service=?", acked, serial, service);
  database_.run("DELETE FROM outbound_message WHERE serial=? AND service=? AND seq<=?", serial, service, acked);
  transaction.commit();
}

void SqliteStore::outbound_nacked(const std::string& serial, const std::string& service, Seq seq,
                                  const std::string& code, const std::string& message) {
  Transaction transaction(database_);
  database_.run(
      "INSERT OR IGNORE INTO outbound_nacked SELECT serial, service, stream, ?, ?, ? FROM outbound"
      " WHERE serial=? AND service=?",
      seq, code, message, serial, service);
  database_.run("DELETE FROM outbound_nacked WHERE serial=? AND service=? AND seq<?", serial, service,
                seq - kNackedKept);
  transaction.commit();
}

void SqliteStore::renew_outbound(const std::string& serial, const std::string& service) {
  Transaction transaction(database_);
  std::vector<Seq> left;
  database_.query(
      "SELECT seq FROM outbound_message WHERE serial=? AND service=? ORDER BY seq",
      [&](const Row& row) { left.push_back(row.integer(0)); }, serial, service);
  Seq next = 1;  // ascending and never above the old number, so no two meet on the way
  for (const Seq seq : left)
    database_.run("UPDATE outbound_message SET seq=? WHERE serial=? AND service=? AND seq=?", next++, serial, service,
                  seq);
  database_.run("UPDATE outbound SET stream=?, next_seq=?, acked=0 WHERE serial=? AND service=?", random_uuid(), next,
                serial, service);
  transaction.commit();
}

void SqliteStore::queue_text(const std::string& serial, const std::string& service, const std::string& text) {
  Transaction transaction(database_);
  database_.run("INSERT INTO text(serial, service, text) VALUES(?,?,?)", serial, service, text);
  note_change(serial);
  transaction.commit();
}

std::vector<std::string> SqliteStore::take_texts(const std::string& serial, const std::string& service) {
  std::vector<std::string> found;
  if (!database_.one_integer("SELECT 1 FROM text WHERE serial=? AND service=?", serial, service)) return found;
  Transaction transaction(database_, Transaction::Kind::Quick);
  database_.query(
      "SELECT text FROM text WHERE serial=? AND service=? ORDER BY number",
      [&](const Row& row) { found.push_back(row.text(0)); }, serial, service);
  database_.run("DELETE FROM text WHERE serial=? AND service=?", serial, service);
  transaction.commit();
  return found;
}

std::vector<StreamFigures> SqliteStore::figures(const std::string& serial) {
  std::vector<StreamFigures> found;
  database_.query(
      "SELECT i.service, i.stream, i.stored, i.received, i.nacked, i.skipped,"
      " (SELECT count(*) FROM outbound_message o WHERE o.serial=i.serial AND o.service=i.service),"
      " coalesce((SELECT acked FROM outbound o WHERE o.serial=i.serial AND o.service=i.service), 0)"
      " FROM inbound i WHERE i.serial=? ORDER BY i.service, i.used_at",
      [&](const Row& row) {
        found.push_back({row.text(0), row.text(1), row.integer(2), row.integer(3), row.integer(4), row.integer(5),
                         row.integer(6), row.integer(7)});
      },
      serial);
  return found;
}

}  // namespace hawser::cloud
