#include <deque>
#include <random>

#include "core/host/test_session.hpp"
#include "tests/catch.hpp"

// Any schedule of sending, acknowledging, refusing, losing and dialling again: what the cloud stored is exactly what
// the plugin sent, once and in order; and the same the other way.
using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

namespace {

struct Random {
  std::mt19937_64 engine;
  bool chance(int percent) { return static_cast<int>(engine() % 100) < percent; }
  std::uint64_t below(std::uint64_t bound) { return engine() % bound; }
};

// A cloud as sdk/protocol.md §5 has it, in memory.
struct Cloud {
  std::vector<std::string> stored;   // by number, "" for a refused one
  std::vector<std::string> to_send;  // its own durable messages, number - 1
  std::uint64_t sent = 0;
  std::uint64_t device_acked = 0;
  std::size_t looked = 0;  // messages of the wire that it has read

  void read(Stage& stage, Random& random) {
    while (looked < stage.wire.binaries.size()) {
      const std::string& message = stage.wire.binaries[looked++];
      const std::uint64_t number = number_in(message);
      if (number <= stored.size()) continue;
      REQUIRE(number == stored.size() + 1);
      if (random.chance(5)) {
        stored.emplace_back("");
        REQUIRE_FALSE(
            stage.text(R"({"type":"nack","code":"bad_payload","message":"no","seq":)" + std::to_string(number) + "}"));
      } else {
        stored.push_back(message.substr(9));
      }
    }
  }
  // Numbers up to where it was told; reads the device's acks.
  void hear_acks(const Stage& stage) {
    for (const auto& text : stage.wire.texts) {
      const auto object = json::parse_object(text);
      if (json::text_or(*object, "type") == "ack")
        device_acked = std::max(device_acked, static_cast<std::uint64_t>(json::integer_or(*object, "seq", 0)));
    }
  }
  void send(Stage& stage) {
    if (sent >= to_send.size()) return;
    const std::uint64_t number = ++sent;
    REQUIRE_FALSE(stage.in(number, to_send[number - 1]));
  }
};

struct Play {
  Random random;
  Stage stage;
  Cloud cloud;
  bool up = false;
  std::vector<std::string> pushed;
  std::vector<std::string> plugin_took;
  std::deque<Inbound> inbox;  // as the mailbox: what the plugin has not begun

  explicit Play(std::uint64_t seed) { random.engine.seed(seed); }

  void connect() {
    stage.connect();
    cloud.looked = 0;
    stage.events.durable.clear();
    inbox.clear();
    REQUIRE_FALSE(stage.welcome(cloud.stored.size(), "cloud-1", cloud.to_send.size() + 1));
    const auto resume = json::parse_object(stage.wire.texts.at(1));
    cloud.sent = static_cast<std::uint64_t>(json::integer_or(*resume, "acked", -1));
    REQUIRE(cloud.sent >= cloud.device_acked);  // what was acknowledged once stays so
    up = true;
  }
  void lose() {
    cloud.hear_acks(stage);
    stage.disconnect();
    inbox.clear();
    up = false;
  }
  void plugin_takes_one() {
    for (auto& message : stage.events.durable) inbox.push_back(std::move(message));
    stage.events.durable.clear();
    if (inbox.empty()) return;
    const Inbound message = inbox.front();
    inbox.pop_front();
    plugin_took.push_back(message.payload);
    REQUIRE_FALSE(stage.verdict(message.number));
  }
  void step() {
    switch (random.below(8)) {
      case 0:
      case 1:
        pushed.push_back("m" + std::to_string(pushed.size()));
        REQUIRE(stage.push(pushed.back()) == pushed.size());
        return;
      case 2:
        cloud.to_send.push_back("c" + std::to_string(cloud.to_send.size()));
        return;
      case 3:
        if (up && random.chance(30)) return lose();
        if (!up) return connect();
        return;
      case 4:
        if (up) cloud.read(stage, random);
        return;
      case 5:
        if (up && cloud.looked > 0 && random.chance(70))
          REQUIRE_FALSE(stage.ack(random.below(cloud.stored.size() + 1)));
        return;
      case 6:
        if (up) cloud.send(stage);
        return plugin_takes_one();
      default:
        if (!up) {
          REQUIRE_FALSE(stage.tick(milliseconds(random.below(300))));
          return;
        }
        REQUIRE_FALSE(stage.tick(milliseconds(random.below(300))));
    }
  }
  void finish() {
    if (!up) connect();
    for (int i = 0; i < 3; ++i) {
      stage.tick();
      cloud.read(stage, random);
      REQUIRE_FALSE(stage.ack(cloud.stored.size()));
    }
    while (cloud.sent < cloud.to_send.size()) cloud.send(stage);
    for (std::size_t i = 0; i <= cloud.to_send.size(); ++i) plugin_takes_one();
    stage.tick(200ms);
    cloud.hear_acks(stage);
  }
};

}  // namespace

TEST_CASE("[data-1] any schedule of losses keeps durable messages exactly once and in order, both ways") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Play play(seed);
    for (int i = 0; i < 400; ++i) play.step();
    play.finish();
    REQUIRE(play.cloud.stored.size() == play.pushed.size());
    std::size_t refused = 0;
    for (std::size_t i = 0; i < play.pushed.size(); ++i) {
      if (play.cloud.stored[i].empty()) {
        ++refused;
      } else {
        REQUIRE(play.cloud.stored[i] == play.pushed[i]);
      }
    }
    CHECK(play.stage.events.nacked.size() == refused);
    CHECK(play.stage.events.dropped["nacked"] == refused);
    if (!play.pushed.empty()) CHECK(play.stage.session->sender().acked_ticket() == play.pushed.size());
    CHECK(play.plugin_took == play.cloud.to_send);
    CHECK(play.cloud.device_acked == play.cloud.to_send.size());
  }
}
