#include "core/base/file_writer.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <utility>

#include "core/base/files.hpp"
#include "core/base/quiet_thread.hpp"

namespace hawser {

void write_at_once(const std::filesystem::path& file, const std::string& content, const std::string& else_say) {
  if (const auto written = write_file_atomically(file, content); !written)
    spdlog::warn("{}: {}", else_say, written.error().message);
}

FileWriter::FileWriter(std::chrono::milliseconds pause) : pause_(pause) {}

FileWriter::~FileWriter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FileWriter::write(const std::filesystem::path& file, std::string content, std::string else_say) {
  const std::lock_guard lock(mutex_);
  waiting_[file] = {std::move(content), std::move(else_say)};
  if (!thread_.joinable()) thread_ = start_quietly([this] { run(); });
  changed_.notify_all();
}

WriteFile FileWriter::hand_over() {
  return [this](const std::filesystem::path& file, std::string content, std::string else_say) {
    write(file, std::move(content), std::move(else_say));
  };
}

void FileWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const auto now = std::exchange(waiting_, {});
    lock.unlock();
    try {  // the thread's door
      for (const auto& [file, what] : now) write_at_once(file, what.content, what.else_say);
    } catch (const std::exception& problem) {
      spdlog::error("files are not kept: {}", problem.what());
    }
    lock.lock();
    changed_.wait_for(lock, pause_, [this] { return ending_; });
  }
}

}  // namespace hawser
