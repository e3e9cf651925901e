#include "core/transport/conformance_cases.hpp"

#include "core/base/encoding.hpp"

namespace hawser::transport::test {
namespace {

// First bytes of frames: final, and "part" for those that are not.
constexpr int kText = 0x81, kBinary = 0x82, kClose = 0x88, kPing = 0x89, kPong = 0x8A;
constexpr int kTextPart = 0x01, kBinaryPart = 0x02, kPart = 0x00, kEnd = 0x80;

std::string hex(std::string_view digits) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 3)
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return bytes;
}

std::string filled(std::size_t bytes) { return std::string(bytes, '*'); }

std::string all_bytes() {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  return all;
}

std::string repeated(const std::string& piece, unsigned times) {
  std::string all;
  for (unsigned i = 0; i < times; ++i) all += piece;
  return all;
}

std::string code(int number) { return {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)}; }

std::string text(const std::string& data) { return event_text("text", data); }
std::string binary(const std::string& data) { return event_text("binary", data); }
std::string ping(const std::string& data) { return event_text("ping", data); }
std::string pong(const std::string& data) { return event_text("pong", data); }
std::string close(int number, const std::string& reason = "") { return event_text("close", code(number) + reason); }
std::string close_without_code() { return event_text("close", ""); }

}  // namespace

std::string event_text(const std::string& kind, std::string_view data) {
  const std::string start = kind + " " + std::to_string(data.size()) + " ";
  return start + (data.size() > 130 ? "sha256:" + hawser::hex(sha256(data)) : hawser::hex(data));
}

std::string frame(int first_byte, std::string_view payload) {
  std::string bytes(1, static_cast<char>(first_byte));
  const std::size_t size = payload.size();
  const int length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
  bytes += static_cast<char>(length_bytes == 0 ? size : length_bytes == 2 ? 126U : 127U);
  for (int i = length_bytes; i-- > 0;) bytes += static_cast<char>(static_cast<unsigned long long>(size) >> (8 * i));
  return bytes.append(payload);
}

const std::vector<ConformanceCase>& conformance_cases() {
  static const std::vector<ConformanceCase> cases = [] {
    std::vector<ConformanceCase> all;
    // One statement for each row: as one initializer the table takes a compiler with sanitizers many minutes.
    const auto row = [&all](ConformanceCase made) { all.push_back(std::move(made)); };
#include "core/transport/conformance_cases.inc"
    return all;
  }();
  return cases;
}

}  // namespace hawser::transport::test
