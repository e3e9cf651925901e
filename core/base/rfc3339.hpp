#pragma once

#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>

namespace hawser {

// "2026-11-24T21:30:05.120Z": UTC, milliseconds, as sdk/protocol.md and the state JSON write times. Any thread.
inline std::string rfc3339(std::chrono::system_clock::time_point when) {
  using namespace std::chrono;
  const auto seconds_part = floor<seconds>(when);
  const auto millis = static_cast<int>(duration_cast<milliseconds>(when - seconds_part).count());
  const std::time_t whole = system_clock::to_time_t(seconds_part);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char date[32], text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, millis);
  return text;
}

}  // namespace hawser
