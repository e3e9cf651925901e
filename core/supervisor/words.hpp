#pragma once

#include <string>

#include "core/base/waker.hpp"

namespace hawser::supervisor {

// A time for people: "10 s", "2500 ms".
inline std::string in_words(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s" : std::to_string(time.count()) + " ms";
}

}  // namespace hawser::supervisor
