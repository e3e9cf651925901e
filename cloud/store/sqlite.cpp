#include "cloud/store/sqlite.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hawser::cloud {
namespace {

constexpr int kBusyMs = 10'000;  // how long a writer waits for another process's transaction

// SQLite would create the file with the umask's mode; it holds secrets, so it is made 0600 first.
void make_private_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) throw StoreError(path + ": cannot be opened or made: " + std::strerror(errno));
  // One that came from elsewhere is closed to others too: passwords stand in it.
  struct stat facts {};
  const bool open_to_others = ::fstat(fd, &facts) == 0 && (facts.st_mode & 077) != 0;
  if (open_to_others) ::fchmod(fd, facts.st_mode & 0700);
  ::close(fd);
}

}  // namespace

std::string Row::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes ? std::string(bytes, size) : std::string();
}

Database::Database(const std::string& path) {
  make_private_file(path);
  const int code = sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const std::string reason = sqlite3_errstr(code);
    sqlite3_close(handle_);
    throw StoreError(path + ": " + reason);
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, kBusyMs);
  // FULL: a commit is synced before it returns, so what was acknowledged outlives a power cut. With a log (WAL) NORMAL
  // would sync at checkpoints alone; the transactions that may be lost say so (Transaction::Kind::Quick).
  script(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-4096;"
      "PRAGMA journal_size_limit=16777216; PRAGMA secure_delete=ON;");
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

void Database::check(int code) {
  if (code != SQLITE_OK) throw StoreError(std::string("database: ") + sqlite3_errmsg(handle_));
}

void Database::script(const char* sql) { check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }

sqlite3_stmt* Database::prepared(std::string_view sql) {
  if (const auto known = statements_.find(sql); known != statements_.end()) return known->second;
  sqlite3_stmt* statement = nullptr;
  check(sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                           nullptr));
  statements_.emplace(sql, statement);
  return statement;
}

bool Database::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw StoreError(std::string("database: ") + sqlite3_errmsg(handle_));
}

std::int64_t Database::data_version() { return one_integer("PRAGMA data_version").value_or(0); }

void Database::set_durable(bool durable) {
  if (durable == durable_) return;
  script(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
  durable_ = durable;
}

void Database::begin() { run("BEGIN IMMEDIATE"); }
void Database::commit() { run("COMMIT"); }

void Database::roll_back() noexcept {
  if (!sqlite3_get_autocommit(handle_)) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace hawser::cloud
