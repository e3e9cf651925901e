#include <zstd.h>

#include <filesystem>

#include "core/base/files.hpp"
#include "core/host/compression.hpp"
#include "core/host/core_link.hpp"
#include "core/host/grant.hpp"
#include "core/host/mailbox.hpp"
#include "core/host/outbox.hpp"
#include "core/host/received_store.hpp"
#include "core/host/subconnection_status.hpp"
#include "core/host/waiting.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace std::chrono_literals;

namespace {

json::Object grant_object(const std::string& url) {
  return json::parse_object(R"({"service":"s","protocol":"a.s.v1","url":")" + url +
                            R"(","token":"secret","expires_in":60,"max_message_bytes":1048576,
                            "max_in_flight_messages":10,"max_in_flight_bytes":100000,"ping_s":60})")
      .value();
}

Waiting waiting(bool most) {
  return Waiting([most](std::uint64_t bound) { return most ? bound - 1 : 0; });
}

Ending closed(std::uint16_t code, bool was_ready = true, std::chrono::milliseconds ready_for = 1s) {
  Ending ending;
  ending.close_code = code;
  ending.closed_by_peer = true;
  ending.was_ready = was_ready;
  ending.ready_for = ready_for;
  return ending;
}

}  // namespace

TEST_CASE("a full outbox refuses, and says once when there is room again") {
  Outbox outbox(4 * (Outbox::kEntryCost + 10));
  outbox.open(1);
  for (int i = 0; i < 4; ++i) CHECK(outbox.push(std::string(10, 'x'), false, nullptr) == Outbox::Push::Taken);
  CHECK_FALSE(outbox.take_writable());
  CHECK(outbox.push("y", false, nullptr) == Outbox::Push::Full);
  CHECK(outbox.push("y", false, nullptr) == Outbox::Push::Full);
  CHECK(outbox.full_count() == 1);
  CHECK_FALSE(outbox.take_writable());
  outbox.pop_through(1);
  CHECK(outbox.take_writable());
  CHECK_FALSE(outbox.take_writable());
  CHECK(outbox.push(std::string(10'000, 'x'), false, nullptr) == Outbox::Push::NeverFits);
}

TEST_CASE("an outbox bounds many small messages by their cost, not by their bytes") {
  Outbox outbox(1024 * 1024);
  outbox.open(1);
  std::size_t taken = 0;
  while (outbox.push("", false, nullptr) == Outbox::Push::Taken) ++taken;
  CHECK(taken < 20'000);
}

TEST_CASE("the best-effort queue is bounded and counts what it refused") {
  BestEffortQueue queue(200);
  REQUIRE(queue.push({BestEffortQueue::Item::Kind::Plain, std::string(100, 'x')}));
  CHECK_FALSE(queue.push({BestEffortQueue::Item::Kind::Plain, std::string(100, 'x')}));
  CHECK(queue.refused_count() == 1);
  CHECK(queue.pop());
  CHECK(queue.take_writable());
  CHECK_FALSE(queue.pop());
}

TEST_CASE("a grant is read whole or refused with a sentence that never holds the token") {
  const auto grant = read_grant(grant_object("wss://cloud.example:8443/a/b?c=d"), TimePoint{});
  REQUIRE(grant);
  CHECK(grant->origin.host == "cloud.example");
  CHECK(grant->origin.port == 8443);
  CHECK(grant->path == "/a/b?c=d");
  CHECK(grant->expires == TimePoint{} + 60s);
  CHECK(read_grant(grant_object("wss://[::1]/x"), TimePoint{})->origin.host == "::1");
  CHECK(read_grant(grant_object("wss://h"), TimePoint{})->path == "/");
  for (const char* url : {"ws://h/", "https://h/", "wss:///x", "wss://u@h/", "wss://h/#f", "wss://h:0/", "wss://h:x/",
                          "wss://h:70000/", "wss://[::1/", "wss://h/ x"}) {
    INFO(url);
    const auto refused = read_grant(grant_object(url), TimePoint{});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "bad_response");
    CHECK(refused.error().message.find("secret") == std::string::npos);
  }
}

TEST_CASE("a grant of more than a device can hold is taken at what it can") {
  json::Object object = grant_object("wss://h/");
  for (const char* member : {"expires_in", "max_message_bytes", "max_in_flight_messages", "max_in_flight_bytes"})
    object->set(member, json::kIntegerMax);
  const auto grant = read_grant(object, TimePoint{});
  REQUIRE(grant);
  CHECK(grant->expires == TimePoint{} + std::chrono::hours(24 * 365));
  CHECK(grant->limits.message_bytes == 64 * 1024 * 1024);
  CHECK(grant->limits.in_flight_messages == 65'536);
  CHECK(grant->limits.in_flight_bytes == 64 * 1024 * 1024);
}

TEST_CASE("compression is used only where it helps, and comes back whole") {
  Compressor compressor;
  const std::string text(100'000, 'a');
  const auto frame = compressor.shrink(text);
  REQUIRE(frame);
  CHECK(frame->size() < 1000);
  CHECK(decompress(*frame, text.size()).value() == text);
  CHECK_FALSE(compressor.shrink("short"));
}

TEST_CASE("a zstd frame that is over its limits, cut, followed by something or no frame is refused") {
  const std::string text(100'000, 'a');
  const std::string frame = Compressor().shrink(text).value();
  CHECK(decompress(frame, text.size() - 1).error().code == "bad_payload");
  CHECK_FALSE(decompress(frame.substr(0, frame.size() - 1), text.size()));
  CHECK_FALSE(decompress(frame + "x", text.size()));
  CHECK_FALSE(decompress(frame + frame, text.size() * 2));
  CHECK_FALSE(decompress("", 10));
  CHECK_FALSE(decompress("plain text", 10));
  CHECK_FALSE(decompress(std::string("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8), 10));  // a skippable frame
  SECTION("a window over 8 MiB") {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 25);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    std::string wide(ZSTD_compressBound(text.size()), '\0');
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    ZSTD_outBuffer out{wide.data(), wide.size(), 0};
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
    REQUIRE(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) == 0);
    ZSTD_freeCCtx(context);
    CHECK_FALSE(decompress(wide.substr(0, out.pos), text.size()));
  }
}

TEST_CASE("the received number survives a restart, and a damaged file counts as nothing received") {
  const auto folder = std::filesystem::temp_directory_path() / ("hawser-received-" + std::to_string(::getpid()));
  REQUIRE(make_folder(folder));
  ReceivedFile file(folder, "svc");
  CHECK(file.load() == Received{});
  REQUIRE(file.save({"stream", 42}));
  CHECK(ReceivedFile(folder, "svc").load() == Received{"stream", 42});
  REQUIRE(write_file_atomically(file.path(), "{\"stream\":\"str"));
  CHECK(file.load() == Received{});
  std::filesystem::remove_all(folder);
}

TEST_CASE("in every state of a subconnection a stop ends it, and a revocation or another server is obeyed") {
  for (std::size_t i = 0; i < kStateNames.size(); ++i) {
    const auto state = static_cast<State>(i);
    if (state == State::Stopped) continue;
    INFO(name(state));
    if (state != State::Draining) {
      const auto stop = find_row(kSubconnectionTable, state, Event::Stop);
      REQUIRE(stop);
      CHECK(stop->to == (state == State::Ready ? State::Draining : State::Stopped));
    }
    for (const Event event : {Event::Revoke, Event::ServerChanged}) {
      INFO(name(event));
      const auto row = find_row(kSubconnectionTable, state, event);
      const bool nothing_to_do = state == State::Revoked && event == Event::Revoke;
      REQUIRE((row || nothing_to_do));
      if (row) CHECK((row->to != State::Ready && row->to != State::Connecting && row->to != State::Backoff));
    }
  }
  for (const Event event : {Event::Lost, Event::GrantFailed, Event::Withdrawn})
    CHECK(find_row(kSubconnectionTable, State::Draining, event)->to == State::Stopped);
}

TEST_CASE("each ending of a connection has its wait") {
  using std::chrono::milliseconds;
  CHECK(waiting(true).after(closed(1012), 2s).wait == 2s);
  CHECK(waiting(true).after(closed(1012), 60s).wait == 60s);
  CHECK(waiting(false).after(closed(1012), 60s).wait == 0s);
  CHECK(waiting(true).after(closed(0), 60s).wait == 60s);  // a cloud that crashed loses its whole fleet at once
  CHECK(waiting(false).after(closed(1013), 2s).wait == 31s);
  CHECK(waiting(true).after(closed(4001), 2s).event == Event::GrantFailed);
  CHECK(waiting(true).after(closed(4001), 2s).wait == 0s);
  CHECK(waiting(true).after(closed(4003), 2s).event == Event::Withdrawn);
  CHECK(waiting(true).after(closed(4010), 2s).event == Event::Withdrawn);
  for (const int status : {401, 403, 404}) {
    Ending refused;
    refused.status = status;
    CHECK(waiting(false).after(refused, 2s).event == Event::GrantFailed);
    CHECK(waiting(false).after(refused, 2s).wait == 1s);
  }
  Ending busy;
  busy.status = 503;
  busy.retry_after = 100s;
  CHECK(waiting(true).after(busy, 2s).wait == 120s);
  CHECK(waiting(false).after(busy, 2s).wait == 100s);
}

TEST_CASE("failures in a row double the wait up to 5 minutes, 60 s of readiness begin anew") {
  Waiting most = waiting(true);
  const Ending failed;
  CHECK(most.after(failed, 2s).wait == 1s);
  CHECK(most.after(failed, 2s).wait == 2s);
  CHECK(most.after(failed, 2s).wait == 4s);
  for (int i = 0; i < 20; ++i) (void)most.after(failed, 2s);
  CHECK(most.after(failed, 2s).wait == 300s);
  CHECK(most.after(closed(1011, true, 59s), 2s).wait == 302s);
  CHECK(most.after(closed(1011, true, 60s), 2s).wait == 2s);
}

TEST_CASE("being replaced waits 60 s, doubling to 1 h") {
  Waiting twin = waiting(true);
  CHECK(twin.after(closed(4009), 2s).wait == 60s);
  CHECK(twin.after(closed(4009, true, 10min), 2s).wait == 120s);
  for (int i = 0; i < 10; ++i) (void)twin.after(closed(4009), 2s);
  CHECK(twin.after(closed(4009), 2s).wait == 1h);
}

TEST_CASE("a state is reported at once, figures once a second, and an unchanged status never") {
  StatusReporter reporter;
  SubconnectionStatus status;
  TimePoint now{100s};
  CHECK(reporter.update(status, now));
  CHECK_FALSE(reporter.update(status, now + 10s));
  CHECK(reporter.next_due() == TimePoint::max());
  status.state = State::Connecting;
  CHECK(reporter.update(status, now));
  ++status.sent_messages;
  CHECK_FALSE(reporter.update(status, now + 400ms));
  CHECK(reporter.next_due() == now + 1s);
  CHECK(reporter.update(status, now + 1s));
  CHECK(reporter.next_due() == TimePoint::max());
}

TEST_CASE("a status is written as the core reads it") {
  SubconnectionStatus status;
  status.state = State::Ready;
  status.dropped["nacked"] = 2;
  const std::string text = json::to_text(status.to_message("svc"));
  CHECK(text.find(R"("type":"subconnection","service":"svc","state":"ready")") != std::string::npos);
  CHECK(text.find(R"("failure_reason":null)") != std::string::npos);
  CHECK(text.find(R"("dropped":{"nacked":2})") != std::string::npos);
  CHECK(text.find(R"("rtt_ms":null)") != std::string::npos);
  CHECK(rfc3339(std::chrono::system_clock::time_point(1517064000123ms)) == "2018-01-27T14:40:00.123Z");
}

TEST_CASE("log lines over the limit are dropped and counted, and nothing else waits behind them") {
  int wakes = 0;
  CoreLink link([&] { return ++wakes > 0; });
  for (std::size_t i = 0; i < kLogQueueMax + 5; ++i) link.log("info", "line \x1b[31m");
  REQUIRE(link.send(json::make_object()));
  CHECK(wakes == 1);
  CHECK(link.take()->size() == 0);  // the other message first
  std::size_t lines = 0;
  std::string last;
  while (const auto message = link.take()) {
    last = json::text_or(message, "message");
    ++lines;
  }
  CHECK(lines == kLogQueueMax + 1);
  CHECK(last.find("5 log lines were dropped") == 0);
}

TEST_CASE("[F104] a message whose wake-up failed leaves with the next one") {
  int tries = 0;
  CoreLink link([&] {
    if (++tries == 1) throw std::bad_alloc();
    return tries > 2;  // full at first
  });
  CHECK_THROWS_AS(link.send(json::make_object()), std::bad_alloc);
  CHECK(link.send(json::make_object()));
  CHECK(link.send(json::make_object()));
  CHECK(tries == 3);
  link.log("info", "nobody wakes it twice");
  CHECK(tries == 3);
  for (int i = 0; i < 4; ++i) CHECK(link.take());
  CHECK(!link.take());
  link.log("info", "awake again");
  CHECK(tries == 4);
}

TEST_CASE("the mailbox gives one durable message at a time, and none after one that has to come again") {
  int posts = 0;
  Mailbox mailbox(1000, [&] { return ++posts, true; });
  for (std::uint64_t i = 1; i <= 3; ++i) mailbox.put_durable({"s", i, "x", false, 10});
  CHECK(posts == 1);
  CHECK(mailbox.take_durable()->number == 1);
  CHECK_FALSE(mailbox.take_durable());
  mailbox.put(Mailbox::Acked{1});
  mailbox.put(Mailbox::Acked{2});
  CHECK(std::get<Mailbox::Acked>(*mailbox.take()).ticket == 2);
  CHECK(mailbox.finish());
  CHECK(mailbox.settled(Verdict::Taken));
  CHECK(posts == 2);
  CHECK(mailbox.take_durable()->number == 2);
  CHECK(mailbox.settled(Verdict::Again));
  CHECK_FALSE(mailbox.take_durable());
  CHECK(mailbox.reset_durable() == 0);
  mailbox.put_durable({"s", 2, "x", false, 10});
  CHECK(mailbox.take_durable()->number == 2);
  CHECK(mailbox.reset_durable() == 2);
  CHECK_FALSE(mailbox.put_best_effort(Mailbox::Text{std::string(1001, 'x')}));
}

TEST_CASE("a mailbox says when the service thread could not be asked, and asks it at the retry") {
  bool room = true;
  int posts = 0;
  Mailbox mailbox(1000, [&] { return ++posts, room; });
  for (std::uint64_t i = 1; i <= 2; ++i) mailbox.put_durable({"s", i, "x", false, 10});
  CHECK(mailbox.take_durable()->number == 1);
  CHECK(mailbox.finish());
  room = false;
  CHECK_FALSE(mailbox.settled(Verdict::Taken));
  CHECK(mailbox.retry());
  room = true;
  CHECK_FALSE(mailbox.retry());
  CHECK(posts == 4);
  CHECK(mailbox.take_durable()->number == 2);
}
