#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/host/compression.hpp"
#include "core/host/stream_session.hpp"

// What the session's tests put below and above it.
namespace hawser::host::testing {

using namespace std::chrono_literals;

struct FakeWire : Wire {
  std::vector<std::string> texts, binaries, pings;
  std::size_t room = SIZE_MAX;  // binary messages until it is no longer writable

  void send_text(std::string_view text) override { texts.emplace_back(text); }
  void send_binary(std::string_view head, std::string_view body) override {
    binaries.push_back(std::string(head) + std::string(body));
  }
  void ping(std::string_view payload) override { pings.emplace_back(payload); }
  bool writable() const override { return binaries.size() < room; }
};

struct FakeEvents : SessionEvents {
  std::vector<std::string> texts, best_effort, logs;
  std::vector<Inbound> durable;
  std::vector<std::uint64_t> acked, accepted;
  std::vector<std::pair<std::uint64_t, std::string>> found;
  std::vector<std::pair<std::uint64_t, SourceRecord>> asked;
  std::uint64_t resumed = 0;
  std::vector<std::pair<std::uint64_t, std::string>> nacked;
  std::map<std::string, std::uint64_t> dropped;
  std::uint64_t held = 0;  // the number that the plugin keeps over a reset
  int resets = 0;

  void on_text(std::string_view json) override { texts.emplace_back(json); }
  void on_best_effort(std::string payload, bool compressed) override {
    best_effort.push_back((compressed ? "z:" : "") + payload);
  }
  void on_durable(Inbound message) override { durable.push_back(std::move(message)); }
  std::uint64_t on_durable_reset() override { return ++resets, held; }
  void on_acked(std::uint64_t ticket) override { acked.push_back(ticket); }
  void on_nacked(std::uint64_t ticket, const std::string& code, const std::string&) override {
    nacked.emplace_back(ticket, code);
  }
  void on_dropped(const std::string& reason, std::uint64_t count, const std::string&) override {
    dropped[reason] += count;
  }
  void on_log(const std::string& message) override { logs.push_back(message); }
  void on_accepted(std::uint64_t ticket) override { accepted.push_back(ticket); }
  void on_found(std::uint64_t ticket, const std::string& source) override { found.emplace_back(ticket, source); }
  void on_resumed(std::uint64_t next_ticket) override { resumed = next_ticket; }
  void on_ask_source(std::uint64_t ticket, const SourceRecord& record) override { asked.emplace_back(ticket, record); }
};

struct FakeStore : ReceivedStore {
  Received kept;
  int saves = 0;
  bool broken = false;

  Received load() override { return kept; }
  Status save(const Received& received) override {
    if (broken) return Error{"no_space", "disk full"};
    kept = received;
    ++saves;
    return ok();
  }
};

inline std::string binary(unsigned char kind, std::uint64_t number, const std::string& payload) {
  std::string message(1, static_cast<char>(kind));
  for (int shift = 56; shift >= 0; shift -= 8) message += static_cast<char>((number >> shift) & 0xff);
  return message + payload;
}

inline std::uint64_t number_in(const std::string& message) {
  std::uint64_t number = 0;
  for (std::size_t i = 1; i < 9; ++i) number = (number << 8) | static_cast<unsigned char>(message.at(i));
  return number;
}

// One session with everything around it, and a clock that the test moves.
struct Stage {
  Outbox outbox{kOutboxBytesDefault};
  BestEffortQueue queue{kQueueBytesDefault};
  FakeStore store;
  FakeEvents events;
  FakeWire wire;
  Limits limits;
  TimePoint now{1000s};
  int streams = 0;
  std::unique_ptr<Delivery> delivery;
  std::unique_ptr<StreamSession> session;

  Stage() { begin(); }
  void begin() {
    delivery = std::make_unique<Delivery>(Delivery::Settings{}, outbox, events,
                                          [this] { return "stream-" + std::to_string(++streams); });
    session = std::make_unique<StreamSession>(StreamSession::Identity{"acme.probe", "1.2.3"}, *delivery, queue, store,
                                              events);
  }

  std::uint64_t push(const std::string& payload) {
    std::uint64_t ticket = 0;
    if (outbox.push(payload, false, &ticket) != Outbox::Push::Taken) return 0;
    return ticket;
  }
  void connect() {
    wire = FakeWire();
    session->connected(limits, wire, now);
  }
  std::optional<Fault> text(const std::string& json) { return session->text(json, now); }
  std::optional<Fault> welcome(std::uint64_t acked = 0, const std::string& stream = "cloud-1", std::uint64_t next = 1,
                               const std::string& nacked = "[]") {
    return text(R"({"type":"welcome","acked":)" + std::to_string(acked) + R"(,"nacked":)" + nacked + R"(,"stream":")" +
                stream + R"(","next_seq":)" + std::to_string(next) + "}");
  }
  std::optional<Fault> ack(std::uint64_t number) {
    return text(R"({"type":"ack","seq":)" + std::to_string(number) + "}");
  }
  std::optional<Fault> in(std::uint64_t number, const std::string& payload = "x", unsigned char kind = 0x02) {
    return session->binary(binary(kind, number, payload), now);
  }
  std::optional<Fault> verdict(std::uint64_t number, Verdict what = Verdict::Taken, const std::string& why = "",
                               const std::string& stream = "cloud-1") {
    return session->verdict(stream, number, what, why, now);
  }
  std::optional<Fault> tick(std::chrono::milliseconds later = 0ms) {
    now += later;
    return session->tick(now, now);
  }
  void disconnect() { session->disconnected(); }

  std::vector<std::string> sent() const {  // payloads of the durable messages on the wire
    std::vector<std::string> payloads;
    for (const auto& message : wire.binaries) payloads.push_back(message.substr(9));
    return payloads;
  }
};

}  // namespace hawser::host::testing
