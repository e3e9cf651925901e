#include "core/daemon/line_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/files.hpp"
#include "core/base/quiet_thread.hpp"

namespace hawser::daemon {
namespace {

Error failed(const std::filesystem::path& file) {
  return {"io_error", "cannot write " + file.string() + ": " + std::strerror(errno)};
}

// The file's size afterwards.
Result<std::size_t> append_to(const std::filesystem::path& file, std::string_view lines) {
  const Descriptor out(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out) return failed(file);
  struct stat about {};
  if (::fstat(out.get(), &about) != 0) return failed(file);
  const off_t before = about.st_size;
  while (!lines.empty()) {
    const ssize_t done = ::write(out.get(), lines.data(), lines.size());
    if (done < 0 && errno != EINTR) {
      const auto problem = failed(file);
      [[maybe_unused]] const int cut = ::ftruncate(out.get(), before);  // half a line would spoil the next one
      return problem;
    }
    if (done > 0) lines.remove_prefix(static_cast<std::size_t>(done));
  }
  if (::fdatasync(out.get()) != 0 || ::fstat(out.get(), &about) != 0) return failed(file);
  return static_cast<std::size_t>(about.st_size);
}

Status drop_older_half(const std::filesystem::path& file, std::size_t size, std::size_t bytes_max) {
  const auto text = read_file(file, size);
  if (!text) return text.error();
  const auto line = text->find('\n', size - std::min(size, bytes_max / 2));
  return write_file_atomically(file, line == std::string::npos ? "" : text->substr(line + 1));
}

}  // namespace

LineFile::LineFile(std::filesystem::path file, std::size_t bytes_max, std::chrono::milliseconds pause)
    : file_(std::move(file)), bytes_max_(bytes_max), pause_(pause) {}

LineFile::~LineFile() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LineFile::append(const std::string& line) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() + line.size() >= kWaitingMax) return;  // the disk hangs; memory still has the line
  waiting_ += line + "\n";
  if (!thread_.joinable()) thread_ = start_quietly([this] { run(); });
  changed_.notify_all();
}

void LineFile::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const std::string now = std::exchange(waiting_, {});
    lock.unlock();
    try {  // the thread's door
      write(now);
    } catch (const std::exception& problem) {
      spdlog::error("{} is not kept: {}", file_.string(), problem.what());
    }
    lock.lock();
    changed_.wait_for(lock, pause_, [this] { return ending_; });
  }
}

void LineFile::write(const std::string& lines) {
  const auto size = append_to(file_, lines);
  Status written = size ? ok() : Status(size.error());
  if (size && *size > bytes_max_) written = drop_older_half(file_, *size, bytes_max_);
  if (!written && !failing_) spdlog::warn("what happens now is forgotten at a restart: {}", written.error().message);
  failing_ = !written;
}

}  // namespace hawser::daemon
