#include "core/control/flight_page.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace hawser::control {
namespace {

constexpr int kReadingsMost = 3;  // of a page that changes while it is read

MappedFlightPage map(int fd, int protection) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const memory = ::mmap(nullptr, kFlightPageBytes, protection, flags, fd, 0);
  return MappedFlightPage(memory == MAP_FAILED ? nullptr : static_cast<FlightPage*>(memory));
}

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

std::string read_name(const FlightPage& page) {
  std::string name;
  for (const auto& cell : page.name) {
    const char c = cell.load(std::memory_order_acquire);
    if (c == '\0') break;
    name += is_name_character(c) ? c : '?';
  }
  return name.empty() ? "unnamed" : name;
}

TimePoint read_time(std::uint64_t since_ns) {
  const TimePoint now = Clock::now();
  const auto now_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(now.time_since_epoch()).count());
  return since_ns >= now_ns ? now : TimePoint(std::chrono::nanoseconds(static_cast<std::int64_t>(since_ns)));
}

}  // namespace

void UnmapFlightPage::operator()(FlightPage* page) const { ::munmap(page, kFlightPageBytes); }

Result<FlightReader> FlightReader::make() {
  const auto failed = [] { return Error{"exited", std::string("cannot make a flight page: ") + std::strerror(errno)}; };
  Descriptor memory(::memfd_create("hawser-flight", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), kFlightPageBytes) != 0) return failed();
  // A page that could shrink would end its reader by SIGBUS.
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return failed();
  MappedFlightPage page = map(memory.get(), PROT_READ);
  if (!page) return failed();
  return FlightReader(std::move(memory), std::move(page));
}

std::optional<FlightReader::Running> FlightReader::running() const {
  Running found;
  for (int i = 0; i < kReadingsMost; ++i) {
    found.number = page_->number.load();
    if (found.number == 0) return std::nullopt;
    found.since = read_time(page_->since_ns.load());
    found.name = read_name(*page_);
    if (page_->number.load() == found.number) break;
  }
  return found;
}

FlightWriter FlightWriter::take(int fd) {
  struct stat status {};
  const bool fits = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == kFlightPageBytes &&
                    (::fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) > 0;
  MappedFlightPage page;
  if (fits) {
    page = map(fd, PROT_READ | PROT_WRITE);
    ::close(fd);
  }
  if (!page) page = map(-1, PROT_READ | PROT_WRITE);
  if (!page) throw std::bad_alloc();
  return FlightWriter(std::move(page));
}

void FlightWriter::note(std::uint64_t number, const char* name, TimePoint since) {
  if (number != 0) {
    page_->since_ns.store(static_cast<std::uint64_t>(std::chrono::nanoseconds(since.time_since_epoch()).count()),
                          std::memory_order_relaxed);
    if (name != noted_name_) {
      const std::size_t size = std::min(std::strlen(name), kFlightNameBytes);
      for (std::size_t i = 0; i < kFlightNameBytes; ++i)
        page_->name[i].store(i < size ? name[i] : '\0', std::memory_order_relaxed);
      noted_name_ = name;
    }
  }
  page_->number.store(number, std::memory_order_release);
}

}  // namespace hawser::control
