#pragma once

#include <string>
#include <vector>

#include "core/transport/limits.hpp"

// What a server may send and what it may not, as RFC 6455 has it, and what the client must make of it: a table that is
// run on the codec and over sockets.
namespace hawser::transport::test {

struct ConformanceCase {
  std::string section;  // of RFC 6455
  std::string name;
  std::vector<std::string> pieces;  // the server's bytes
  std::vector<std::string> events;  // what must be told, as event_text() writes it
  int fault = 0;                    // the close code to fail with; 0: none
  std::size_t fault_by = 0;         // by which byte it must be known; 0: not asked
};

inline constexpr std::size_t kLimit = 1024 * 1024;  // of a message, in every case
inline constexpr unsigned kFragments = kFragmentsMax;

const std::vector<ConformanceCase>& conformance_cases();

// One event as text: "text 5 Hello"; a long one with a checksum instead of its data.
std::string event_text(const std::string& kind, std::string_view data);

// The smallest header for an unmasked frame, and its payload.
std::string frame(int first_byte, std::string_view payload);

}  // namespace hawser::transport::test
