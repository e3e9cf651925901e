#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/waker.hpp"

namespace hawser::control {

inline constexpr std::chrono::seconds kControlCallLimit{30};  // for the whole answer

// The other end of the control socket: one connection, one question at a time. One thread; every call blocks, at most
// kControlCallLimit.
class ControlClient {
 public:
  // Errors: not_running (no socket, or no one listens at it), not_permitted, io_error.
  static Result<ControlClient> connect(const std::filesystem::path& path);

  // A descriptor that ends every wait when it becomes readable: error cancelled.
  void end_at(int descriptor) { end_at_ = descriptor; }

  // The result object, or the agent's own Error; bad_response, closed or timeout when it answers no such thing.
  Result<json::Object> call(const std::string& command, const json::Object& args,
                            std::chrono::milliseconds limit = kControlCallLimit);

 private:
  explicit ControlClient(Descriptor socket) : socket_(std::move(socket)) {}
  Status wait(short events, TimePoint deadline);
  Status send_all(std::string_view bytes, TimePoint deadline);
  Result<std::string> receive_line(TimePoint deadline);

  Descriptor socket_;
  int end_at_ = -1;
  std::string received_;
};

}  // namespace hawser::control
