#pragma once
// One include for Catch2 2 (Debian 12) and Catch2 3 (Debian 13).
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace hawser {

// Whether `part` stands in `text`, which is told where the check fails.
inline bool has(const std::string& text, const std::string& part) {
  UNSCOPED_INFO(text);
  return text.find(part) != text.npos;
}

}  // namespace hawser
