#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "core/base/result.hpp"

namespace hawser::control {

// A Unix socket's address; an Error when the path is longer than the kernel takes.
inline Result<sockaddr_un> socket_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.empty() || text.size() >= sizeof address.sun_path)
    return Error{"bad_request", "the socket's path " + text + " must be 1 to " +
                                    std::to_string(sizeof address.sun_path - 1) + " bytes long"};
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

}  // namespace hawser::control
