#include "core/base/loop.hpp"

#include <unistd.h>

#include <thread>

#include "tests/catch.hpp"

using namespace hawser;

TEST_CASE("timers run in the order in which they are due, and a cancelled one does not run") {
  Loop loop;
  std::string story;
  loop.after(milliseconds{20}, [&] {
    story += "b";
    loop.stop();
  });
  loop.after(milliseconds{1}, [&] { story += "a"; });
  const auto never = loop.after(milliseconds{5}, [&] { story += "x"; });
  loop.cancel(never);
  loop.run();
  CHECK(story == "ab");
}

TEST_CASE("a periodic timer can cancel itself") {
  Loop loop;
  int runs = 0;
  Loop::TimerId id = 0;
  id = loop.every(milliseconds{1}, [&] {
    if (++runs == 3) {
      loop.cancel(id);
      loop.after(milliseconds{5}, [&] { loop.stop(); });
    }
  });
  loop.run();
  CHECK(runs == 3);
}

TEST_CASE("work posted by other threads runs on the loop's thread, all of it") {
  Loop loop;
  int sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        while (!loop.post([&] {
          if (++sum == 2000) loop.stop();
        }))
          std::this_thread::yield();
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  CHECK(sum == 2000);
}

TEST_CASE("a full loop says so and takes nothing more") {
  Loop loop;
  for (std::size_t i = 0; i < Loop::kPostedMax; ++i) REQUIRE(loop.post([] {}));
  CHECK_FALSE(loop.post([] {}));
}

TEST_CASE("a watch that takes away another in the same turn keeps it from being called") {
  Loop loop;
  int ends[4];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::pipe(ends + 2) == 0);
  int calls = 0;
  for (const int self : {ends[0], ends[2]}) {
    loop.watch(self, POLLIN, [&](short) {
      ++calls;
      loop.unwatch(ends[0]);
      loop.unwatch(ends[2]);
      loop.stop();
    });
  }
  REQUIRE(::write(ends[1], "x", 1) == 1);
  REQUIRE(::write(ends[3], "x", 1) == 1);
  loop.run();
  CHECK(calls == 1);
  for (const int fd : ends) ::close(fd);
}

TEST_CASE("a wait is ended at once from another thread, and cancel stays until rearmed") {
  Waker waker;
  std::thread other([&] { waker.cancel(); });
  CHECK(waker.wait({}, TimePoint::max()) == Waker::Woke::Woken);
  other.join();
  CHECK(waker.cancelled());
  waker.rearm();
  CHECK_FALSE(waker.cancelled());
  CHECK(waker.wait({}, Clock::now()) == Waker::Woke::TimedOut);
}
