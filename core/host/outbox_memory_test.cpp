#include <cstdlib>
#include <new>
#include <utility>

#include "core/host/outbox.hpp"
#include "tests/catch.hpp"

namespace {
thread_local int allocations_until_failure = -1;  // -1: none fails
}

// Not inline, and all that stand alone for one object: else a compiler or a sanitizer sees them mixed with its own.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (allocations_until_failure == 0) return nullptr;
  if (allocations_until_failure > 0) --allocations_until_failure;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace hawser::host {
namespace {

TEST_CASE(
    "[data-1] a push that fails for want of memory leaves the outbox as it was: tickets and payloads stay together") {
  int failures = 0;
  for (int allowed = 0; allowed < 8; ++allowed) {
    Outbox outbox(1024 * 1024);
    outbox.open(1);
    std::uint64_t next = 1;
    int left = allowed;  // allocations before the one that fails; -1 after it
    for (int i = 0; i < 200; ++i) {
      std::uint64_t ticket = 0;
      std::string payload = std::to_string(next);
      allocations_until_failure = left;
      try {
        const auto pushed = outbox.push(std::move(payload), false, &ticket);
        left = std::exchange(allocations_until_failure, -1);
        REQUIRE(pushed == Outbox::Push::Taken);
        CHECK(ticket == next++);
      } catch (const std::bad_alloc&) {
        left = allocations_until_failure = -1;
        ++failures;
      }
    }
    REQUIRE(outbox.next() == next);
    REQUIRE(outbox.first() == 1);
    std::size_t bytes = 0;
    for (std::uint64_t ticket = 1; ticket < next; ++ticket) {
      REQUIRE(outbox.at(ticket)->ticket == ticket);
      CHECK(outbox.at(ticket)->payload == std::to_string(ticket));
      bytes += outbox.at(ticket)->payload.size();
    }
    CHECK(outbox.bytes() == bytes + (next - 1) * kHeaderBytes);
    outbox.pop_through(next - 1);
    CHECK(outbox.messages() == 0);
    CHECK(outbox.bytes() == 0);
  }
  CHECK(failures > 0);
}

}  // namespace
}  // namespace hawser::host
