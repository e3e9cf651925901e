// A cloud that does what clouds do.
#include <algorithm>
#include <random>

#include "core/base/encoding.hpp"
#include "core/config/plugin_limits.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

constexpr Milliseconds kAnHour{3'600'000};
constexpr Milliseconds kASecond{1000};
constexpr int kFlaps = 100, kNackRounds = 50, kGarbage = 200;
constexpr std::uint64_t kRetriesASecond = 100;
constexpr std::size_t kGarbageBytesMax = 2048;
constexpr unsigned kSeed = 20240229;  // the same garbage each time

void never_connected(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  stage.run(kAnHour);
  stage.alive("an hour without a cloud");
}

void denied(const Subject& subject) {
  Stage stage(subject);
  stage.host.denies_services = true;
  if (starts_or_says_why(stage, subject.config)) stage.run(kGoodRun);
}

void flapping(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::size_t timers = stage.host.timers(), watches = stage.host.watches(), descriptors = count_descriptors();
  for (int i = 0; i < kFlaps; ++i) {
    for (auto* subconnection : stage.host.opened()) subconnection->close("reset_by_peer");
    stage.run(kASecond);
    for (auto* subconnection : stage.host.opened()) subconnection->open();
    stage.run(kASecond);
  }
  const std::string times = " after " + std::to_string(kFlaps) + " connections";
  require(stage.host.timers() < timers + kFlaps, "it has " + std::to_string(stage.host.timers()) + " timers" + times);
  require(stage.host.watches() < watches + kFlaps, "it has more watches" + times);
  require(count_descriptors() < descriptors + kFlaps, "it has more descriptors open" + times);
  stage.alive("a connection that comes and goes");
}

void revoked(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (auto* subconnection : stage.host.opened()) subconnection->close("revoked", "the grant was taken back", 0);
  stage.run(kGoodRun);
  stage.alive("its grant was revoked");
}

void outbox_full(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  const std::size_t lines_before = stage.most_lines_in_a_second();
  for (auto* subconnection : stage.host.opened()) subconnection->outbox_full = true;
  const std::size_t sent = stage.durable_sent();
  stage.run(kGoodRun);
  const std::uint64_t refused = stage.refused_sends();
  if (refused == 0) skip("it sends nothing durable by itself");
  const auto seconds = static_cast<std::uint64_t>(kGoodRun / kASecond);
  require(refused <= kRetriesASecond * seconds,
          "it tried " + std::to_string(refused / seconds) + " times a second to send while the outbox was full");
  const std::size_t allowed = static_cast<std::size_t>(subject.manifest && subject.manifest->limits.log_lines
                                                           ? *subject.manifest->limits.log_lines
                                                           : config::kLimitRows[5].usual);
  const std::size_t most = std::max(lines_before, allowed);
  require(stage.most_lines_in_a_second() <= most, "it logged " + std::to_string(stage.most_lines_in_a_second()) +
                                                      " lines in a second about it, " + std::to_string(most) +
                                                      " are allowed");
  for (auto* subconnection : stage.host.opened()) {
    subconnection->outbox_full = false;
    if (subconnection->refused_sends != 0) subconnection->writable();
  }
  stage.run(kGoodRun);
  stage.alive("HWS_E_AGAIN");
  require(stage.durable_sent() > sent, "it sent nothing more after writable()");
}

void nacked(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  for (auto* subconnection : stage.host.opened()) subconnection->open();
  stage.run(kASecond * 10);
  bool ends = false;
  std::map<FakeSubconnection*, std::size_t> seen;
  for (int round = 0; round < kNackRounds && !ends; ++round) {
    ends = true;
    for (auto* subconnection : stage.host.opened()) {
      const std::size_t sent = subconnection->durable_sent.size();  // what follows sends more, for the next round
      for (std::size_t& at = seen[subconnection]; at < sent; ++at) {
        const std::uint64_t number = subconnection->durable_sent[at].number;
        subconnection->accept(number);
        subconnection->nack(number, "nacked", "refused by the check");
        subconnection->ack(number);
        ends = false;
      }
    }
    stage.host.settle_down();
  }
  require(ends, "it sends again at once what the cloud refused for good, for ever");
  if (seen.empty() || stage.durable_sent() == 0) skip("it sends nothing durable by itself");
  stage.run(kGoodRun);
  stage.alive("a nack");
}

void source_again(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  for (auto* subconnection : stage.host.opened()) subconnection->open();
  stage.run(kGoodRun);
  bool any = false;
  for (auto* subconnection : stage.host.opened()) {
    for (const auto& record : stage.host.spools[subconnection->service].records) {
      if (!record.source) continue;
      any = true;
      const auto bytes = subconnection->ask_source(record.message.number);
      require(bytes.has_value(), "source() had nothing for number " + std::to_string(record.message.number) +
                                     ", whose file nobody touched");
      require(*bytes == record.message.data,
              "source() wrote other bytes than were sent under number " + std::to_string(record.message.number));
    }
  }
  if (!any) skip("it sends nothing with send_source()");
}

// ---- what comes from the cloud

void judge(const testing::DurableAnswer& answer, const std::string& about) {
  const bool known = answer.status == HWS_OK || answer.status == HWS_PENDING || answer.status < 0;
  require(known, "durable() answered " + std::to_string(answer.status) + " to " + about);
  const std::string fault = answer.why.empty() ? "" : fault_of_sentence(answer.why, kWhyBytesMax);
  require(fault.empty(), "durable() answered to " + about + " with a reason of " + fault);
}

void deliver(Stage& stage, FakeSubconnection& to, const std::string& data, const std::string& about) {
  to.message(data);
  stage.host.settle_down();
  judge(to.durable(data), about);
  stage.host.settle_down();
  stage.alive(about + " from the cloud");
}

void empty_messages(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (auto* subconnection : stage.host.opened()) {
    deliver(stage, *subconnection, "", "a message of 0 bytes");
    subconnection->text("{}");
    stage.host.settle_down();
  }
  stage.run(kGoodRun);
  stage.alive("messages of 0 bytes");
}

void largest_messages(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (auto* subconnection : stage.host.opened())
    deliver(stage, *subconnection, std::string(kMessageBytesMax, 'x'), "a message of 1 MiB");
  stage.run(kGoodRun);
  stage.alive("messages of 1 MiB");
}

void garbage(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  std::mt19937 random(kSeed);
  for (auto* subconnection : stage.host.opened()) {
    for (int i = 0; i < kGarbage; ++i) {
      std::string data(1 + random() % kGarbageBytesMax, '\0');
      std::generate(data.begin(), data.end(), [&] { return static_cast<char>(random()); });
      deliver(stage, *subconnection, data, "garbage");
    }
    for (const char* json : {R"({"type":null})", R"({"type":["type"],"id":-1})", R"({"type":"\u0000"})",
                             R"({"a":{"a":{"a":[[[[]]]]}}})"}) {
      subconnection->text(json);
      deliver(stage, *subconnection, json, "JSON that means nothing");
    }
  }
  stage.run(kGoodRun);
  stage.alive("garbage");
}

void the_same_again(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (auto* subconnection : stage.host.opened()) {
    const std::string data = R"({"type":"check"})";
    const auto first = subconnection->durable(data, 1);
    stage.run(kGoodRun);
    const auto second = subconnection->durable(data, 1);
    judge(second, "a message that came again");
    require((first.status == HWS_E_INVALID) == (second.status == HWS_E_INVALID),
            "durable() answered " + std::to_string(first.status) + " first, and " + std::to_string(second.status) +
                " when the same number came again");
    stage.run(kGoodRun);
  }
  stage.alive("a message that came again");
}

void settles(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  bool pending = false;
  for (auto* subconnection : stage.host.opened()) {
    const std::size_t before = subconnection->settled.size();
    if (subconnection->durable(R"({"type":"check"})", 1).status != HWS_PENDING) continue;
    pending = true;
    stage.run(kAnHour);
    require(subconnection->settled.size() > before,
            "durable() answered HWS_PENDING, and settle() did not follow within an hour");
  }
  if (!pending) skip("it answers at once");
}

constexpr Check kChecks[] = {
    {"never-connected", "starts", "it lives for an hour without a cloud", "plugin.h, hws_subconn_events.closed",
     "Take HWS_E_AGAIN and HWS_E_CLOSED for answers, not for faults.", never_connected},
    {"denied", "starts", "it bears that the site denies its services", "plugin.h, hws_host_subconn.open: E_DENIED",
     "Refuse the start with error() and the status, or go on with HWS_DEGRADED.", denied},
    {"flapping", "starts", "a connection that comes and goes costs nothing that stays",
     "plugin.h, hws_subconn_events.opened", "Make in opened() only what closed() takes away.", flapping},
    {"revoked", "starts", "it bears that its grant is revoked", "plugin.h, hws_subconn_events.closed",
     "Keep the handle, and wait: the host dials again when there is a new grant.", revoked},
    {"outbox-full", "starts", "it waits when the outbox is full, and goes on at writable()",
     "plugin.h, hws_host_subconn.send_durable: E_AGAIN", "Stop making work at HWS_E_AGAIN; send again in writable().",
     outbox_full},
    {"nack", "starts", "what the cloud refuses for good is not sent for ever", "plugin.h, hws_subconn_events.nacked",
     "Drop it and count it, or send something else.", nacked},
    {"source", "starts", "source() writes the bytes that were sent", "plugin.h, hws_subconn_events.source",
     "Note in `source` the file, the offset and the length, and read exactly those.", source_again},
    {"empty-messages", "starts", "messages of 0 bytes do no harm", "plugin.h, hws_subconn_events.message",
     "Look at `len` first: `data` may point to nothing.", empty_messages},
    {"largest-messages", "starts", "messages of the largest size do no harm",
     "plugin.h, hws_subconn_events.opened: max_message_bytes",
     "Take what fits, and refuse with HWS_E_INVALID and a sentence.", largest_messages},
    {"garbage", "starts", "what means nothing is refused or ignored", "plugin.h, hws_subconn_events.durable",
     "Answer HWS_E_INVALID and write one sentence to `why`; let no exception out of the parser.", garbage},
    {"again", "starts", "a durable message that comes again is answered as before",
     "plugin.h, hws_subconn_events.durable", "Note stream and number with the effect; answer OK to what was taken.",
     the_same_again},
    {"settles", "starts", "what is pending gets settled", "plugin.h, HWS_PENDING",
     "Call settle() on every way out, also when the work failed.", settles},
};

}  // namespace

std::span<const Check> cloud_checks() { return kChecks; }

}  // namespace hawser::sdk::conformance
