#include "core/control/flight_page.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>

#include "tests/catch.hpp"

using namespace hawser;
using control::FlightPage;
using control::FlightReader;
using control::FlightWriter;
using namespace std::chrono_literals;

namespace {

// What a plugin can do: write anything into the page.
struct Scribbler {
  explicit Scribbler(const FlightReader& reader)
      : page(static_cast<FlightPage*>(
            ::mmap(nullptr, control::kFlightPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, reader.descriptor(), 0))) {}
  ~Scribbler() { ::munmap(page, control::kFlightPageBytes); }
  void name(const std::string& bytes) {
    for (std::size_t i = 0; i < control::kFlightNameBytes; ++i) page->name[i] = i < bytes.size() ? bytes[i] : '\0';
  }
  FlightPage* page;
};

FlightReader make() { return std::move(FlightReader::make()).value(); }
FlightWriter writer_of(const FlightReader& reader) { return FlightWriter::take(::dup(reader.descriptor())); }

}  // namespace

TEST_CASE("[iso-4] the reader of a flight page sees which callback runs and since when, and nothing between two") {
  const auto reader = make();
  auto writer = writer_of(reader);
  CHECK_FALSE(reader.running());
  const TimePoint since = Clock::now();
  writer.note(1, "timer", since);
  REQUIRE(reader.running());
  CHECK(reader.running()->number == 1);
  CHECK(reader.running()->name == "timer");
  CHECK(reader.running()->since == since);
  writer.note(0, "", {});
  CHECK_FALSE(reader.running());
  writer.note(2, "durable", since);
  CHECK(reader.running()->name == "durable");
  writer.note(3, "text", since);
  CHECK(reader.running()->name == "text");
}

TEST_CASE("[iso-4] a flight page says what ran also when its writer is gone") {
  const auto reader = make();
  { writer_of(reader).note(7, "stop", Clock::now()); }
  REQUIRE(reader.running());
  CHECK(reader.running()->name == "stop");
}

TEST_CASE(
    "[iso-4] whatever a plugin writes into its flight page, the name that is read can be shown, and no time lies "
    "in the future") {
  const auto reader = make();
  Scribbler scribbler(reader);
  scribbler.page->number = ~std::uint64_t{0};
  scribbler.page->since_ns = ~std::uint64_t{0};
  scribbler.name("a\x1b[2J\"\n\xff");
  REQUIRE(reader.running());
  CHECK(reader.running()->name == "a??2????");
  const TimePoint since = reader.running()->since;
  CHECK(since <= Clock::now());
  scribbler.name("");
  CHECK(reader.running()->name == "unnamed");
  scribbler.name(std::string(control::kFlightNameBytes, 'x'));  // without an end
  CHECK(reader.running()->name == std::string(control::kFlightNameBytes, 'x'));

  std::mt19937 random(42);
  for (int i = 0; i < 2000; ++i) {
    for (std::size_t at = 0; at < sizeof(FlightPage); ++at)
      reinterpret_cast<unsigned char*>(scribbler.page)[at] = static_cast<unsigned char>(random());
    const auto running = reader.running();
    if (!running) continue;
    REQUIRE_FALSE(running->name.empty());
    REQUIRE(running->name.size() <= control::kFlightNameBytes);
    for (const char c : running->name) REQUIRE(c >= '0');
    REQUIRE(running->since <= Clock::now());
  }
}

TEST_CASE("[iso-4] a flight page that changes all the time while it is read holds its reader up for no longer") {
  const auto reader = make();
  Scribbler scribbler(reader);
  std::atomic<bool> over{false};
  std::thread changing([&] {
    for (std::uint64_t i = 1; !over; ++i) {
      scribbler.page->number = i;
      scribbler.page->name[0] = static_cast<char>(i);
    }
  });
  const TimePoint begin = Clock::now();
  for (int i = 0; i < 10'000; ++i) (void)reader.running();
  CHECK(Clock::now() - begin < 5s);
  over = true;
  changing.join();
}

TEST_CASE("[iso-4] the memory of a flight page can be neither shortened nor lengthened by who has it") {
  const auto reader = make();
  CHECK(::ftruncate(reader.descriptor(), 0) != 0);
  CHECK(::ftruncate(reader.descriptor(), 1 << 20) != 0);
  CHECK_FALSE(reader.running());
}

TEST_CASE("a host that has no flight page notes its callbacks where nobody reads them") {
  auto writer = FlightWriter::take(-1);
  writer.note(1, "timer", Clock::now());
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Descriptor left(ends[0]), right(ends[1]);
  auto other = FlightWriter::take(left.get());  // somebody else's descriptor is left alone
  other.note(1, "timer", Clock::now());
  CHECK(::write(right.get(), "x", 1) == 1);
}
