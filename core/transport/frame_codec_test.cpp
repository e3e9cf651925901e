// The frame codec: the table of RFC 6455 in three cuts, random cuts, and what the client's own frames look like.
#include "core/transport/frame_codec.hpp"

#include <map>
#include <random>
#include <set>

#include "core/base/encoding.hpp"
#include "core/transport/conformance_cases.hpp"
#include "core/transport/mask_keys.hpp"
#include "tests/catch.hpp"

using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

struct Recorder : FrameDecoder::Sink {
  std::vector<std::string> events;
  void on_message(Opcode opcode, std::string_view data) override {
    events.push_back(event_text(opcode == Opcode::Text ? "text" : "binary", data));
  }
  void on_control(Opcode opcode, std::string_view payload) override {
    events.push_back(event_text(opcode == Opcode::Close ? "close" : opcode == Opcode::Ping ? "ping" : "pong", payload));
  }
};

struct Outcome {
  std::vector<std::string> events;
  int fault = 0;
  bool closed = false;
  std::size_t fault_by = 0;  // bytes fed when the fault was known
  bool operator==(const Outcome& other) const {
    return events == other.events && fault == other.fault && closed == other.closed;
  }
};

Outcome run(const std::vector<std::string>& pieces) {
  FrameDecoder decoder(kLimit, kFragments);
  Recorder recorder;
  Outcome outcome;
  std::size_t fed = 0;
  for (const std::string& piece : pieces) {
    decoder.feed(piece, recorder);
    fed += piece.size();
    if (decoder.fault() && outcome.fault_by == 0) outcome.fault_by = fed;
  }
  outcome.events = recorder.events;
  outcome.fault = decoder.fault() ? decoder.fault()->code : 0;
  outcome.closed = decoder.closed();
  return outcome;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

std::vector<std::string> single_bytes(const std::string& bytes) {
  std::vector<std::string> pieces;
  for (const char c : bytes) pieces.emplace_back(1, c);
  return pieces;
}

std::vector<std::string> random_cuts(const std::string& bytes, std::mt19937& random) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t count = random() % 3 == 0 ? 1 : 1 + random() % 40;
    pieces.push_back(bytes.substr(at, count));
    at += count;
  }
  return pieces;
}

// Frames that are mostly right, sometimes spoiled by one byte.
std::string random_stream(std::mt19937& random) {
  std::string bytes;
  const int firsts[] = {0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88};
  for (int frames = 1 + static_cast<int>(random() % 8); frames > 0; --frames) {
    std::string payload(random() % 10 == 0 ? random() % 300 : random() % 12, 'x');
    for (char& c : payload)
      if (random() % 16 == 0) c = static_cast<char>(random());
    bytes += frame(firsts[random() % 9], payload);
  }
  if (random() % 3 == 0) bytes[random() % bytes.size()] = static_cast<char>(random());
  return bytes;
}

// A masked frame taken apart by other means than the codec's.
struct Sent {
  int first = 0;
  std::string payload, key;
};
Sent take_apart(const std::string& bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes.at(i)); };
  REQUIRE((at(1) & 0x80) != 0);
  std::size_t length = at(1) & 0x7F, header = 2;
  const std::size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (wide > 0) length = 0;
  for (std::size_t i = 0; i < wide; ++i) length = length * 256 + at(header++);
  Sent sent{at(0), "", bytes.substr(header, 4)};
  REQUIRE(bytes.size() == header + 4 + length);
  for (std::size_t i = 0; i < length; ++i) sent.payload += static_cast<char>(bytes[header + 4 + i] ^ sent.key[i % 4]);
  return sent;
}

}  // namespace

TEST_CASE("every case of the conformance table comes out right, however its bytes are cut") {
  CHECK(conformance_cases().size() >= 250);
  std::set<std::string> names;
  for (const ConformanceCase& row : conformance_cases()) {
    INFO("RFC 6455 section " << row.section << ": " << row.name);
    CHECK(names.insert(row.section + row.name).second);
    const Outcome as_given = run(row.pieces), whole = run({joined(row.pieces)});
    const Outcome bytewise = run(single_bytes(joined(row.pieces)));
    CHECK(as_given.events == row.events);
    CHECK(as_given.fault == row.fault);
    CHECK(whole == as_given);
    CHECK(bytewise == as_given);
    if (row.fault_by != 0) CHECK(bytewise.fault_by == row.fault_by);
  }
}

TEST_CASE("every case cut in two at every place comes out the same") {
  for (const ConformanceCase& row : conformance_cases()) {
    const std::string all = joined(row.pieces);
    if (all.size() > 300) continue;  // the long ones only repeat one byte
    const Outcome whole = run({all});
    for (std::size_t at = 1; at < all.size(); ++at) {
      INFO(row.section << ": " << row.name << ", cut at " << at);
      if (!(run({all.substr(0, at), all.substr(at)}) == whole)) CHECK(false);
    }
  }
}

TEST_CASE("a random stream comes out the same whole and cut at random") {
  const unsigned seed = 20261124;
  std::mt19937 random(seed);
  std::map<int, int> seen;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = random_stream(random);
    const Outcome whole = run({bytes});
    ++seen[whole.fault];
    if (whole == run(random_cuts(bytes, random)) && whole == run(single_bytes(bytes))) continue;
    INFO("seed " << seed << ", round " << round << ", bytes " << hawser::hex(bytes));
    REQUIRE(false);
  }
  CHECK(seen.size() >= 3);  // the streams do reach both ends
  CHECK(seen[0] > 500);
}

TEST_CASE("the declared length is never allocated") {
  // 2^60 bytes within the limit: std::bad_alloc if anything tried.
  FrameDecoder decoder(std::size_t{1} << 62);
  Recorder recorder;
  decoder.feed(std::string("\x82\x7f\x10\x00\x00\x00\x00\x00\x00\x00", 10) + "abc", recorder);
  CHECK(!decoder.fault());
  CHECK(decoder.inside_frame());
}

TEST_CASE("the decoder tells whether a frame is under way, for the limit on its time") {
  FrameDecoder decoder(100);
  Recorder recorder;
  CHECK(!decoder.inside_frame());
  decoder.feed(std::string("\x81"), recorder);
  CHECK(decoder.inside_frame());
  decoder.feed(std::string("\x02"), recorder);
  decoder.feed("a", recorder);
  CHECK(decoder.inside_frame());
  CHECK(decoder.frames_begun() == 1);
  decoder.feed("b", recorder);
  CHECK(!decoder.inside_frame());
  decoder.feed(std::string("\x01\x00", 2), recorder);
  CHECK(!decoder.inside_frame());  // a message is, but no frame
  CHECK(decoder.frames_begun() == 2);
}

TEST_CASE("our frames are masked, in the shortest form, and head and body are one payload") {
  for (const std::size_t size : {0u, 1u, 3u, 7u, 8u, 9u, 125u, 126u, 127u, 1000u, 65535u, 65536u, 70000u}) {
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 7);
    for (const std::size_t cut : {std::size_t{0}, size / 3, std::min<std::size_t>(size, 9), size}) {
      std::string bytes(frame_bytes(size), '\0');
      const std::string_view all = data;
      encode_frame(bytes.data(), Opcode::Binary, true, all.substr(0, cut), all.substr(cut), 0x9D3A51C4);
      const Sent sent = take_apart(bytes);
      CHECK(sent.first == 0x82);
      CHECK(sent.payload == data);
      const std::size_t header = bytes.size() - size - 4;
      CHECK(header == (size < 126 ? 2U : size < 65536 ? 4U : 10U));
    }
  }
}

TEST_CASE("mask keys do not repeat and use every bit") {
  MaskKeys keys;
  std::set<std::uint32_t> seen;
  std::uint32_t ones = 0, zeros = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t key = keys.next();
    seen.insert(key);
    ones |= key;
    zeros |= ~key;
  }
  CHECK(seen.size() > 4990);  // a collision or two among 5000 of 2^32 may happen
  CHECK(ones == 0xFFFFFFFF);
  CHECK(zeros == 0xFFFFFFFF);
}

TEST_CASE("a Close carries code and reason, and a long reason is cut between characters") {
  CHECK(close_payload(1000, "bye") == std::string("\x03\xe8") + "bye");
  CHECK(close_payload(1005, "ignored").empty());
  const std::string exact = close_payload(1000, std::string(123, 'a'));
  CHECK(exact.size() == 125);
  std::string greek;
  for (int i = 0; i < 100; ++i) greek += "\xce\xbc";  // two bytes each: 123 would cut one in half
  const std::string cut = close_payload(1000, greek);
  CHECK(cut.size() == 124);
  CHECK(hawser::is_utf8(cut.substr(2)));
  CHECK(close_payload(1000, std::string(124, 'a')).size() == 125);
}

TEST_CASE("close codes have the names of the protocol") {
  CHECK(std::string(close_name(1002)) == "framing");
  CHECK(std::string(close_name(1007)) == "bad_payload");
  CHECK(std::string(close_name(1009)) == "too_big");
  CHECK(std::string(close_name(4012)) == "revoked");
  CHECK(std::string(close_name(3000)) == "peer_closed");
}
