#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace hawser::config {

// Where something stands. line 0: the file as a whole.
struct Place {
  std::shared_ptr<const std::string> file;
  unsigned line = 0;
  unsigned column = 0;
};

// Everything that is wrong, gathered so that an operator mends it in one go. One thread; nothing here blocks.
// Texts are made printable and are clauses that follow the key: "is 0, must be a whole number from 1 to 65535".
class Faults {
 public:
  // A second one of the same place, key and text is left out: values are looked at once per file and once merged.
  void add(const Place& place, const std::string& key, const std::string& text) {
    ++count_;
    put(faults_, place, key, text);
  }
  void warn(const Place& place, const std::string& key, const std::string& text) { put(warnings_, place, key, text); }

  static constexpr std::size_t kListedMax = 1000;  // of each; a file with more is not mended from a list

  // Takes a place in the order of files for one in which nothing is wrong so far.
  void name_file(const std::string& file) { number_of(file); }

  std::size_t count() const { return count_; }  // of calls of add(): tells whether a check has found anything
  // "file:line:column: key: text", files in the order in which they were first named, then by line and column.
  std::vector<std::string> faults() const { return lines(faults_); }
  std::vector<std::string> warnings() const { return lines(warnings_); }

 private:
  struct Entry {
    std::size_t file;
    unsigned line, column;
    std::string key, text;
    auto operator<=>(const Entry&) const = default;
  };

  std::size_t number_of(const std::string& file);
  void put(std::vector<Entry>& list, const Place& place, const std::string& key, const std::string& text);
  std::vector<std::string> lines(std::vector<Entry> list) const;

  std::vector<std::string> files_;
  std::vector<Entry> faults_, warnings_;
  std::size_t count_ = 0;
};

}  // namespace hawser::config
