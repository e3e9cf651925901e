#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "core/control/channel.hpp"
#include "core/host/control_thread.hpp"
#include "core/host/transport_gateway.hpp"

namespace {

constexpr int kUsage = 64;  // sysexits.h
constexpr char kOomScore[] = "500";  // added to its share of the memory, in thousandths

bool has_control_channel() {
  int kind = 0;
  socklen_t size = sizeof kind;
  return ::getsockopt(hawser::control::kChannelDescriptor, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 &&
         kind == SOCK_SEQPACKET;
}

void prepare_process() {
  // The channel's end already tells that hawserd is gone; this holds also when our loop itself is broken.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Where the device has no memory left, a host ends and not hawserd (proc(5)).
  if (const hawser::Descriptor score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)); score)
    [[maybe_unused]] const auto written = ::write(score.get(), kOomScore, sizeof kOomScore - 1);
  // A Ctrl-C in hawserd's terminal is for hawserd, which stops its hosts in order. A file at its limit is a full disk
  // to its writer (EFBIG), no end.
  for (const int number : {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
  const int fd = hawser::control::kChannelDescriptor;
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::mallopt(M_ARENA_MAX, 2);  // an arena for each thread would cost memory and bring nothing here
}

}  // namespace

int main() {
  if (!has_control_channel()) {
    std::fputs("hawser-host: descriptor 3 is no control channel; hawserd starts this program, people do not\n", stderr);
    return kUsage;
  }
  prepare_process();
  try {
    hawser::host::ControlThread control(hawser::Descriptor(hawser::control::kChannelDescriptor),
                                        &hawser::host::transport_gateway);
    control.run();
  } catch (const std::exception& problem) {  // main()'s door
    std::fprintf(stderr, "hawser-host: %s\n", problem.what());
    ::_exit(1);
  }
}
