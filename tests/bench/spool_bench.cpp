// Measures the spool on a real disk, beside a bare file that gets the same bytes with the same fsyncs, and its recovery
// beside reading the same files. Prints one JSON object.
//
// usage: spool_bench FOLDER [WINDOW_S] [RECOVERY_MIB]   FOLDER must not exist; it is removed
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/base/files.hpp"
#include "core/host/spool.hpp"

using namespace hawser;
using namespace hawser::host;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kBatch = 64;               // records that one fsync takes along
constexpr std::chrono::seconds kRelaxedSync{1};  // as delivery does
constexpr std::size_t kRecoveryRecord = 8192;
constexpr int kMode = 0600;

struct Counts {
  std::uint64_t bytes = 0, syncs = 0;
};

// Counts what goes to the disk.
struct Counting : SpoolFiles {
  Counting(std::unique_ptr<SpoolFiles> real, Counts& counts) : real_(std::move(real)), counts_(counts) {}
  Result<std::vector<std::string>> list() override { return real_->list(); }
  Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t bytes) override {
    return real_->read(name, offset, bytes);
  }
  Result<std::uint64_t> size(const std::string& name) override { return real_->size(name); }
  Status create(const std::string& name) override { return real_->create(name); }
  Status append(const std::string& name, std::string_view bytes) override {
    counts_.bytes += bytes.size();
    return real_->append(name, bytes);
  }
  Status cut(const std::string& name, std::uint64_t bytes) override { return real_->cut(name, bytes); }
  Status sync(const std::string& name) override {
    ++counts_.syncs;
    return real_->sync(name);
  }
  Status sync_folder() override {
    ++counts_.syncs;
    return real_->sync_folder();
  }
  Status rename(const std::string& from, const std::string& to) override { return real_->rename(from, to); }
  Status remove(const std::string& name) override { return real_->remove(name); }
  std::string boot() override { return real_->boot(); }

  std::unique_ptr<SpoolFiles> real_;
  Counts& counts_;
};

void must(const Status& done) {
  if (done) return;
  std::cerr << "spool_bench: " << done.error().message << std::endl;
  std::exit(1);
}

Spool open_spool(const fs::path& folder, std::size_t bytes_max, bool relaxed, Counts& counts) {
  auto files = spool_folder(folder);
  if (!files) must(files.error());
  Spool::Recovery recovery;
  return Spool::open(
      std::make_unique<Counting>(std::move(*files), counts), bytes_max, relaxed, [] { return std::string("bench"); },
      recovery);
}

double seconds_since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

// Calls write() over the window, sync() as the mode wants it, and sent(count) after each batch; records a second.
template <typename Write, typename Sync, typename Sent>
double rate(double window_s, bool relaxed, std::size_t batch, Write write, Sync sync, Sent sent) {
  const auto began = Clock::now();
  auto synced = began;
  std::uint64_t count = 0;
  while (seconds_since(began) < window_s) {
    for (std::size_t i = 0; i < batch; ++i) write();
    if (!relaxed || Clock::now() - synced >= kRelaxedSync) {
      sync();
      synced = Clock::now();
    }
    sent(count += batch);
  }
  sync();
  return static_cast<double>(count) / seconds_since(began);
}

nlohmann::json writing(const fs::path& folder, double window_s, bool relaxed, std::size_t batch, std::size_t size) {
  const std::string payload(size, 'x');
  Counts counts;
  double records = 0, written = 0;
  {
    Spool spool = open_spool(folder, kSpoolBytesDefault, relaxed, counts);
    records = rate(
        window_s, relaxed, batch,
        [&] {
          const auto ticket = spool.append(Spool::Kind::Payload, payload);
          if (!ticket) must(ticket.error());
        },
        [&] { must(spool.sync()); },
        [&](std::uint64_t count) {
          spool.release_through(count);  // by a cloud that keeps up
          written = static_cast<double>(count) * static_cast<double>(size);
        });
  }
  fs::remove_all(folder);
  const Descriptor bare(::open((folder.string() + ".bare").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, kMode));
  const double bare_records = rate(
      window_s, relaxed, batch,
      [&] {
        if (::write(bare.get(), payload.data(), size) != static_cast<ssize_t>(size)) must(Error{"io", "a short write"});
      },
      [&] {
        if (::fdatasync(bare.get()) != 0) must(Error{"io", "fdatasync"});
      },
      [](std::uint64_t) {});
  fs::remove(folder.string() + ".bare");
  return {{"mode", relaxed ? "relaxed" : "safe"},
          {"batch", batch},
          {"bytes", size},
          {"records_per_s", records},
          {"bare_records_per_s", bare_records},
          {"amplification", static_cast<double>(counts.bytes) / written}};
}

nlohmann::json recovery(const fs::path& folder, std::uint64_t mib) {
  const std::uint64_t bytes = mib * 1024 * 1024;
  Counts counts;
  {
    Spool spool = open_spool(folder, bytes + bytes / 8, false, counts);
    const std::string payload(kRecoveryRecord, 'x');
    for (std::uint64_t written = 0; written < bytes; written += payload.size()) {
      const auto ticket = spool.append(Spool::Kind::Payload, payload);
      if (!ticket) must(ticket.error());
    }
    must(spool.sync());
  }
  const auto reading = [&] {
    const auto began = Clock::now();
    std::uint64_t sum = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      std::string whole{std::istreambuf_iterator<char>(file), {}};
      for (const char each : whole) sum += static_cast<unsigned char>(each);
    }
    return sum > 0 ? seconds_since(began) : 0;
  };
  reading();  // both from the machine's memory
  const double bare_s = reading();
  const auto began = Clock::now();
  const Spool spool = open_spool(folder, bytes + bytes / 8, false, counts);
  const double open_s = seconds_since(began);
  nlohmann::json figures = {{"mib", mib}, {"records", spool.records()}, {"open_s", open_s}, {"read_s", bare_s}};
  fs::remove_all(folder);
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || fs::exists(argv[1])) {
    std::cerr << "usage: spool_bench FOLDER [WINDOW_S] [RECOVERY_MIB]; FOLDER must not exist" << std::endl;
    return 64;
  }
  const fs::path folder = argv[1];
  const double window_s = argc > 2 ? std::atof(argv[2]) : 1;
  nlohmann::json figures;
  for (const std::size_t size : {512u, 4096u, 65536u}) {
    figures["writing"].push_back(writing(folder, window_s, false, 1, size));
    figures["writing"].push_back(writing(folder, window_s, false, kBatch, size));
    figures["writing"].push_back(writing(folder, window_s, true, kBatch, size));
  }
  figures["recovery"] = recovery(folder, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1024);
  std::cout << figures.dump(2) << std::endl;
}
