#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::trust {

// A version as semver.org 2.0.0 orders it. Build metadata ("+...") is kept in the text and does not count.
class Version {
 public:
  static Result<Version> parse(std::string_view text);

  const std::string& text() const { return text_; }
  // Below 0, 0, above 0, as precedence has it: 1.0.0-rc.2 < 1.0.0-rc.10 < 1.0.0 < 1.10.0.
  int compare(const Version& other) const;
  bool operator<(const Version& other) const { return compare(other) < 0; }

 private:
  std::string text_;
  std::array<std::uint32_t, 3> numbers_{};
  std::vector<std::string> prerelease_;  // the parts between the dots; empty for a release
};

}  // namespace hawser::trust
