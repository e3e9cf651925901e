// The waits against a model: thousands of random lives, each with list changes, refusals, losses and moved networks.
#include <algorithm>
#include <random>
#include <set>

#include "core/connection/kept_waits.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

std::vector<std::string> list_of(std::size_t names, std::size_t ports) {
  std::vector<std::string> keys;
  for (std::size_t name = 0; name < names; ++name) {
    for (std::size_t port = ports; port > 0; --port)
      keys.push_back("s" + std::to_string(name) + ".test:" + std::to_string(1000 + port));
  }
  return keys;
}

struct Life {
  explicit Life(unsigned seed) : chance(seed) {}

  std::uint64_t pick(std::uint64_t below) { return chance() % below; }
  milliseconds between(milliseconds least, milliseconds most) {
    return least +
           milliseconds(static_cast<std::int64_t>(pick(static_cast<std::uint64_t>((most - least).count()) + 1)));
  }

  std::mt19937 chance;
  TimePoint now = Clock::now();
  Waits waits{[this](milliseconds least, milliseconds most) { return between(least, most); }};
};

}  // namespace

TEST_CASE("[conn-10] [conn-19] a round over nine names with three ports tries each of them once, in stored order") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    Life life(seed);
    const auto keys = list_of(9, 3);
    life.waits.follow(keys);
    const std::size_t start = life.pick(keys.size());
    life.waits.start_at(start);
    for (int round = 0; round < 3; ++round) {
      std::vector<std::size_t> tried;
      TimePoint due = life.now;
      do {
        life.waits.dialling();
        tried.push_back(life.waits.server());
        due = life.waits.after_failure(life.now, {});
      } while (due <= life.now);
      REQUIRE(tried.size() == keys.size());
      for (std::size_t i = 0; i < tried.size(); ++i) CHECK(tried[i] == (start + i) % keys.size());
      REQUIRE(due >= life.now + kBackoffFirst);
      life.now = due;
    }
  }
}

TEST_CASE("[conn-20] whatever comes in whatever order: no server is asked before its time, none waits for ever") {
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    Life life(seed);
    auto keys = list_of(1 + life.pick(9), 1 + life.pick(3));
    life.waits.follow(keys);
    int at_once = 0;
    for (int step = 0; step < 200; ++step) {
      INFO("seed " << seed << ", step " << step);
      const TimePoint due = life.waits.due();
      REQUIRE(keys.empty() == (due == TimePoint::max()));
      REQUIRE((keys.empty() || due - life.now <= kRetryMost + kRetryMost / 5 + 2 * kRetryMost));
      switch (life.pick(10)) {  // while it waits
        case 0: {
          auto next = list_of(life.pick(10), 1 + life.pick(3));
          std::erase_if(next, [&](const auto&) { return life.pick(3) == 0; });
          if (life.pick(4) == 0) next.insert(next.begin(), "leased.test:1000");
          life.waits.follow(keys = next);
          life.pick(2) == 0 ? life.waits.hurry(life.now) : life.waits.begin_at_first(life.now);
          break;
        }
        case 1:
          life.waits.network_changed(life.now);
          break;
        case 2:
          life.waits.resumed(life.now);
          break;
        default:
          break;
      }
      if (keys.empty()) {
        life.waits.follow(keys = list_of(2, 1));
        life.waits.hurry(life.now);
      }
      REQUIRE(life.waits.server() < keys.size());
      at_once = life.waits.due() <= life.now ? at_once + 1 : 0;
      REQUIRE(at_once <= 200);
      life.now = std::max(life.now, life.waits.due());
      const std::string& server = keys[life.waits.server()];
      REQUIRE_FALSE(life.waits.asked(server, life.now));  // it asked for a wait that is not over
      life.waits.dialling();
      const Loss loss{life.between(0ms, 100s), life.between(0ms, 3600s), seconds(life.pick(5000)), life.pick(2) == 0};
      switch (life.pick(9)) {
        case 0:
          life.waits.established();
          life.waits.after_loss(life.now, loss);
          break;
        case 1:
          life.waits.authenticated();
          life.waits.after_removal(life.now, loss);
          break;
        case 2:
          life.waits.after_twin(life.now, loss);
          break;
        case 3:
          life.waits.after_drain(life.now, loss);
          break;
        case 4:
          life.waits.after_failure(life.now, {{}, seconds(life.pick(100'000)), false});
          break;
        case 5:
          life.waits.after_failure(life.now, {{}, {}, true});
          break;
        default:
          life.waits.after_failure(life.now, {});
          break;
      }
      REQUIRE(life.waits.memory().asks.size() <= Waits::kAsksMax);
    }
    life.waits.reset(true);  // an operator's word ends it all
    CHECK((life.waits.due() <= life.now));
    CHECK(life.waits.server() == 0);
  }
}

TEST_CASE("[conn-20] kept waits that a disk has spoilt neither throw nor lock the device out") {
  Waits::Memory memory;
  const Moment at{Clock::now(), seconds(1000), std::chrono::system_clock::now(), "boot-1"};
  memory.twins = 3;
  memory.asks["a.test:19443"] = {at.now + 15min, true, true};
  memory.asks["b.test:19443"] = {at.now + 30min, false, true};
  const std::string whole = text_of(memory, at);
  const auto harmless = [&](const std::string& text) {
    for (const auto& [key, ask] : memory_of(text, at).asks)
      if (ask.until > at.now + kRetryMost) return false;
    return true;
  };
  CHECK(memory_of(whole, at) == memory);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    INFO(i);
    CHECK(harmless(whole.substr(0, i)));
    for (const char byte : {'\0', '9', '-', '"', '\xff', '{'}) {
      std::string spoilt = whole;
      spoilt[i] = byte;
      CHECK(harmless(spoilt));
    }
  }
}
