#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"

namespace hawser::supervisor {

// Where no cgroup bounds a host's share of the processor, ResourceWatch notices after seconds that it is over it. Until
// then this keeps it from delaying the others: as soon as a host has used kTick of processor time faster than its share
// allows, all its threads run under SCHED_IDLE (sched(7)), when nobody else wants to, until it is calm again. The
// kernel counts, by a timer on the host's own processor clock (clock_getcpuclockid(3)): a host that sleeps costs nothing.
// Owned by ResourceWatch, lives on the loop's thread; `loop` must outlive it.
class CpuRestraint {
 public:
  static constexpr milliseconds kTick{50};    // of processor time, all threads together
  static constexpr milliseconds kHeld{1000};  // then looked at again

  // Takes one real-time signal of this thread, and blocks it. Throws std::system_error.
  explicit CpuRestraint(Loop& loop);
  CpuRestraint(const CpuRestraint&) = delete;
  CpuRestraint& operator=(const CpuRestraint&) = delete;
  ~CpuRestraint();

  // `host` is a child that runs. `percent`: its share, of one processor. Replaces an earlier one. Nothing without
  // CAP_SYS_NICE, which takes the restraint away again.
  void hold(const std::string& plugin, pid_t host, std::int64_t percent);
  void let_go(const std::string& plugin);  // its host has ended: the number may be another process's by now
  bool restrains(const std::string& plugin) const;

 private:
  struct Host;
  void read_signals();
  void ticked(Host& host, int ticks);
  void restrain(Host& host);
  void look_again(Host& host);
  void release(Host& host);
  void refused(const std::string& plugin, const std::string& what);

  Loop& loop_;
  Descriptor signals_;
  std::map<int, std::unique_ptr<Host>> hosts_;  // by the number that its signals carry
  int last_number_ = 0;
  const bool permitted_;
  bool complained_ = false;
};

}  // namespace hawser::supervisor
