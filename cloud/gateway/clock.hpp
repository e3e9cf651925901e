#pragma once

#include <chrono>
#include <cstdint>

namespace hawser::cloud {

// Wall time for what is stored, monotonic time for what is waited for; both in milliseconds. Tests set their own.
struct Now {
  std::int64_t wall = 0;
  std::int64_t mono = 0;

  static Now real() {
    using namespace std::chrono;
    return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count(),
            duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count()};
  }
};

}  // namespace hawser::cloud
