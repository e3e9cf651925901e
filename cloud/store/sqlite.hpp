#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

// A small face for sqlite3: statements are prepared once and kept, values are bound by type, failures are exceptions.
// The C API and not Poco::Data: group commit needs the transaction, `synchronous` and `data_version` in our own hands,
// and blobs of 1 MiB bound without a copy.
namespace hawser::cloud {

// The database cannot do what it must (full disk, broken file, locked for too long). Ends at one of the three doors.
struct StoreError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The present row of a query; valid until the next step.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::string text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

struct Blob {
  std::string_view bytes;
};

// One connection to one database file. Owned by a store; lives on the thread of its owner.
class Database {
 public:
  // Opens or makes the file, 0600, in WAL mode. Throws StoreError.
  explicit Database(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void script(const char* sql);

  // Runs a statement without an answer. The number of rows that changed.
  template <typename... Values>
  int run(std::string_view sql, const Values&... values) {
    Use use(*this, sql);
    bind_all(use.statement, values...);
    while (step(use.statement)) {
    }
    return sqlite3_changes(handle_);
  }

  // Calls `each(Row)` for every row.
  template <typename Each, typename... Values>
  void query(std::string_view sql, Each each, const Values&... values) {
    Use use(*this, sql);
    bind_all(use.statement, values...);
    while (step(use.statement)) each(Row(use.statement));
  }

  template <typename... Values>
  std::optional<std::int64_t> one_integer(std::string_view sql, const Values&... values) {
    std::optional<std::int64_t> found;
    query(
        sql,
        [&](const Row& row) {
          if (!found && !row.is_null(0)) found = row.integer(0);
        },
        values...);
    return found;
  }

  // Rises when another connection, also of another process, has committed.
  std::int64_t data_version();
  // Whether a commit waits until the disk has it. Outside transactions only.
  void set_durable(bool durable);
  void begin();
  void commit();
  void roll_back() noexcept;
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle_); }

 private:
  // Holds a kept statement while it is in use, and resets it afterwards.
  struct Use {
    Use(Database& database, std::string_view sql) : statement(database.prepared(sql)) {}
    ~Use() {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    sqlite3_stmt* statement;
  };

  sqlite3_stmt* prepared(std::string_view sql);
  bool step(sqlite3_stmt* statement);
  void check(int code);

  template <typename... Values>
  void bind_all([[maybe_unused]] sqlite3_stmt* statement, const Values&... values) {
    [[maybe_unused]] int place = 0;
    (bind(statement, ++place, values), ...);
  }
  template <typename Value>
  void bind(sqlite3_stmt* statement, int place, const Value& value) {
    if constexpr (std::is_same_v<Value, std::nullptr_t>) {
      check(sqlite3_bind_null(statement, place));
    } else if constexpr (std::is_same_v<Value, Blob>) {
      check(sqlite3_bind_blob64(statement, place, value.bytes.data() ? value.bytes.data() : "", value.bytes.size(),
                                SQLITE_STATIC));
    } else if constexpr (std::is_integral_v<Value>) {
      check(sqlite3_bind_int64(statement, place, static_cast<std::int64_t>(value)));
    } else if constexpr (std::is_floating_point_v<Value>) {
      check(sqlite3_bind_double(statement, place, value));
    } else {
      const std::string_view text(value);
      check(sqlite3_bind_text64(statement, place, text.data() ? text.data() : "", text.size(), SQLITE_STATIC,
                                SQLITE_UTF8));
    }
  }

  sqlite3* handle_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
  bool durable_ = true;
};

// Begins at once (so that it waits for the lock at its start only), and rolls back unless committed.
class Transaction {
 public:
  enum class Kind { Durable, Quick };  // Quick: lost by a power cut, never torn
  explicit Transaction(Database& database, Kind kind = Kind::Durable) : database_(database) {
    database_.set_durable(kind == Kind::Durable);
    database_.begin();
  }
  ~Transaction() {
    if (!done_) database_.roll_back();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    database_.commit();
    done_ = true;
  }

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace hawser::cloud
