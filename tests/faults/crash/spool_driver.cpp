// Drives a real spool on real files, for those who kill it, cut its power or break its disk, and judges what is left.
//   spool_driver write FOLDER JOURNAL COUNT [PAUSE_US]   opens, checks, appends COUNT records, syncs and releases
//   spool_driver judge FOLDER JOURNAL [LINES RELEASED]   exit 0 when all that the journal claims is there
// The journal, which must outlive what is done to the folder, has one line each, written
//   `W ticket id`   before append(), which gives the ticket, `A ticket`   after sync() said ok,
//   `E words`  when one of them refused,
//   `R ticket`      before release_through(),            `T id base`  after the stream was opened or begun.
// A record's bytes follow from its id, which is never used twice. LINES: only what stood there in the first lines counts,
// and of releases what stood in the first RELEASED ones.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "core/host/spool.hpp"

using namespace hawser;
using namespace hawser::host;

namespace {

constexpr std::size_t kBytesMax = 2 * 1024 * 1024;

std::string bytes_of(std::uint64_t id) {
  std::mt19937_64 random(id);
  std::string bytes = "record " + std::to_string(id) + " ";
  const std::size_t size = random() % 8 == 0 ? 20'000 + random() % 60'000 : 20 + random() % 900;
  while (bytes.size() < size) bytes += static_cast<char>('a' + random() % 26);
  return bytes;
}

struct Claims {
  std::map<std::uint64_t, std::uint64_t> id_of;  // by ticket, the newest
  std::map<std::uint64_t, std::uint64_t> accepted_id_of;
  std::uint64_t accepted = 0, released = 0, ids = 0;
  std::string stream;
};

// Of the lines up to `released_lines` only what they say of releases.
Claims read_journal(const std::string& path, std::size_t lines, std::size_t released_lines) {
  Claims claims;
  std::ifstream file(path);
  std::string line;
  for (std::size_t at = 0; at < released_lines && std::getline(file, line) && !file.eof(); ++at) {
    if (at >= lines && line[0] != 'R') continue;
    std::istringstream words(line);
    char what = 0;
    std::uint64_t number = 0, id = 0;
    words >> what;
    if (what == 'T') words >> claims.stream;
    if (what != 'T') words >> number;
    if (what == 'W') {
      words >> id;
      claims.id_of[number] = id;
      claims.ids = std::max(claims.ids, id);
    }
    if (what == 'R') claims.released = std::max(claims.released, number);
    if (what != 'A') continue;
    for (std::uint64_t ticket = claims.accepted + 1; ticket <= number; ++ticket)
      claims.accepted_id_of[ticket] = claims.id_of[ticket];
    claims.accepted = std::max(claims.accepted, number);
  }
  return claims;
}

[[noreturn]] void fail(const std::string& words) {
  std::cerr << "spool_driver: " << words << std::endl;
  std::exit(1);
}

class Journal {
 public:
  explicit Journal(const std::string& path) : fd_(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600)) {
    if (fd_ < 0) fail(path + " cannot be written");
  }
  void note(const std::string& line) {
    std::string whole = line + "\n";
    const iovec piece{whole.data(), whole.size()};  // writev(): so that faults of write() concern the spool alone
    if (::writev(fd_, &piece, 1) != static_cast<ssize_t>(whole.size())) fail("the journal is full");
  }

 private:
  int fd_;
};

Spool open_spool(const std::string& folder, Spool::Recovery& recovery) {
  auto files = spool_folder(folder);
  if (!files) fail(files.error().message);
  return Spool::open(
      std::move(*files), kBytesMax, false, [] { return "stream-" + std::to_string(std::random_device()()); }, recovery);
}

void judge(Spool& spool, const Claims& claims, const Spool::Recovery& recovery) {
  if (spool.next() <= claims.accepted)
    fail("ticket " + std::to_string(spool.next()) + " would come again; accepted up to " +
         std::to_string(claims.accepted));
  if (!claims.stream.empty() && claims.accepted > 0 && spool.stream().id != claims.stream)
    fail("stream " + claims.stream + " became " + spool.stream().id);
  for (std::uint64_t ticket = claims.released + 1; ticket <= claims.accepted; ++ticket) {
    const auto record = spool.read(ticket);
    const std::string name = "accepted ticket " + std::to_string(ticket);
    if (!record) fail(name + ": " + record.error().message);
    if (record->bytes != bytes_of(claims.accepted_id_of.at(ticket))) fail(name + " has other bytes");
  }
  if (spool.first() > claims.released + 1 && spool.first() != spool.next() && spool.first() <= claims.accepted)
    fail("records are gone that were not released");
  if (recovery.damaged_records + recovery.damaged_segments + recovery.missing_segments > 0) {
    for (const auto& words : recovery.words) std::cerr << words << "\n";
    if (::getenv("SPOOL_DRIVER_STRICT")) fail("damage where nothing was damaged");
  }
}

void write(const std::string& folder, const std::string& journal_path, std::uint64_t count, unsigned pause_us) {
  const Claims claims = read_journal(journal_path, SIZE_MAX, SIZE_MAX);
  Journal journal(journal_path);
  Spool::Recovery recovery;
  Spool spool = open_spool(folder, recovery);
  judge(spool, claims, recovery);
  journal.note("T " + spool.stream().id);
  std::mt19937_64 random(claims.ids + 17);
  std::uint64_t id = claims.ids + 1000;  // beyond what a killed run may not have noted
  for (std::uint64_t i = 0; i < count; ++i) {
    journal.note("W " + std::to_string(spool.next()) + " " + std::to_string(++id));
    const auto ticket = spool.append(Spool::Kind::Payload, bytes_of(id));
    if (!ticket && ticket.error().code != "full") journal.note("E append: " + ticket.error().message);
    if (pause_us) std::this_thread::sleep_for(std::chrono::microseconds(random() % pause_us));
    if (random() % 3 == 0 || i + 1 == count) {
      if (const auto done = spool.sync(); done)
        journal.note("A " + std::to_string(spool.accepted()));
      else
        journal.note("E sync: " + done.error().message);
    }
    if (random() % 7 == 0 && spool.accepted() >= spool.first()) {
      const std::uint64_t through = spool.first() + random() % (spool.accepted() - spool.first() + 1);
      journal.note("R " + std::to_string(through));
      spool.release_through(through);
    }
    if (!ticket && ticket.error().code == "full") {
      journal.note("R " + std::to_string(spool.accepted()));
      spool.release_through(spool.accepted());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4)
    fail("usage: spool_driver write FOLDER JOURNAL COUNT [PAUSE_US] | judge FOLDER JOURNAL [LINES RELEASED]");
  const std::string what = argv[1];
  if (what == "write" && argc >= 5) {
    write(argv[2], argv[3], std::strtoull(argv[4], nullptr, 10),
          argc > 5 ? static_cast<unsigned>(std::strtoul(argv[5], nullptr, 10)) : 0);
  } else {
    const Claims claims = read_journal(argv[3], argc > 4 ? std::strtoull(argv[4], nullptr, 10) : SIZE_MAX,
                                       argc > 5 ? std::strtoull(argv[5], nullptr, 10) : SIZE_MAX);
    Spool::Recovery recovery;
    Spool spool = open_spool(argv[2], recovery);
    judge(spool, claims, recovery);
    std::cout << "accepted " << claims.accepted << " released " << claims.released << " torn_bytes "
              << recovery.torn_bytes << std::endl;
  }
  return 0;
}
