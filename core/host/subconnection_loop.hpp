#pragma once

#include "core/host/stream_session.hpp"
#include "core/host/subconnection.hpp"
#include "core/host/subconnection_status.hpp"
#include "core/host/waiting.hpp"

namespace hawser::host {

// The I/O thread of one subconnection: applies the state table, dials, turns the WebSocket, and feeds the session.
// Made, run and destroyed on that thread.
class SubconnectionLoop : private SessionEvents, private Wire {
 public:
  SubconnectionLoop(SubconnectionShared& shared, std::unique_ptr<Gateway> gateway);
  void run();  // until Stopped

 private:
  // The state table's side (subconnection_loop.cpp).
  void take_words();
  void hear(const CoreWord& word);
  void apply(Event event);
  void perform(Action action, Event event);
  void close_socket(std::uint16_t code, const std::string& reason);
  void network_changed(bool resumed);
  void ask_for_grants();
  void tell_closed(const std::string& reason, const std::string& detail, std::chrono::milliseconds retry);
  void follow(const Ending& ending);
  void wait_for_something();
  void drain_if_done();
  TimePoint due();

  // The network's side (subconnection_io.cpp).
  void dial();
  void upgraded(transport::Upgrade upgrade);
  void refused_upgrade(const transport::HttpAnswer& answer);
  void turn_socket();
  void socket_ended();
  void drop_socket(Ending ending);
  bool was_local(const Ending& ending) const;
  void check(const std::optional<Fault>& fault);
  void turn_delivery();
  void report_status();
  SubconnectionStatus status() const;

  // Hands what the socket brings to the session, as long as the session hears it.
  class Ears : public transport::WebSocket::Listener {
   public:
    explicit Ears(SubconnectionLoop& loop) : loop_(loop) {}
    void on_text(std::string_view data) override;
    void on_binary(std::string_view data) override;
    void on_pong(std::string_view payload) override;

   private:
    SubconnectionLoop& loop_;
  };

  void on_text(std::string_view json) override;
  void on_best_effort(std::string payload, bool compressed) override;
  void on_durable(Inbound message) override;
  std::uint64_t on_durable_reset() override;
  void on_acked(std::uint64_t ticket) override;
  void on_nacked(std::uint64_t ticket, const std::string& code, const std::string& message) override;
  void on_dropped(const std::string& reason, std::uint64_t count, const std::string& detail) override;
  void on_log(const std::string& message) override;
  void on_accepted(std::uint64_t ticket) override { shared_.mailbox.put(Mailbox::Accepted{ticket}); }
  void on_found(std::uint64_t ticket, const std::string& source) override {
    shared_.mailbox.put(Mailbox::Found{ticket, source});
  }
  void on_resumed(std::uint64_t next_ticket) override { shared_.mailbox.put(Mailbox::Resumed{next_ticket}); }
  void on_ask_source(std::uint64_t ticket, const SourceRecord& record) override {
    shared_.mailbox.put(Mailbox::AskSource{ticket, record});
  }

  void send_text(std::string_view text) override { socket_->send_text(text); }
  void send_binary(std::string_view head, std::string_view body) override { socket_->send_binary(head, body); }
  void ping(std::string_view payload) override { socket_->ping(payload); }
  bool writable() const override { return socket_->writable(); }

  SubconnectionShared& shared_;
  const std::string service_;
  std::unique_ptr<Gateway> gateway_;
  ReceivedFile store_;
  Delivery delivery_;
  StreamSession session_;
  Waiting waiting_;
  StatusReporter reporter_;

  State state_ = State::WaitingForGrant;
  std::string since_;
  std::optional<Grant> grant_;  // for the next dial
  Grant dialled_;               // of the present connection
  std::chrono::seconds spread_ = kSpreadDefault;
  TimePoint wait_over_ = TimePoint::max();
  TimePoint stop_at_ = TimePoint::max();
  TimePoint drain_until_ = TimePoint::max();
  std::chrono::milliseconds wait_{0};
  bool wait_is_own_ = true;
  std::optional<TimePoint> network_changed_at_;

  std::unique_ptr<transport::WebSocket> socket_;
  bool in_session_ = false;  // the session hears the socket; false while it is only closing
  std::optional<Fault> fault_;
  TimePoint ready_at_{};
  bool opened_ = false;  // the plugin was told that it is open

  std::string failure_reason_, detail_, url_;
  std::uint64_t openings_ = 0;
  std::map<std::string, std::uint64_t> dropped_;
  std::uint64_t spool_full_count_ = 0;
  std::map<std::string, std::pair<std::uint64_t, std::string>> unreported_;  // drops since the last event, by reason
  bool touched_ = false;                                                     // figures may have changed
  TimePoint figures_due_ = TimePoint::max();
  TimePoint figures_at_{};
};

}  // namespace hawser::host
