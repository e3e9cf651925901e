#include "core/host/delivery.hpp"

#include <algorithm>
#include <utility>

namespace hawser::host {
namespace {

constexpr std::uint64_t kNackedMax = 4096;  // of what is discarded: the plugin hears the reason, and that is enough

Spool::Kind kind_of(const Outbox::Entry& entry) {
  if (entry.source) return Spool::Kind::Source;
  return entry.compressed ? Spool::Kind::Compressed : Spool::Kind::Payload;
}

Outgoing message(std::string payload, bool compressed) {
  Outgoing outgoing;
  outgoing.kind = Outgoing::Kind::Message;
  outgoing.payload = std::move(payload);
  outgoing.compressed = compressed;
  return outgoing;
}

Outgoing lost(std::uint64_t to, std::string reason) {
  Outgoing outgoing;
  outgoing.kind = Outgoing::Kind::Lost;
  outgoing.to = to;
  outgoing.reason = std::move(reason);
  return outgoing;
}

}  // namespace

Delivery::Delivery(Settings settings, Outbox& outbox, SessionEvents& events, std::function<std::string()> make_stream)
    : settings_(std::move(settings)), outbox_(outbox), events_(events), make_stream_(std::move(make_stream)) {
  memory_stream_ = {make_stream_(), 0};
  if (!settings_.folder.empty()) return;
  memory_only_ = true;
  outbox_.open(1);
}

// ---- the disk -----------------------------------------------------------------------------------------------------

void Delivery::turn(TimePoint now) {
  if (settings_.folder.empty()) return;
  if (!spool_ && (retry_ == TimePoint::max() || now >= retry_)) open(now);
  if (!spool_) return;
  if (memory_only_) return now >= retry_ ? return_to_disk(now) : void();
  if (retry_ != TimePoint::max() && now < retry_) return;
  retry_ = TimePoint::max();
  move_in(now);
  if (retry_ == TimePoint::max() && spool_->needs_sync()) sync(now);
  tell_accepted();
  outbox_.spool_holds(spool_->used(), spool_->records());
}

TimePoint Delivery::next_due() const { return std::min(retry_, sync_due_); }

void Delivery::open(TimePoint now) {
  auto files = spool_folder(settings_.folder);
  if (!files) {
    retry_ = now + kDiskRetry;
    if (problem_ == "spool: " + files.error().message) return;
    problem_ = "spool: " + files.error().message;
    return events_.on_log(problem_);
  }
  retry_ = TimePoint::max();
  problem_.clear();
  Spool::Recovery recovery;
  // The first stream of an empty folder is the one that was said already, if any was.
  const auto make = [this, first = true]() mutable {
    return std::exchange(first, false) ? memory_stream_.id : make_stream_();
  };
  spool_.emplace(Spool::open(std::move(*files), settings_.bytes_max, settings_.relaxed, make, recovery));
  for (const std::string& words : recovery.words) events_.on_log("spool: " + words);
  acked_ = spool_->first() - 1;
  told_accepted_ = recovered_ = spool_->next() - 1;
  for (const std::uint64_t ticket : recovery.sources) {
    const auto record = spool_->read(ticket);
    const auto source = record ? SourceRecord::read(record->bytes) : std::nullopt;
    if (source) events_.on_found(ticket, source->source);
  }
  outbox_.spool_holds(spool_->used(), spool_->records());
  outbox_.open(spool_->next());
  events_.on_resumed(spool_->next());
  if (Status stable = spool_->sync(); !stable) disk_refused(stable.error(), now);
}

void Delivery::move_in(TimePoint now) {
  while (const Outbox::Entry* const entry = outbox_.at(outbox_.first())) {
    const std::string_view bytes = entry->source ? *entry->source : entry->payload;
    auto ticket = spool_->append(kind_of(*entry), bytes);
    while (!ticket && ticket.error().code == "full" && make_room(bytes.size()))
      ticket = spool_->append(kind_of(*entry), bytes);
    if (!ticket) {
      if (ticket.error().code == "full") return;
      // What was appended before goes from the disk, in the stream that it has there: sent from memory in another one, a
      // host that is killed then would send it again.
      if (spool_->sync()) tell_accepted();
      return disk_refused(ticket.error(), now);
    }
    if (entry->source && fresh_bytes_ + entry->payload.size() <= kOutboxBytesDefault) {
      fresh_bytes_ += entry->payload.size();
      fresh_[*ticket] = message(entry->payload, entry->compressed);
    }
    outbox_.pop_through(*ticket);
  }
}

bool Delivery::make_room(std::size_t bytes) {
  if (!settings_.drop_oldest) return false;
  if (!spool_->sync()) return false;
  const std::size_t before = spool_->bytes();
  std::uint64_t dropped = 0;
  for (const Spool::Gap& gap : spool_->drop_oldest(bytes))
    dropped += gap.to - std::min(gap.to, std::max(gap.from - 1, acked_));
  if (dropped > 0) events_.on_dropped("spool_full", dropped, "the oldest messages made room in a full spool");
  return dropped > 0 || spool_->bytes() < before;
}

void Delivery::sync(TimePoint now) {
  if (settings_.relaxed) {
    if (sync_due_ == TimePoint::max()) sync_due_ = now + kRelaxedSync;
    if (now < sync_due_) return;
  }
  sync_due_ = TimePoint::max();
  Status done = spool_->sync();
  if (!done) {
    events_.on_log("spool: " + done.error().message + "; once more in another segment");
    done = spool_->sync();
  }
  if (!done) return disk_refused(done.error(), now);
  if (!problem_.empty()) events_.on_log("spool: the disk takes messages again");
  problem_.clear();
}

void Delivery::tell_accepted() {
  if (spool_->accepted() <= told_accepted_) return;
  told_accepted_ = spool_->accepted();
  events_.on_accepted(told_accepted_);
}

// Nothing is accepted now. When nothing on disk waits to be sent, memory is better than silence.
void Delivery::disk_refused(const Error& why, TimePoint now) {
  retry_ = now + kDiskRetry;
  sync_due_ = TimePoint::max();
  why_ = why.message;
  if (problem_.empty()) events_.on_log("spool: the disk refuses: " + why_);
  if (problem_.empty()) problem_ = "spool: the disk refuses: " + why_;
  if (!memory_only_ && acked_ >= spool_->accepted()) go_on_in_memory();
}

void Delivery::go_on_in_memory() {
  memory_only_ = true;
  memory_stream_ = {make_stream_(), acked_};
  recovered_ = 0;
  problem_ = "spool: memory only, " + why_;
  events_.on_log(problem_);
}

// The stream in memory goes on in the spool, with its numbers.
void Delivery::return_to_disk(TimePoint now) {
  spool_->release_through(acked_);
  const std::uint64_t left = std::min(outbox_.first(), spool_->next());
  const auto stable = spool_->continue_stream(memory_stream_, std::max(acked_, left - 1));
  if (!stable) {
    retry_ = now + kDiskRetry;
    return;
  }
  memory_only_ = false;
  retry_ = TimePoint::max();
  turn(now);
}

// ---- the sender's side --------------------------------------------------------------------------------------------

const std::string& Delivery::stream() const {
  return memory_only_ || !spool_ ? memory_stream_.id : spool_->stream().id;
}
std::uint64_t Delivery::base() const { return memory_only_ || !spool_ ? memory_stream_.base : spool_->stream().base; }

std::uint64_t Delivery::end() const {
  if (memory_only_) return outbox_.next();
  if (!spool_) return 1;
  return settings_.relaxed ? spool_->next() : spool_->accepted() + 1;
}

std::uint64_t Delivery::waiting() const {
  const std::uint64_t all = outbox_.messages() + (spool_ ? spool_->records() : 0);
  return all - std::min<std::uint64_t>(all, refused_.size());
}

Outgoing Delivery::read(std::uint64_t ticket) {
  if (const auto refused = refused_.find(ticket); refused != refused_.end()) {
    std::uint64_t to = ticket;
    for (auto next = std::next(refused); next != refused_.end() && next->first == to + 1; ++next) {
      if (next->second != refused->second) break;
      ++to;
    }
    return lost(to, refused->second);
  }
  if (const auto fresh = fresh_.find(ticket); fresh != fresh_.end()) return fresh->second;
  if (const Outbox::Entry* const entry = outbox_.at(ticket)) return message(entry->payload, entry->compressed);
  if (const auto gap = spool_->gap(ticket)) return lost(gap->to, gap->reason);
  auto record = spool_->read(ticket);
  if (!record) {
    if (record.error().code == "io") {
      if (problem_.empty()) events_.on_log("spool: " + record.error().message);
      problem_ = "spool: " + record.error().message;
      return {};
    }
    events_.on_log("spool: " + record.error().message);
    return lost(ticket, "spool_damaged");
  }
  if (record->kind == Spool::Kind::Source) return read_source(ticket, record->bytes);
  return message(std::move(record->bytes), record->kind == Spool::Kind::Compressed);
}

Outgoing Delivery::read_source(std::uint64_t ticket, const std::string& record) {
  // However long the plugin takes: one that never answers is ended for its stall, and its next host asks again.
  if (asked_ == ticket) return {};
  const auto source = SourceRecord::read(record);
  if (!source) return lost(ticket, "spool_damaged");
  asked_ = ticket;
  events_.on_ask_source(ticket, *source);
  return {};
}

Outgoing Delivery::give_up(std::uint64_t ticket, const std::string& why) {
  asked_ = 0;
  if (refuse(ticket, "expired")) {
    events_.on_nacked(ticket, "expired", why);
    events_.on_dropped("expired", 1, why);
  }
  return lost(ticket, "expired");
}

void Delivery::source_answer(SourceAnswer answer) {
  if (answer.ticket != asked_) return;  // too late
  if (!answer.payload) {
    give_up(answer.ticket, answer.why);
    return;
  }
  asked_ = 0;
  fresh_bytes_ += answer.payload->size();
  fresh_[answer.ticket] = message(std::move(*answer.payload), answer.compressed);
}

void Delivery::sent(std::uint64_t ticket) {
  const auto fresh = fresh_.find(ticket);
  if (fresh == fresh_.end()) return;
  fresh_bytes_ -= fresh->second.payload.size();
  fresh_.erase(fresh);
}

void Delivery::acknowledge(std::uint64_t ticket) {
  acked_ = std::max(acked_, ticket);
  refused_.erase(refused_.begin(), refused_.upper_bound(ticket));
  while (!fresh_.empty() && fresh_.begin()->first <= ticket) sent(fresh_.begin()->first);
  if (asked_ != 0 && asked_ <= ticket) asked_ = 0;
  if (memory_only_) outbox_.pop_through(ticket);
  // With the disk out of order nothing on it may wait any more: memory then.
  if (spool_ && !memory_only_ && retry_ != TimePoint::max() && acked_ >= spool_->accepted()) go_on_in_memory();
}

void Delivery::release(std::uint64_t ticket) {
  if (!spool_ || memory_only_) return;
  spool_->release_through(std::min(ticket, acked_));
  outbox_.spool_holds(spool_->used(), spool_->records());
}

bool Delivery::refuse(std::uint64_t ticket, const std::string& reason) {
  return ticket > acked_ && ticket < std::max(end(), outbox_.next()) && refused_.emplace(ticket, reason).second;
}

void Delivery::new_stream() {
  recovered_ = 0;
  if (memory_only_ || !spool_) {
    memory_stream_ = {make_stream_(), acked_};
    return;
  }
  // Where the disk refuses, the old stream stays, and with it the question.
  if (Status done = spool_->new_stream(acked_); !done) events_.on_log("spool: no new stream: " + done.error().message);
}

std::uint64_t Delivery::discard() {
  std::uint64_t count = 0;
  const std::uint64_t next = std::max(outbox_.next(), acked_ + 1);
  for (std::uint64_t ticket = acked_ + 1; ticket < next; ++ticket) {
    if (refused_.count(ticket) > 0) continue;
    if (count < kNackedMax) events_.on_nacked(ticket, "unbound", "the device was unbound from its cloud");
    ++count;
  }
  outbox_.discard();
  refused_.clear();
  fresh_.clear();
  fresh_bytes_ = 0;
  asked_ = recovered_ = 0;
  acked_ = next - 1;
  memory_stream_ = {make_stream_(), acked_};
  if (!spool_) return count;
  if (Status done = spool_->discard(); !done) events_.on_log("spool: " + done.error().message);
  if (spool_->next() < next) {
    // What was still in the outbox had its tickets.
    if (Status done = spool_->continue_stream(spool_->stream(), acked_); !done)
      events_.on_log("spool: " + done.error().message);
  }
  outbox_.spool_holds(spool_->used(), spool_->records());
  return count;
}

}  // namespace hawser::host
