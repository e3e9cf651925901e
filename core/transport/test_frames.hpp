#pragma once

#include <string>
#include <vector>

namespace hawser::transport::test {

// A client's frame as a server sees it, taken apart by other means than the codec's.
struct Frame {
  int first = 0;  // the first byte: 0x81 is a whole text
  std::string payload;
  bool operator==(const Frame&) const = default;
};

// The whole frames at the start of `bytes`; `left` gets the rest. Throws when a frame is not masked.
std::vector<Frame> frames_of(const std::string& bytes, std::string* left = nullptr);

}  // namespace hawser::transport::test
