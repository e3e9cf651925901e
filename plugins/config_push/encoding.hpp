#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hawser::config_push {

// Base64 of RFC 4648 §4 with padding; nothing when it is something else.
std::optional<std::string> from_base64(std::string_view text);

// SHA-256, piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  void add(std::string_view data);
  std::string hex();  // 64 of 0-9a-f; the last call

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hawser::config_push
