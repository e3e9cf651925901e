#include "core/host/fake_disk.hpp"
#include "tests/catch.hpp"

// What lies in the folder is damaged at any byte: open() succeeds, gives back everything else, and says what was not as
// it should be.
using namespace hawser;
using namespace hawser::host;
using hawser::host::testing::FakeDisk;

namespace {

constexpr std::size_t kRoom = 64 * 1024;     // so that segments are short and a folder has several
constexpr std::size_t kDamagedBytes = 4096;  // at the end of each file

std::string bytes_of(std::uint64_t ticket) {
  std::string bytes = "record " + std::to_string(ticket) + " ";
  while (bytes.size() < 60 + ticket * 37 % 400) bytes += static_cast<char>('a' + (ticket + bytes.size()) % 26);
  return bytes;
}

struct Opened {
  Spool::Recovery recovery;
  Spool spool;
  explicit Opened(FakeDisk& disk)
      : spool(Spool::open(
            disk.files(), kRoom, false, [] { return std::string("stream-new"); }, recovery)) {}
  bool says_something() const { return !recovery.words.empty(); }
};

// Tickets 1 to `records`, accepted; closed in order.
FakeDisk filled(std::uint64_t records) {
  FakeDisk disk(1);
  Spool::Recovery recovery;
  Spool spool = Spool::open(
      disk.files(), kRoom, false, [] { return std::string("stream-old"); }, recovery);
  for (std::uint64_t ticket = 1; ticket <= records; ++ticket) {
    REQUIRE(spool.append(Spool::Kind::Payload, bytes_of(ticket)));
    if (ticket % 3 == 0) REQUIRE(spool.sync());
  }
  REQUIRE(spool.sync());
  return disk;
}

// Which records the file holds, by where their bytes stand in it.
std::map<std::uint64_t, std::pair<std::size_t, std::size_t>> places(const FakeDisk& disk, const std::string& name,
                                                                    std::uint64_t records) {
  std::map<std::uint64_t, std::pair<std::size_t, std::size_t>> found;
  for (std::uint64_t ticket = 1; ticket <= records; ++ticket) {
    const std::string bytes = bytes_of(ticket);
    if (const auto at = disk.content(name).find(bytes); at != std::string::npos)
      found[ticket] = {at, at + bytes.size()};
  }
  return found;
}

// Every record but those in `lost` reads back; one that is lost is never another's bytes.
void check_rest(Spool& spool, std::uint64_t records, const std::function<bool(std::uint64_t)>& may_be_lost) {
  for (std::uint64_t ticket = 1; ticket <= records; ++ticket) {
    const auto record = spool.read(ticket);
    if (record && record->bytes != bytes_of(ticket)) FAIL("ticket " << ticket << " reads back with other bytes");
    if (!record && !may_be_lost(ticket)) FAIL("ticket " << ticket << " is lost: " << record.error().message);
  }
}

// A spool that was damaged goes on working.
void check_alive(Spool& spool) {
  const auto ticket = spool.append(Spool::Kind::Payload, "afterwards");
  REQUIRE(ticket);
  REQUIRE(spool.sync());
  CHECK(spool.read(*ticket)->bytes == "afterwards");
}

constexpr std::uint64_t kRecords = 80;

}  // namespace

TEST_CASE("[F95] the last records cut at every byte: all before come back, and what was cut is told") {
  const FakeDisk whole = filled(kRecords);
  const std::string newest = [&] {
    std::string last;
    for (const auto& name : whole.names())
      if (places(whole, name, kRecords).contains(kRecords)) last = name;
    return last;
  }();
  const auto here = places(whole, newest, kRecords);
  const std::string bytes = whole.content(newest);
  const std::size_t from = bytes.size() > kDamagedBytes ? bytes.size() - kDamagedBytes : 0;
  for (std::size_t length = from; length < here.at(kRecords).second; ++length) {
    INFO(newest << " cut to " << length << " of " << bytes.size());
    FakeDisk disk = whole.copy(length);
    disk.replace(newest, bytes.substr(0, length));
    Opened opened(disk);
    check_rest(opened.spool, kRecords,
               [&](std::uint64_t ticket) { return here.contains(ticket) && here.at(ticket).second > length; });
    // Cut between two records nothing is torn: it looks as if the rest was never written.
    const bool within = std::any_of(here.begin(), here.end(), [&](const auto& each) {
      return each.second.first <= length && length < each.second.second;
    });
    if (within) CHECK((opened.says_something() && opened.recovery.torn_bytes > 0));
    check_alive(opened.spool);
  }
}

TEST_CASE("[F96] every byte flipped: no record but the one hit is lost, none is wrong, and it is told") {
  const FakeDisk whole = filled(kRecords);
  for (const auto& name : whole.names()) {
    const auto here = places(whole, name, kRecords);
    const std::string bytes = whole.content(name);
    const std::size_t from = bytes.size() > kDamagedBytes ? bytes.size() - kDamagedBytes : 0;
    for (std::size_t at = from; at < bytes.size(); ++at) {
      INFO(name << " byte " << at << " of " << bytes.size());
      FakeDisk disk = whole.copy(at);
      std::string broken = bytes;
      broken[at] = static_cast<char>(broken[at] ^ (at % 2 ? 0x01 : 0xff));
      disk.replace(name, broken);
      Opened opened(disk);
      std::uint64_t hit = 0;  // the record whose payload or header it is
      for (const auto& [ticket, place] : here)
        if (at < place.second) {
          hit = ticket;
          break;
        }
      check_rest(opened.spool, kRecords, [&](std::uint64_t ticket) { return ticket == hit; });
      if (hit != 0 && !opened.spool.read(hit)) CHECK(opened.says_something());
      check_alive(opened.spool);
    }
  }
}

TEST_CASE("[F97] a file of NULs or an empty one is never fatal") {
  const FakeDisk whole = filled(kRecords);
  for (const auto& name : whole.names())
    for (const std::size_t length : {std::size_t{0}, whole.content(name).size(), std::size_t{100'000}}) {
      INFO(name << " as " << length << " NULs");
      FakeDisk disk = whole.copy(length);
      disk.replace(name, std::string(length, '\0'));
      const auto here = places(whole, name, kRecords);
      Opened opened(disk);
      check_rest(opened.spool, kRecords, [&](std::uint64_t ticket) { return here.contains(ticket); });
      // An empty one at either end may as well be acknowledged, or never written; its tickets are a gap if they are due.
      const bool in_the_middle = !here.contains(1) && !here.contains(kRecords);
      if (length > 0 || in_the_middle) CHECK(opened.says_something());
      for (const auto& [ticket, place] : here)
        if (ticket < opened.spool.next() && ticket >= opened.spool.first())
          CHECK(opened.spool.read(ticket).error().code == "gap");
      check_alive(opened.spool);
    }
}

TEST_CASE("[F98] a segment that is gone is a gap with its tickets, and the rest comes back") {
  const FakeDisk whole = filled(kRecords);
  int middle = 0;
  for (const auto& name : whole.names()) {
    const auto here = places(whole, name, kRecords);
    if (here.empty() || here.contains(kRecords)) continue;  // without the newest nobody can know that it was there
    INFO(name << " is gone");
    FakeDisk disk = whole.copy(7);
    disk.lose_file(name);
    Opened opened(disk);
    check_rest(opened.spool, kRecords, [&](std::uint64_t ticket) { return here.contains(ticket); });
    if (here.begin()->first != 1) {
      CHECK(opened.says_something());
      CHECK(opened.spool.read(here.begin()->first).error().code == "gap");
      ++middle;
    }
    check_alive(opened.spool);
  }
  CHECK(middle > 0);
}

TEST_CASE(
    "[F99] a stream file older or newer than the records starts, loses no record that it may still need, and says so") {
  const FakeDisk whole = filled(kRecords);
  FakeDisk later(2), earlier(3);
  {
    FakeDisk grown = whole.copy(4);
    Opened opened(grown);
    opened.spool.release_through(kRecords / 2);
    REQUIRE(opened.spool.new_stream(kRecords / 2));
    later = grown.copy(5);
  }
  for (const auto& name : whole.names()) {
    if (!places(whole, name, kRecords).empty()) continue;  // only what holds no records
    if (!later.content(name).empty()) {
      FakeDisk newer = whole.copy(6);
      newer.replace(name, later.content(name));
      Opened opened(newer);
      check_rest(opened.spool, kRecords, [](std::uint64_t ticket) { return ticket <= kRecords / 2; });
      check_alive(opened.spool);
      FakeDisk older = later.copy(7);
      older.replace(name, whole.content(name));
      Opened again(older);
      check_rest(again.spool, kRecords, [](std::uint64_t ticket) { return ticket <= kRecords / 2; });
      check_alive(again.spool);
    }
  }
}
