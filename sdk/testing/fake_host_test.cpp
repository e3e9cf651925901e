#include "sdk/testing/fake_host.hpp"

#include <unistd.h>

#include <hawser/plugin.hpp>
#include <stdexcept>

#include "tests/catch.hpp"

namespace hawser::sdk::testing {
namespace {

using namespace std::chrono_literals;

// A plugin that does whatever the test at hand told it to.
struct Probe {
  static constexpr const char* kId = "test.probe";
  static constexpr const char* kVersion = "1.0.0";
  static inline std::function<void(Context&)> on_start;
  explicit Probe(Context& host) : context(host) {}
  ConfigAnswer configure(std::string_view json, bool) {
    if (json.find("throw") != json.npos) throw std::runtime_error("the word throw is not allowed");
    if (json.find("live") != json.npos) return ConfigAnswer::restart_needed();
    return json == "{}" ? ConfigAnswer::accepted() : ConfigAnswer::refused("it has to be empty");
  }
  void start() { on_start(context); }
  Context& context;
};

struct Started {
  FakeHost host;
  explicit Started(std::function<void(Context&)> on_start) {
    Probe::on_start = std::move(on_start);
    REQUIRE(host.load(Binding<Probe>::table));
    REQUIRE(host.start() == HWS_OK);
  }
};

TEST_CASE("a plugin refuses a host of another ABI major, and of a table that is too short") {
  FakeHost host;
  host.abi_major = 2;
  CHECK_FALSE(host.load(Binding<Probe>::table));
  hws_host shorter{};
  shorter.size = 8;
  shorter.abi_major = HWS_ABI_MAJOR;
  CHECK(Binding<Probe>::table(&shorter) == nullptr);
  CHECK(Binding<Probe>::table(nullptr) == nullptr);
}

TEST_CASE("the heartbeat example of the guide beats, built as a vendor would build it") {
  FakeHost host;
  REQUIRE(host.load_library(HAWSER_HEARTBEAT));
  REQUIRE(host.start(R"({"period_ms": 250})") == HWS_OK);
  host.advance(1s);
  CHECK(host.subconnection("heartbeat").durable_sent.size() == 4);
  CHECK(host.subconnection().durable_sent.at(0).data == "beat");
  CHECK(host.healthy(HWS_READY));
  CHECK(host.configure(R"({"period_ms":5})", false) == HWS_E_INVALID);
  CHECK(host.refusal == "period_ms must be 10 or more");
  host.stop();
  CHECK(host.healthy(HWS_STOPPED));
}

TEST_CASE("what configure() answers or throws reaches the operator as one sentence") {
  Started probe([](Context&) {});
  CHECK(probe.host.configure(R"({"x":1})", false) == HWS_E_INVALID);
  CHECK(probe.host.refusal == "it has to be empty");
  CHECK(probe.host.configure("throw", true) == HWS_E_INVALID);
  CHECK(probe.host.refusal == "the word throw is not allowed");
  CHECK(probe.host.configure("live", true) == HWS_RESTART_NEEDED);
}

TEST_CASE("a throw never crosses the boundary: start is refused, a handler faults the instance") {
  FakeHost host;
  Probe::on_start = [](Context&) { throw Error(HWS_E_DENIED, "not today"); };
  REQUIRE(host.load(Binding<Probe>::table));
  CHECK(host.start() == HWS_E_DENIED);
  CHECK(host.refusal == "not today");

  Started probe([](Context& context) { context.after(1ms, [] { throw 7; }); });
  probe.host.advance(2ms);
  CHECK(probe.host.healthy(HWS_FAULTED));
  CHECK_FALSE(probe.host.errors.empty());
}

TEST_CASE("timers run once or again and again, and may cancel themselves while they run") {
  int once = 0, often = 0;
  Context::TimerId id = 0;
  Started probe([&](Context& context) {
    context.after(10ms, [&] { ++once; });
    id = context.every(10ms, [&] {
      if (++often == 3) context.cancel(id);
    });
  });
  probe.host.advance(100ms);
  CHECK(once == 1);
  CHECK(often == 3);
  CHECK(probe.host.timers() == 0);
}

TEST_CASE("a timer whose time is over already fires at once") {
  int fired = 0;
  Started probe([&](Context& context) { context.after(-5ms, [&] { ++fired; }); });
  probe.host.advance(1ms);
  CHECK(fired == 1);
}

TEST_CASE("a watched descriptor calls while there is something to read, until it is unwatched") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::string got;
  Started probe([&](Context& context) {
    context.watch(ends[0], [&] {
      char byte = 0;
      REQUIRE(::read(ends[0], &byte, 1) == 1);
      got += byte;
      if (byte == 'c') context.unwatch(ends[0]);
    });
  });
  REQUIRE(::write(ends[1], "abcd", 4) == 4);
  probe.host.settle_down();
  CHECK(got == "abc");
  CHECK(probe.host.watches() == 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("post and log work from any thread; a timer from another thread is refused") {
  std::string what;
  int posted = 0;
  Started probe([&](Context& context) {
    std::thread other([&] {
      context.info("from elsewhere", {{"key", "value"}});
      context.post([&] { ++posted; });
      try {
        context.after(1ms, [] {});
      } catch (const Error& error) {
        what = std::to_string(error.status());
      }
    });
    other.join();
  });
  probe.host.settle_down();
  CHECK(posted == 1);
  CHECK(what == std::to_string(HWS_E_THREAD));
  REQUIRE(probe.host.logged("from elsewhere"));
  CHECK(probe.host.logs.back().fields.at("key") == "value");
}

TEST_CASE("every event of a subconnection arrives, and every send is recorded") {
  std::vector<std::string> seen;
  Subconnection* cloud = nullptr;
  Started probe([&](Context& context) {
    cloud = &context.open(
        "probe", "test.probe.v1",
        {.opened = [&](std::string_view about) { seen.push_back("opened " + std::string(about)); },
         .text = [&](std::string_view json) { seen.push_back("text " + std::string(json)); },
         .message = [&](Bytes data) { seen.push_back("message " + std::string(to_view(data))); },
         .durable =
             [&](const DurableMessage& message) {
               seen.push_back("durable " + std::to_string(message.number));
               if (to_view(message.data) == "later") return Verdict::settled_later();
               return to_view(message.data) == "good" ? Verdict::taken() : Verdict::refused("bad");
             },
         .acked = [&](std::uint64_t number) { seen.push_back("acked " + std::to_string(number)); },
         .nacked = [&](std::uint64_t number, std::string_view code,
                       std::string_view) { seen.push_back("nacked " + std::to_string(number) + std::string(code)); },
         .writable = [&] { seen.push_back("writable"); },
         .closed = [&](std::string_view reason, std::string_view,
                       Milliseconds) { seen.push_back("closed " + std::string(reason)); }});
  });
  FakeSubconnection& end = probe.host.subconnection("probe");
  CHECK(cloud->send(to_bytes("early")) == Send::closed);
  end.open("{}");
  CHECK(cloud->send_durable(to_bytes("one"), HWS_COMPRESS).value() == 1);
  end.outbox_full = true;
  CHECK_FALSE(cloud->send_durable(to_bytes("two")).has_value());
  end.outbox_full = false;
  CHECK(cloud->send(to_bytes("fast")) == Send::queued);
  CHECK(cloud->send_text("{}") == Send::queued);
  end.max_message_bytes = 2;
  CHECK_THROWS_AS(cloud->send_durable(to_bytes("too long")), Error);
  end.text("{\"a\":1}");
  end.message("bytes");
  CHECK(end.durable("good").status == HWS_OK);
  CHECK(end.durable("evil").why == "bad");
  CHECK(end.durable("later").status == HWS_PENDING);
  cloud->settle(3, Verdict::refused("after all"));
  end.ack(1);
  end.nack(1, "too_big", "");
  end.close();
  CHECK(seen == std::vector<std::string>{"opened {}", "text {\"a\":1}", "message bytes", "durable 1", "durable 2",
                                         "durable 3", "acked 1", "writable", "nacked 1too_big", "closed peer_closed"});
  CHECK(end.durable_sent.at(0).flags == HWS_COMPRESS);
  CHECK(end.settled.at(0).why == "after all");
}

TEST_CASE("[sdk-7] a message is accepted, survives kill -9, and is found, sent again and acknowledged by the next instance") {
  std::vector<std::string> seen;
  std::string bytes = "the bytes";
  Subconnection* cloud = nullptr;
  const auto start = [&](Context& context) {
    SubconnectionHandlers on;
    on.accepted = [&](std::uint64_t number) { seen.push_back("accepted " + std::to_string(number)); };
    on.acked = [&](std::uint64_t number) { seen.push_back("acked " + std::to_string(number)); };
    on.nacked = [&](std::uint64_t number, std::string_view code, std::string_view) {
      seen.push_back("nacked " + std::to_string(number) + " " + std::string(code));
    };
    on.found = [&](std::uint64_t number, std::string_view source) {
      seen.push_back("found " + std::to_string(number) + " " + std::string(source));
    };
    on.resumed = [&](std::uint64_t next) { seen.push_back("resumed " + std::to_string(next)); };
    on.source = [&](std::uint64_t, std::string_view source) {
      return source == "where" ? std::optional(bytes) : std::nullopt;
    };
    cloud = &context.open("probe", "test.probe.v1", std::move(on), {.drop_oldest = true});
  };
  std::map<std::string, FakeSpool> disk;
  {
    Started probe(start);
    probe.host.settle_down();
    CHECK(cloud->send_source("where", to_bytes(bytes)).value() == 1);
    CHECK(cloud->send_durable(to_bytes("copied")).value() == 2);
    probe.host.settle_down();
    probe.host.subconnection().accepts_at_once = false;
    CHECK(cloud->send_source("elsewhere", to_bytes("never in a spool")).value() == 3);
    CHECK_THROWS_AS(cloud->send_source(std::string(4097, 'x'), to_bytes("y")), Error);
    CHECK(probe.host.subconnection().drop_oldest);
    probe.host.destroy();
    disk = probe.host.spools;
  }
  CHECK(seen == std::vector<std::string>{"resumed 1", "accepted 1", "accepted 2"});
  seen.clear();
  const bool is_there = GENERATE(true, false);
  if (!is_there) bytes = "other bytes";
  FakeHost host;
  host.spools = disk;
  Probe::on_start = start;
  REQUIRE(host.load(Binding<Probe>::table));
  REQUIRE(host.start() == HWS_OK);
  FakeSubconnection& end = host.subconnection();
  end.open();
  end.ack_all();
  if (is_there) {
    CHECK(end.resent.size() == 2);
    CHECK(seen == std::vector<std::string>{"found 1 where", "resumed 3", "acked 2"});
  } else {
    CHECK(end.resent.size() == 1);
    CHECK(seen == std::vector<std::string>{"found 1 where", "resumed 3", "nacked 1 expired", "acked 2"});
  }
  CHECK(end.unacknowledged() == 0);
  CHECK(cloud->send_durable(to_bytes("next")).value() == 3);
}

TEST_CASE("until its spool is read a plugin sends nothing, and is told when it may") {
  std::vector<std::string> seen;
  Subconnection* cloud = nullptr;
  Started probe([&](Context& context) {
    cloud = &context.open("probe", "test.probe.v1",
                          {.writable = [&] { seen.push_back("writable"); },
                           .resumed = [&](std::uint64_t) { seen.push_back("resumed"); }});
    CHECK_FALSE(cloud->send_durable(to_bytes("early")).has_value());
  });
  probe.host.settle_down();
  CHECK(seen == std::vector<std::string>{"resumed", "writable"});
  CHECK(cloud->send_durable(to_bytes("now")).value() == 1);
}

TEST_CASE("a plugin that cannot give the bytes again is not allowed to keep them in its file") {
  Subconnection* cloud = nullptr;
  Started probe([&](Context& context) { cloud = &context.open("probe", "test.probe.v1", {}); });
  CHECK_THROWS_AS(cloud->send_source("where", to_bytes("x")), Error);
}

TEST_CASE("an action's result and the cloud's sign of life come exactly once") {
  std::string seen;
  Context* context = nullptr;
  Started probe([&](Context& given) { context = &given; });
  probe.host.actions["reload"] = {{.exit_code = 3, .output = "no such unit"}};
  context->run_action("reload", [&](const ActionResult& result) {
    seen += std::to_string(result.exit_code) + std::string(result.output);
  });
  CHECK_THROWS_AS(context->run_action("unknown", [](const ActionResult&) {}), Error);
  context->cloud_reached(
      5s, [&](bool reached, std::string_view how) { seen += (reached ? " yes " : " no ") + std::string(how); });
  probe.host.settle_down();
  CHECK(seen == "3no such unit yes keepalive_ack");
  probe.host.cloud = FakeHost::Cloud::out_of_reach;
  context->cloud_reached(5s, [&](bool reached, std::string_view) { seen = reached ? "yes" : "no"; });
  probe.host.advance(6s);
  CHECK(seen == "no");
}

}  // namespace
}  // namespace hawser::sdk::testing
