#include "core/transport/mask_keys.hpp"

#include <span>

#include "core/base/encoding.hpp"

namespace hawser::transport {

std::uint32_t MaskKeys::next() {
  if (used_ == kPool) {
    random_bytes(std::as_writable_bytes(std::span(pool_)));
    used_ = 0;
  }
  return pool_[used_++];
}

}  // namespace hawser::transport
