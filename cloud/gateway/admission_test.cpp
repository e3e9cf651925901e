#include "cloud/gateway/admission.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include "tests/catch.hpp"

using hawser::cloud::Admission;
using hawser::cloud::Share;

TEST_CASE("[F58] a herd is admitted at the limit, and each is told a turn of its own") {
  Admission admission;
  std::map<std::int64_t, int> due = {{1'000'000, 500}};  // who asks when
  int most = 0, in = 0, rounds = 0;
  while (!due.empty() && ++rounds < 1000) {
    const auto [at, count] = *due.begin();
    due.erase(due.begin());
    int now = 0;
    for (int i = 0; i < count; ++i) {
      const int wait = admission.wait_s(50, at);
      if (wait == 0) {
        ++now;
      } else {
        due[at + wait * 1000] += 1;
      }
    }
    most = std::max(most, now);
    in += now;
    if (in == 500) CHECK(at - 1'000'000 <= 20'000);  // 500 at 50 a second are 10 s
  }
  CHECK(in == 500);
  CHECK(most <= 50);
  CHECK(rounds < 60);  // nobody asks in a loop
}

TEST_CASE("[F58] in no second more come in than the limit, also when many turns were saved up") {
  Admission admission;
  std::vector<std::int64_t> in;
  for (std::int64_t at = 1'000'000; at < 1'005'000; at += 7)  // three times what may come in
    for (int i = 0; i < (at % 2 == 0 ? 1 : 2); ++i)
      if (admission.wait_s(50, at) == 0) in.push_back(at);
  int most = 0;
  for (std::size_t last = 0, first = 0; last < in.size(); ++last) {
    while (in[last] - in[first] >= 1000) ++first;
    most = std::max(most, static_cast<int>(last - first + 1));
  }
  CHECK(most == 50);
  CHECK(in.size() == 250);  // and none is given away
}

TEST_CASE("[sec-6] a device that comes in over and over is told to wait, and the others are not") {
  Share share;
  int in = 0;
  for (int i = 0; i < 1000; ++i) in += share.wait_s("HW-GREEDY", 200, 1'000'000 + i) == 0 ? 1 : 0;
  CHECK(in == 50);  // of the 2000 turns of the window
  CHECK(share.wait_s("HW-GREEDY", 200, 1'001'000) == 10);
  CHECK(share.wait_s("HW-QUIET", 200, 1'001'000) == 0);
  CHECK(share.wait_s("HW-GREEDY", 200, 1'010'000) == 0);
}
