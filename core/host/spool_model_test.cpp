#include <rapidcheck.h>

#include <iostream>
#include <set>
#include <stdexcept>

#include "core/host/fake_disk.hpp"
#include "tests/catch.hpp"

// Any order of writing, syncing, reading, acknowledging, losing power, being killed and a disk that refuses, against a
// model that remembers what was promised.
using namespace hawser;
using namespace hawser::host;
using hawser::host::testing::FakeDisk;

namespace {

constexpr int kCases = 500;        // RC_PARAMS="max_success=3000" for more
constexpr int kLongestCase = 120;  // operations
constexpr std::size_t kSmallSpool = 3 * 1024 * 1024;
// On disk beyond the limit: the segment that is written, the one that takes its place after a failed fsync, and notes.
constexpr std::size_t kSlack = 2 * kSegmentBytes + 64 * 1024;

enum class Do {
  Append,
  AppendLong,
  Sync,
  Read,
  Release,
  DropOldest,
  NewStream,
  Discard,
  PowerCut,
  Kill,
  Close,
  ArmCut,
  FailSync,
  FailAppend,
  Fill,
  ReadOnly,
  Heal
};
constexpr const char* kNames[] = {"append",     "append_long", "sync",      "read",      "release", "drop_oldest",
                                  "new_stream", "discard",     "power_cut", "kill",      "close",   "arm_cut",
                                  "fail_sync",  "fail_append", "fill",      "read_only", "heal"};
struct Step {
  Do what;
  unsigned value;
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << kNames[static_cast<int>(step.what)] << '(' << step.value << ')';
}

void must(bool holds, const std::string& words) {
  if (!holds) throw std::runtime_error(words);
}

class Play {
 public:
  Play(std::uint64_t seed, bool relaxed) : disk_(seed), relaxed_(relaxed) { open(); }

  void step(const Step& step) {
    switch (step.what) {
      case Do::Append:
        return append(1 + step.value % 700);
      case Do::AppendLong:
        return append(100'000 + step.value % 300'000);
      case Do::Sync:
        return sync();
      case Do::Read:
        return read(first_.spool() + step.value % 8);
      case Do::Release:
        return release(step.value);
      case Do::DropOldest:
        return drop_oldest(step.value % 100'000);
      case Do::NewStream:
        return new_stream();
      case Do::Discard:
        return discard();
      case Do::PowerCut:
        return restart(End::PowerCut);
      case Do::Kill:
        return restart(End::Kill);
      case Do::Close:
        return restart(End::Close);
      case Do::ArmCut:
        return disk_.cut_power_in(step.value % 8), void(armed_ = true);
      case Do::FailSync:
        return disk_.fail_next_sync();
      case Do::FailAppend:
        return disk_.fail_next_append();
      case Do::Fill:
        return disk_.set_capacity(disk_.used() + step.value % 2000);
      case Do::ReadOnly:
        return disk_.read_only(true);
      case Do::Heal:
        return disk_.heal();
    }
  }

  // Faults have stopped: everything that was promised is there, and the spool works again.
  void finish() {
    restart(End::PowerCut);
    disk_.heal();
    check_all();
    sync();
    note_released(spool_->accepted());
    spool_->release_through(spool_->accepted());
    append(100);
    must(spool_->next() - 1 == newest_, "a healthy disk with room does not take a record");
    sync();
    must(accepted_ == newest_, "a healthy disk does not accept a record");
    restart(End::PowerCut);
    check_all();
  }

 private:
  enum class End { PowerCut, Kill, Close };
  struct Known {
    Spool::Kind kind;
    std::string bytes;
    bool dropped = false;
  };

  void open() {
    Spool::Recovery recovery;
    spool_.emplace(Spool::open(
        disk_.files(), kSmallSpool, relaxed_, [this] { return make_stream(); }, recovery));
    first_.of = &*spool_;
  }
  std::string make_stream() {
    made_.insert("stream-" + std::to_string(made_.size() + 1));
    return "stream-" + std::to_string(made_.size());
  }

  void append(std::size_t size) {
    std::string bytes = "record " + std::to_string(++count_) + " ";
    while (bytes.size() < size) bytes.append(61, static_cast<char>('a' + (count_ + bytes.size() / 13) % 26));
    bytes.resize(std::max<std::size_t>(size, 12));
    const auto kind = static_cast<Spool::Kind>(1 + count_ % 3);
    const std::uint64_t due = spool_->next();
    const auto ticket = spool_->append(kind, bytes);
    if (!ticket) {
      must(ticket.error().code == "io" || ticket.error().code == "full", "append says " + ticket.error().code);
      must(spool_->next() == due, "a refused record has taken a ticket");
      if (ticket.error().code == "full")
        must(spool_->bytes() + size + kSegmentBytes > kSmallSpool, "full at " + std::to_string(spool_->bytes()));
    } else {
      must(*ticket == due && spool_->next() == due + 1, "tickets are not consecutive");
      must(*ticket > accepted_, "ticket " + std::to_string(*ticket) + " is given a second time");
      wrote_ = true;
      known_[*ticket] = {kind, std::move(bytes)};
      newest_ = *ticket;
    }
    check_bounds();
  }

  void sync() {
    const std::uint64_t before = spool_->accepted();
    if (const auto done = spool_->sync(); done) {
      accepted_ = std::max(accepted_, spool_->accepted());
      must(spool_->accepted() + 1 == spool_->next(), "a sync that worked accepts what was appended");
    } else {
      must(spool_->accepted() == before, "a sync that failed accepts something");
    }
    check_bounds();
  }

  void read(std::uint64_t ticket) {
    const auto found = known_.find(ticket);
    if (ticket >= spool_->next() || ticket < spool_->first() || found == known_.end()) return;
    const auto record = spool_->read(ticket);
    const std::string name = "ticket " + std::to_string(ticket);
    if (!record) {
      must(found->second.dropped || (after_crash_ && ticket > accepted_), name + ": " + record.error().message);
      return;
    }
    must(record->ticket == ticket && record->kind == found->second.kind, name + " comes back as another");
    must(record->bytes == found->second.bytes, name + " comes back with other bytes");
  }

  void release(unsigned value) {
    const std::uint64_t first = spool_->first();
    if (spool_->accepted() < first) return;
    const std::uint64_t through = first + value % (spool_->accepted() - first + 1);
    note_released(through);
    spool_->release_through(through);
    must(spool_->first() > through, "released records are still the first");
  }
  void note_released(std::uint64_t through) {
    released_ = std::max(released_, through);
    std::erase_if(known_, [&](const auto& each) { return each.first <= released_; });
  }

  void drop_oldest(std::size_t bytes) {
    const std::uint64_t first = spool_->first();
    std::uint64_t last = first == 0 ? 0 : first - 1;
    for (const auto& gap : spool_->drop_oldest(bytes)) {
      must(gap.from <= gap.to && gap.to < spool_->next(), "a gap beyond what was appended");
      must(gap.from > last, "gaps out of order");
      last = gap.to;
      for (auto at = known_.lower_bound(gap.from); at != known_.end() && at->first <= gap.to; ++at)
        at->second.dropped = true;
    }
    bool kept = false;
    for (auto at = known_.lower_bound(first); at != known_.end(); ++at) {
      must(!kept || !at->second.dropped, "a younger record is dropped before an older one");
      kept |= !at->second.dropped && at->first <= accepted_;
    }
  }

  void new_stream() {
    const std::uint64_t base = spool_->first() - 1;
    const std::string before = spool_->stream().id;
    streams_.insert({before, spool_->stream().base});
    if (const auto done = spool_->new_stream(base); done) {
      must(spool_->stream().id != before && spool_->stream().base == base, "no new stream");
      streams_.clear();
    } else {
      for (const auto& id : made_) streams_.insert({id, base});
    }
    streams_.insert({spool_->stream().id, spool_->stream().base});
  }

  void discard() {
    const std::uint64_t next = spool_->next();
    const auto before = std::pair(spool_->stream().id, spool_->stream().base);
    note_released(std::max(released_, next - 1));
    streams_.insert(before);
    if (spool_->discard()) streams_.clear();
    must(spool_->next() == next, "tickets begin anew after discard");
    must(spool_->first() == spool_->next() && spool_->records() == 0, "discard leaves records");
    streams_.insert({spool_->stream().id, spool_->stream().base});
  }

  void restart(End how) {
    const auto before = std::pair(spool_->stream().id, spool_->stream().base);
    if (streams_.empty()) streams_.insert(before);
    if (how == End::Close && armed_) how = End::PowerCut;
    if (how == End::Kill) disk_.cut_power_in(0);  // nothing that the destructor does reaches the disk
    if (how == End::PowerCut) disk_.cut_power_in(0);
    spool_.reset();
    if (how == End::PowerCut) disk_.power_cut();
    disk_.killed();
    armed_ = false;
    open();
    after_crash_ = how != End::Close;
    must(spool_->next() > accepted_, "after a crash ticket " + std::to_string(spool_->next()) + " comes again");
    must(spool_->first() <= released_ + 1 || spool_->first() == spool_->next(),
         "first is " + std::to_string(spool_->first()) + ", acknowledged is " + std::to_string(released_));
    check_stream(how);
    known_.erase(known_.lower_bound(spool_->next()), known_.end());
    newest_ = spool_->next() - 1;
    released_ = std::min(released_, newest_);  // a discard that failed may have been undone
    if (!spool_->needs_sync()) accepted_ = std::max(accepted_, spool_->accepted());
    check_all();
  }

  void check_stream(End how) {
    const auto now = std::pair(spool_->stream().id, spool_->stream().base);
    const bool goes_on = streams_.contains(now);
    if (!relaxed_ && accepted_ > 0)  // before that no number was sent
      must(goes_on, "stream " + now.first + " with base " + std::to_string(now.second) + " was none");
    // Relaxed: any number may have been sent, so none that was given comes again in the same stream.
    if (relaxed_ && goes_on)
      must(spool_->next() > newest_,
           "the old stream goes on and gives ticket " + std::to_string(spool_->next()) + " again");
    if (relaxed_ && how == End::PowerCut && wrote_) must(!goes_on, "the old stream goes on after a power cut");
    wrote_ = false;
    must(spool_->first() > now.second, "the first record has no number in its stream");
    streams_ = {now};
  }

  void check_all() {
    for (std::uint64_t ticket = spool_->first(); ticket < spool_->next(); ++ticket) read(ticket);
    for (const auto& [ticket, each] : known_)
      if (ticket <= accepted_ && ticket > released_ && !each.dropped)
        must(ticket >= spool_->first() && ticket < spool_->next(), "accepted " + std::to_string(ticket) + " is gone");
    check_bounds();
  }
  void check_bounds() {
    must(spool_->used() <= kSmallSpool, "more bytes than the limit");
    // What is written anew after a crash stands there twice until it is on stable storage.
    const std::size_t twice = spool_->used() == 0 ? 0 : spool_->bytes() - spool_->used();
    must(disk_.used() <= kSmallSpool + twice + kSlack, std::to_string(disk_.used()) + " bytes in the folder");
    must(spool_->first() <= spool_->next(), "first is beyond next");
    must(spool_->records() <= spool_->next() - spool_->first(),
         std::to_string(spool_->records()) + " records in tickets " + std::to_string(spool_->first()) + " to " +
             std::to_string(spool_->next()));
  }

  struct First {
    Spool* of = nullptr;
    std::uint64_t spool() const { return of->first(); }
  };

  FakeDisk disk_;
  const bool relaxed_;
  std::set<std::string> made_;
  std::optional<Spool> spool_;
  First first_;
  std::map<std::uint64_t, Known> known_;  // appended, not released
  std::uint64_t accepted_ = 0, released_ = 0, newest_ = 0;
  std::set<std::pair<std::string, std::uint64_t>> streams_;  // which may be in force after a crash
  bool after_crash_ = false, armed_ = false, wrote_ = false;
  std::uint64_t count_ = 0;
};

rc::Gen<Step> steps() {
  using rc::gen::just;
  return rc::gen::construct<Step>(rc::gen::weightedElement<Do>({{24, Do::Append},
                                                                {3, Do::AppendLong},
                                                                {12, Do::Sync},
                                                                {6, Do::Read},
                                                                {8, Do::Release},
                                                                {1, Do::DropOldest},
                                                                {1, Do::NewStream},
                                                                {1, Do::Discard},
                                                                {3, Do::PowerCut},
                                                                {2, Do::Kill},
                                                                {2, Do::Close},
                                                                {3, Do::ArmCut},
                                                                {2, Do::FailSync},
                                                                {2, Do::FailAppend},
                                                                {1, Do::Fill},
                                                                {1, Do::ReadOnly},
                                                                {3, Do::Heal}}),
                                  rc::gen::inRange<unsigned>(0, 1'000'000));
}

bool holds_in_every_order(const char* what, bool relaxed) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;  // RC_PARAMS="seed=N" repeats a run
  params.maxSuccess = std::max(params.maxSuccess, kCases);
  params.maxSize = kLongestCase;
  rc::detail::TestMetadata about;
  about.id = about.description = what;
  const auto result = rc::detail::checkTestable(
      [=] {
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        const auto script = *rc::gen::container<std::vector<Step>>(steps());
        Play play(seed, relaxed);
        for (const auto& step : script) play.step(step);
        play.finish();
      },
      about, params);
  if (!result.is<rc::detail::SuccessResult>()) {
    std::cerr << what << ", seed " << params.seed << ":\n";
    rc::detail::printResultMessage(result, std::cerr);
    std::cerr << std::endl;
    return false;
  }
  return true;
}

}  // namespace

TEST_CASE("[data-1] whatever order of writes, power cuts, kills and disk errors: what was accepted reads back, once") {
  CHECK(holds_in_every_order("safe", false));
}

TEST_CASE("[data-1] a relaxed spool keeps what it accepted too, and begins a new stream after a power cut") {
  CHECK(holds_in_every_order("relaxed", true));
}
