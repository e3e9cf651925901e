// What the rogue's misdeeds share. A misdeed is one function; rogue.cpp has the table of all.
#pragma once

#include <hawser/plugin.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace rogue {

struct Rogue {
  hws_ctx* ctx = nullptr;
  const hws_host* host = nullptr;
  nlohmann::json config;

  std::string state_dir() const;
  // "tried WHAT: done", or "tried WHAT: denied (EPERM)" when `error` is not 0: what the tests look for in the log.
  void tried(const std::string& what, int error) const;
  void say(const std::string& words) const;
};

inline hws_str str(std::string_view text) { return {text.data(), text.size()}; }

// However high the walls are meant to be, no test may take the machine down with it when one is missing.
inline constexpr std::size_t kMemoryMost = 2048ull * 1024 * 1024;
inline constexpr std::size_t kDiskMost = 512ull * 1024 * 1024;
inline constexpr int kProcessesMost = 300;
inline constexpr int kThreadsMost = 500;
inline constexpr int kDescriptorsMost = 100'000;

using Misdeed = void (*)(Rogue&);

// abi
void wrong_thread(Rogue&), after_destroy(Rogue&), nulls(Rogue&);
// endings
void segfault(Rogue&), abort_it(Rogue&), throw_it(Rogue&), exit_0(Rogue&), exit_mid_message(Rogue&), overflow(Rogue&), illegal(Rogue&),
    terminate_thread(Rogue&);
// stalls
void spin(Rogue&), sleep_forever(Rogue&), deadlock(Rogue&), deaf(Rogue&), stop_itself(Rogue&), nothing(Rogue&);
// hoards
void leak(Rogue&), gulp(Rogue&), forks(Rogue&), descriptors(Rogue&), threads(Rogue&), fill_state(Rogue&),
    many_files(Rogue&), busy_threads(Rogue&);
// floods
void log_flood(Rogue&), print_flood(Rogue&), control_flood(Rogue&), cloud_flood(Rogue&), channel_garbage(Rogue&);
// trespass
void close_all(Rogue&), kill_parent(Rogue&), kill_group(Rogue&), kill_all(Rogue&), flight_page(Rogue&),
    raise_limits(Rogue&), read_secrets(Rogue&), run_programs(Rogue&), trace_others(Rogue&), take_the_core(Rogue&);

}  // namespace rogue
