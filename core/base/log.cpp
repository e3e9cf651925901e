#include "core/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <string_view>

#include "core/base/encoding.hpp"

namespace hawser {
namespace {

constexpr std::size_t kLineBytesMax = 4096;

// Writes each message with one write(2), so that lines of several processes on one file never mix.
class EscapingSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit EscapingSink(std::size_t tail_bytes) : tail_bytes_(tail_bytes) {}

  std::string tail() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_lines();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string safe = printable({message.payload.data(), message.payload.size()}, kLineBytesMax);
    spdlog::details::log_msg copy = message;
    copy.payload = safe;
    spdlog::memory_buf_t line;
    formatter_->format(copy, line);
    // A log that cannot be written must not stop the program.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    if (tail_bytes_ > 0) keep({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  // Moves the text once in a while, not with each line.
  void keep(std::string_view line) {
    kept_ += line;
    if (kept_.size() > 2 * tail_bytes_) kept_ = last_lines();
  }

  std::string last_lines() const {
    if (kept_.size() <= tail_bytes_) return kept_;
    const std::size_t end_of_cut_line = kept_.find('\n', kept_.size() - tail_bytes_ - 1);
    return end_of_cut_line == std::string::npos ? "" : kept_.substr(end_of_cut_line + 1);
  }

  const std::size_t tail_bytes_;
  std::string kept_;  // guarded by the sink's mutex, as all calls of sink_it_ are
};

std::optional<spdlog::level::level_enum> level_of(const std::string& name) {
  if (name == "trace") return spdlog::level::trace;
  if (name == "debug") return spdlog::level::debug;
  if (name == "info") return spdlog::level::info;
  if (name == "warn") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return std::nullopt;
}

}  // namespace

Status set_log_level(const std::string& level) {
  const auto known = level_of(level);
  if (!known)
    return Error{"bad_request",
                 "log level \"" + printable(level, 32) + "\" is unknown: trace, debug, info, warn or error"};
  spdlog::set_level(*known);
  return ok();
}

Status start_log(const std::string& name, const std::string& level, std::size_t tail_bytes) {
  auto logger = std::make_shared<spdlog::logger>(name, std::make_shared<EscapingSink>(tail_bytes));
  logger->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %-5l %n: %v", spdlog::pattern_time_type::utc));
  spdlog::set_default_logger(std::move(logger));
  return set_log_level(level);
}

std::string log_tail() {
  for (const auto& sink : spdlog::default_logger()->sinks())
    if (auto* ours = dynamic_cast<EscapingSink*>(sink.get())) return ours->tail();
  return "";
}

}  // namespace hawser
