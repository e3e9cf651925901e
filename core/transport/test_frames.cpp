#include "core/transport/test_frames.hpp"

#include <stdexcept>

namespace hawser::transport::test {

std::vector<Frame> frames_of(const std::string& bytes, std::string* left) {
  std::vector<Frame> frames;
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  while (at + 6 <= bytes.size()) {
    if ((byte(at + 1) & 0x80) == 0) throw std::runtime_error("a client's frame that is not masked");
    std::size_t length = byte(at + 1) & 0x7F, header = 2;
    const std::size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (at + header + wide + 4 > bytes.size()) break;
    if (wide > 0) length = 0;
    for (std::size_t i = 0; i < wide; ++i) length = length * 256 + byte(at + header++);
    if (at + header + 4 + length > bytes.size()) break;
    Frame frame{byte(at), ""};
    for (std::size_t i = 0; i < length; ++i)
      frame.payload += static_cast<char>(bytes[at + header + 4 + i] ^ bytes[at + header + i % 4]);
    frames.push_back(std::move(frame));
    at += header + 4 + length;
  }
  if (left) *left = bytes.substr(at);
  return frames;
}

}  // namespace hawser::transport::test
