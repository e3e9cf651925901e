#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

namespace hawser::daemon {

// A file of lines that grows at its end, on a thread of its own: its owner never waits for the disk. Lines of one pause
// are written and synced together, so that the flash is spared; when the file is over its limit its older half is
// dropped. A line that the disk refuses is lost, with one warning in the log.
// Owned by one thread; append() is for any.
class LineFile {
 public:
  static constexpr std::size_t kWaitingMax = 256 * 1024;  // bytes; a disk that hangs must not fill the memory

  LineFile(std::filesystem::path file, std::size_t bytes_max,
           std::chrono::milliseconds pause = std::chrono::seconds(1));
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();  // writes what waits first

  void append(const std::string& line);  // without its newline

 private:
  void run();
  void write(const std::string& lines);

  const std::filesystem::path file_;
  const std::size_t bytes_max_;
  const std::chrono::milliseconds pause_;
  bool failing_ = false;  // the writer's: said once

  std::mutex mutex_;  // guards the two below
  std::string waiting_;
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;  // begun by the first append()
};

}  // namespace hawser::daemon
