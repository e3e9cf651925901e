#include "core/connection/validity_floor.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "core/base/files.hpp"

namespace hawser::connection {
namespace {

using Time = ValidityFloor::Time;

constexpr std::size_t kFileBytesMax = 64;

std::optional<Time> read_kept(const std::filesystem::path& file) {
  const auto text = hawser::read_file(file, kFileBytesMax);
  if (!text) return std::nullopt;
  long long whole = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), whole);
  if (error != std::errc{} || end == text->data() || whole < 0 || whole > 9'000'000'000) return std::nullopt;
  return Time(std::chrono::seconds(whole));
}

}  // namespace

Time ValidityFloor::built_at() { return Time(std::chrono::seconds(HAWSER_BUILT_AT)); }

ValidityFloor::ValidityFloor(std::filesystem::path file, WriteFile write)
    : file_(std::move(file)),
      write_(std::move(write)),
      kept_(std::max(built_at(), read_kept(file_).value_or(built_at()))) {
  value_ = kept_.time_since_epoch().count();
}

bool ValidityFloor::learn(Time date, Time certificate_ends) {
  if (date <= value() || date > certificate_ends) return false;
  value_ = date.time_since_epoch().count();
  if (date - kept_ < kStep) return false;
  kept_ = date;
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(kept_.time_since_epoch()).count();
  write_(file_, std::to_string(whole), "the cloud's time is not kept over a restart");
  return true;
}

bool ValidityFloor::clock_is_trusted() const { return std::chrono::system_clock::now() + kSlack >= value(); }

}  // namespace hawser::connection
