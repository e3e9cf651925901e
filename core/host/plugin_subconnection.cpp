#include "core/host/plugin_subconnection.hpp"

#include <algorithm>
#include <cstring>

#include "core/host/content_sink.hpp"
#include "core/host/instance.hpp"
#include "core/host/text_sink.hpp"

using namespace hawser::host;

hws_status hws_subconn::status_of(Subconnection::Sent sent) {
  switch (sent) {
    case Subconnection::Sent::Ok:
      return HWS_OK;
    case Subconnection::Sent::Full:
      return HWS_E_AGAIN;
    case Subconnection::Sent::Closed:
      return HWS_E_CLOSED;
    case Subconnection::Sent::TooLong:
      return HWS_E_INVALID;
  }
  return HWS_E_FAIL;
}

hws_subconn::hws_subconn(Instance& instance, const hws_subconn_events* events, void* user)
    : instance_(instance), user_(user) {
  // Only what the plugin's own header knew; the rest stays NULL.
  if (events) std::memcpy(&events_, events, std::min<std::size_t>(events->size, sizeof events_));
  events_.size = sizeof events_;
}

void hws_subconn::attach(std::unique_ptr<Subconnection> connection) {
  connection_ = std::move(connection);
  instance_.deliver_later(*this);
}

hws_status hws_subconn::send_source(std::string_view source, std::string_view data, bool compress,
                                    std::uint64_t* ticket) {
  if (!events_.source) return HWS_E_UNSUPPORTED;
  if (source.size() > kSourceBytesMax) return HWS_E_INVALID;
  return status_of(connection_->send_source(source, data, compress, ticket));
}

void hws_subconn::deliver() {
  Mailbox& mailbox = connection_->mailbox();
  for (int i = 0; i < kPerTurn; ++i) {
    if (instance_.ended()) return;
    if (auto item = mailbox.take()) {
      give(*item);
    } else if (const auto message = mailbox.take_durable()) {
      give_durable(*message);
    } else if (mailbox.finish()) {
      return;
    }
  }
  instance_.deliver_later(*this);
}

void hws_subconn::give(Mailbox::Item& item) {
  if (const auto* opened = std::get_if<Mailbox::Opened>(&item)) {
    if (events_.opened) instance_.guarded("opened", [&] { events_.opened(user_, this, borrow(opened->about)); });
  } else if (const auto* text = std::get_if<Mailbox::Text>(&item)) {
    if (events_.text) instance_.guarded("text", [&] { events_.text(user_, this, borrow(text->json)); });
  } else if (const auto* message = std::get_if<Mailbox::BestEffort>(&item)) {
    give_best_effort(*message);
  } else if (const auto* acked = std::get_if<Mailbox::Acked>(&item)) {
    if (events_.acked) instance_.guarded("acked", [&] { events_.acked(user_, this, acked->ticket); });
    connection_->heard_acked(acked->ticket);
  } else if (const auto* nacked = std::get_if<Mailbox::Nacked>(&item)) {
    if (events_.nacked)
      instance_.guarded("nacked", [&] {
        events_.nacked(user_, this, nacked->ticket, borrow(nacked->code), borrow(nacked->message));
      });
  } else if (std::holds_alternative<Mailbox::Writable>(item)) {
    if (events_.writable) instance_.guarded("writable", [&] { events_.writable(user_, this); });
  } else if (const auto* closed = std::get_if<Mailbox::Closed>(&item)) {
    if (events_.closed)
      instance_.guarded("closed", [&] {
        events_.closed(user_, this, borrow(closed->reason), borrow(closed->detail), closed->retry_ms);
      });
  } else {
    give_of_spool(item);
  }
}

void hws_subconn::give_of_spool(const Mailbox::Item& item) {
  if (const auto* accepted = std::get_if<Mailbox::Accepted>(&item)) {
    if (events_.accepted) instance_.guarded("accepted", [&] { events_.accepted(user_, this, accepted->ticket); });
  } else if (const auto* found = std::get_if<Mailbox::Found>(&item)) {
    if (events_.found)
      instance_.guarded("found", [&] { events_.found(user_, this, found->ticket, borrow(found->source)); });
  } else if (const auto* resumed = std::get_if<Mailbox::Resumed>(&item)) {
    if (events_.resumed) instance_.guarded("resumed", [&] { events_.resumed(user_, this, resumed->next_ticket); });
  } else if (const auto* ask = std::get_if<Mailbox::AskSource>(&item)) {
    ask_source(*ask);
  }
}

void hws_subconn::ask_source(const Mailbox::AskSource& ask) {
  if (!events_.source) return connection_->source_answer(ask, std::nullopt, "the plugin has no source() any more");
  ContentSink sink(ask.record.length);  // no more than the message was long
  hws_status status = HWS_E_FAIL;
  instance_.guarded("source", [&] {
    status = events_.source(user_, this, ask.ticket, borrow(ask.record.source), sink.sink());
  });
  if (status == HWS_OK) return connection_->source_answer(ask, sink.content(), "");
  connection_->source_answer(ask, std::nullopt, "source() does not have the bytes any more");
}

void hws_subconn::give_best_effort(const Mailbox::BestEffort& message) {
  if (!events_.message) return;
  std::string content;
  if (message.compressed) {
    auto unpacked = hawser::host::decompress(message.payload, connection_->content_bytes_max());
    if (!unpacked) return connection_->count_bad_best_effort();
    content = std::move(*unpacked);
  }
  const std::string& data = message.compressed ? content : message.payload;
  instance_.guarded("message", [&] { events_.message(user_, this, data.data(), data.size()); });
}

void hws_subconn::give_durable(const Inbound& message) {
  stream_ = message.stream;
  number_ = message.number;
  if (!events_.durable) return finish_durable(Verdict::Refused, "this service takes no durable messages");
  std::string content;
  if (message.compressed) {
    auto unpacked = hawser::host::decompress(message.payload, message.content_bytes_max);
    if (!unpacked) return finish_durable(Verdict::Refused, unpacked.error().message);
    content = std::move(*unpacked);
  }
  const std::string& data = message.compressed ? content : message.payload;
  const std::string stream = message.stream;
  TextSink why;
  hws_status status = HWS_E_FAIL;
  instance_.guarded("durable", [&] {
    status = events_.durable(user_, this, borrow(stream), message.number, data.data(), data.size(), why.sink());
  });
  if (status == HWS_PENDING || number_ == 0) return;  // 0: settled from inside
  if (status == HWS_OK) return finish_durable(Verdict::Taken, "");
  if (status == HWS_E_INVALID) return finish_durable(Verdict::Refused, why.text());
  finish_durable(Verdict::Again, "");
}

void hws_subconn::finish_durable(Verdict verdict, std::string why) {
  const std::uint64_t number = number_;
  number_ = 0;
  connection_->verdict({stream_, number, verdict, std::move(why)});
  if (!connection_->mailbox().settled(verdict)) connection_->notify();
}

hws_status hws_subconn::settle(std::uint64_t number, hws_status verdict, std::string_view why) {
  if (number == 0 || number != number_) return HWS_E_INVALID;
  if (verdict == HWS_PENDING) return HWS_E_INVALID;
  const Verdict what = verdict == HWS_OK          ? Verdict::Taken
                       : verdict == HWS_E_INVALID ? Verdict::Refused
                                                  : Verdict::Again;
  finish_durable(what, std::string(why.substr(0, 1024)));
  return HWS_OK;
}
