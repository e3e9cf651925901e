#include <algorithm>

#include "cloud/store/sqlite_store.hpp"

// What monitoring, log_upload and config_push keep.
namespace hawser::cloud {

void SqliteStore::apply(const ReceivedMessage& message, Millis now) {
  const std::string& serial = message.key.serial;
  if (const auto* points = std::get_if<std::vector<MetricPoint>>(&message.effect)) store_points(serial, *points, now);
  if (const auto* chunk = std::get_if<LogChunk>(&message.effect)) store_chunk(serial, *chunk, now);
  if (const auto* status = std::get_if<ConfigStatus>(&message.effect)) store_status(serial, *status, now);
}

void SqliteStore::store_points(const std::string& serial, const std::vector<MetricPoint>& points, Millis now) {
  std::optional<std::int64_t> have;  // series; counted once, since counting for each new one would take minutes
  for (const MetricPoint& point : points) {
    std::optional<std::pair<std::int64_t, std::int64_t>> series;
    database_.query(
        "SELECT number, points FROM metric WHERE serial=? AND name=? AND attributes=?",
        [&](const Row& row) {
          series = {row.integer(0), row.integer(1)};
        },
        serial, point.name, point.attributes);
    if (!series) {
      if (!have) have = database_.one_integer("SELECT count(*) FROM metric WHERE serial=?", serial).value_or(0);
      if (*have >= kSeriesPerDeviceMax) continue;
      ++*have;
      database_.run("INSERT INTO metric(serial, name, attributes, unit, value, at) VALUES(?,?,?,?,?,?)", serial,
                    point.name, point.attributes, point.unit, point.value, point.at);
      series = {database_.last_id(), 0};
    }
    const auto [number, count] = *series;
    // A late sample goes to the history, but is not the last value; one from a clock that ran ahead does not stay it.
    database_.run("UPDATE metric SET unit=?, value=?, at=? WHERE number=? AND (at<=? OR at>?)", point.unit, point.value,
                  point.at, number, point.at, now + kClockAheadMax);
    database_.run("UPDATE metric SET points=points+1 WHERE number=?", number);
    database_.run("INSERT OR REPLACE INTO metric_point VALUES(?,?,?,?)", number, count % kHistoryPoints, point.at,
                  point.value);
  }
}

// Offsets of one file follow each other; a known gap says how many bytes are lost. A plugin that was killed sends again
// what it does not know to be acknowledged, in a new stream: what is here already is cut off, so that it has its effect
// once. Answers to a pull are filtered, so their offsets say nothing.
void SqliteStore::store_chunk(const std::string& serial, LogChunk chunk, Millis now) {
  const auto before = database_.one_integer(
      "SELECT end_offset FROM log WHERE serial=? AND source=? AND file_id=? AND pull='' ORDER BY number DESC LIMIT 1",
      serial, chunk.source, chunk.file_id);
  bool contiguous = true;
  if (before && chunk.pull.empty()) {
    if (chunk.end_offset <= *before) return;
    if (chunk.offset < *before) {
      chunk.body.erase(0, static_cast<std::size_t>(*before - chunk.offset));
      chunk.offset = *before;
      chunk.lines = std::count(chunk.body.begin(), chunk.body.end(), '\n') + (chunk.body.back() == '\n' ? 0 : 1);
    } else {
      contiguous = *before + chunk.lost == chunk.offset;
    }
  }
  // A row costs its bytes even when its body is empty.
  const auto bytes = static_cast<std::int64_t>(chunk.body.size() + chunk.cursor.size() + chunk.error.size() +
                                               chunk.source.size() + chunk.file_id.size() + kLogRowBytes);
  database_.run(
      "INSERT INTO log(serial, source, file_id, offset, end_offset, lines, first_at, format, cursor, partial, lost,"
      " pull, end, error, contiguous, received_at, bytes, body) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
      serial, chunk.source, chunk.file_id, chunk.offset, chunk.end_offset, chunk.lines, chunk.first_at, chunk.format,
      chunk.cursor, chunk.partial ? 1 : 0, chunk.lost, chunk.pull, chunk.end ? 1 : 0, chunk.error, contiguous ? 1 : 0,
      now, bytes, Blob{chunk.body});
  database_.run("INSERT INTO log_use VALUES(?,?) ON CONFLICT DO UPDATE SET bytes=bytes+excluded.bytes", serial, bytes);
  forget_oldest_logs(serial);
}

void SqliteStore::forget_oldest_logs(const std::string& serial) {
  auto used = database_.one_integer("SELECT bytes FROM log_use WHERE serial=?", serial).value_or(0);
  while (used > kLogBytesPerDeviceMax) {
    std::int64_t oldest = 0, freed = 0;
    database_.query(
        "SELECT number, bytes FROM log INDEXED BY log_age WHERE serial=? ORDER BY number LIMIT 1",
        [&](const Row& row) {
          oldest = row.integer(0);
          freed = row.integer(1);
        },
        serial);
    if (oldest == 0) break;
    database_.run("DELETE FROM log WHERE number=?", oldest);
    database_.run("UPDATE log_use SET bytes=bytes-? WHERE serial=?", freed, serial);
    used -= freed;
  }
}

void SqliteStore::store_status(const std::string& serial, const ConfigStatus& status, Millis now) {
  const int known = database_.run(
      "UPDATE revision SET state=?, reason=?, detail=?, diff=CASE WHEN ?='' THEN diff ELSE ? END, changed_at=?"
      " WHERE serial=? AND revision=?",
      status.state, status.reason, status.detail, status.diff, status.diff, now, serial, status.revision);
  if (known == 0)  // drift of a revision that this cloud did not push, or has forgotten
    database_.run("INSERT INTO revision VALUES(?,?,'',?,?,?,'[]',?,?,?)", serial, status.revision, status.state,
                  status.reason, status.diff, now, now, status.detail);
  // A device that invents revisions pushes out none that an operator made.
  database_.run(
      "DELETE FROM revision WHERE serial=? AND revision IN (SELECT revision FROM revision WHERE serial=?"
      " ORDER BY mode<>'' DESC, created_at DESC LIMIT -1 OFFSET ?)",
      serial, serial, kRevisionsPerDeviceMax);
}

std::vector<MetricValue> SqliteStore::metrics(const std::string& serial, bool with_history) {
  std::vector<MetricValue> found;
  std::vector<std::int64_t> numbers;
  database_.query(
      "SELECT number, name, unit, attributes, value, at FROM metric WHERE serial=? ORDER BY name, attributes",
      [&](const Row& row) {
        numbers.push_back(row.integer(0));
        found.push_back({{row.text(1), row.text(2), row.text(3), row.real(4), row.integer(5)}, {}});
      },
      serial);
  for (std::size_t i = 0; with_history && i < found.size(); ++i)
    database_.query(
        "SELECT at, value FROM metric_point WHERE metric=? ORDER BY at",
        [&](const Row& row) { found[i].history.emplace_back(row.integer(0), row.real(1)); }, numbers[i]);
  return found;
}

// A read for each row, so that a reader that takes its time (a pager) holds up neither the log's checkpoint nor memory.
void SqliteStore::logs(const std::string& serial, const std::string& source,
                       const std::function<void(const StoredLog&)>& each) {
  static const std::string columns =
      "SELECT source, file_id, offset, end_offset, lines, first_at, format, cursor, partial, lost, pull, end, error,"
      " contiguous, received_at, body, number FROM log ";
  static const std::string of_all = columns + "INDEXED BY log_age WHERE serial=? AND number>? ORDER BY number LIMIT 1";
  static const std::string of_one = columns + "WHERE serial=? AND number>? AND source=? ORDER BY number LIMIT 1";
  std::int64_t last = 0;
  for (std::optional<StoredLog> log;; log.reset()) {
    const auto read = [&](const Row& row) {
      log.emplace();
      log->chunk = {row.text(0),    row.text(1),         row.text(5),          row.text(6),    row.text(7),
                    row.text(10),   row.text(12),        row.integer(2),       row.integer(3), row.integer(4),
                    row.integer(9), row.integer(8) != 0, row.integer(11) != 0, row.text(15)};
      log->contiguous = row.integer(13) != 0;
      log->received_at = row.integer(14);
      last = row.integer(16);
    };
    if (source.empty()) {
      database_.query(of_all, read, serial, last);
    } else {
      database_.query(of_one, read, serial, last, source);
    }
    if (!log) return;
    each(*log);
  }
}

Status SqliteStore::push_revision(const std::string& serial, const RevisionRecord& revision,
                                  std::span<const std::string> payloads) {
  Transaction transaction(database_);
  if (auto queued = queue_in_transaction(serial, "config_push", payloads); !queued) return queued;
  database_.run("INSERT INTO revision VALUES(?,?,?,?,?,?,?,?,?,?)", serial, revision.revision, revision.mode,
                revision.state, revision.reason, revision.diff, revision.files, revision.created_at,
                revision.changed_at, revision.detail);
  transaction.commit();
  return ok();
}

void SqliteStore::note_status(const std::string& serial, const ConfigStatus& status, Millis now) {
  Transaction transaction(database_);
  store_status(serial, status, now);
  transaction.commit();
}

namespace {
RevisionRecord revision_of(const Row& row) {
  return {row.text(0), row.text(1), row.text(2),    row.text(3),   row.text(4),
          row.text(5), row.text(8), row.integer(6), row.integer(7)};
}
}  // namespace

std::vector<RevisionRecord> SqliteStore::revisions(const std::string& serial) {
  std::vector<RevisionRecord> found;
  database_.query(
      "SELECT revision, mode, state, reason, diff, files, created_at, changed_at, detail FROM revision WHERE serial=?"
      " ORDER BY created_at",
      [&](const Row& row) { found.push_back(revision_of(row)); }, serial);
  return found;
}

std::optional<RevisionRecord> SqliteStore::revision(const std::string& serial, const std::string& revision) {
  std::optional<RevisionRecord> found;
  database_.query(
      "SELECT revision, mode, state, reason, diff, files, created_at, changed_at, detail FROM revision WHERE serial=?"
      " AND revision=?",
      [&](const Row& row) { found = revision_of(row); }, serial, revision);
  return found;
}

}  // namespace hawser::cloud
