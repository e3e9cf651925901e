#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hawser::transport {

// Mask keys from a pool of getrandom(2) bytes: unpredictable, as RFC 6455 §10.3 demands, without a system call for each
// frame. One thread.
class MaskKeys {
 public:
  std::uint32_t next();

 private:
  static constexpr std::size_t kPool = 512;
  std::array<std::uint32_t, kPool> pool_;  // filled when used up
  std::size_t used_ = kPool;
};

}  // namespace hawser::transport
