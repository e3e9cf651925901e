#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace hawser {

// Replaces a file; `else_say` begins the warning in the log when that fails.
using WriteFile = std::function<void(const std::filesystem::path& file, std::string content, std::string else_say)>;

void write_at_once(const std::filesystem::path& file, const std::string& content, const std::string& else_say);

// Replaces small files on a thread of its own, for a thread that must not wait for the disk. Of each file only the
// newest content waits, and the writings are at least `pause` apart: neither a slow disk nor a cloud that asks for much
// fills the memory or wears the flash out. Owned by one thread; write() is for any.
class FileWriter {
 public:
  explicit FileWriter(std::chrono::milliseconds pause = std::chrono::seconds(1));
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;
  ~FileWriter();  // writes what waits first

  void write(const std::filesystem::path& file, std::string content, std::string else_say);
  // write() as a function, valid as long as this object.
  WriteFile hand_over();

 private:
  struct Waiting {
    std::string content, else_say;
  };

  void run();

  const std::chrono::milliseconds pause_;
  std::mutex mutex_;  // guards the two below
  std::map<std::filesystem::path, Waiting> waiting_;
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;  // begun by the first write()
};

}  // namespace hawser
