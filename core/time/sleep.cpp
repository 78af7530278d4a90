// SPDX-License-Identifier: MIT
#include "time/sleep.hpp"

namespace thrum {

i64 later(i64 now, i64 ns) {
  i64 at = ns <= 0 ? now : (ns > kForever - now ? kForever : now + ns);
  return at ? at : 1;
}

int sleep_for(M*& m, i64 ns) {
  if (ns <= 0) {
    return g_of(m) ? yield(m) : was_g() ? int{kEFORKED} : 0;
  }
  i64 now = now_of(m);
  Wait w{.deadline = later(now, ns), .why = Why::sleep, .now = now};
  i64 asked = w.deadline;
  int result = wait_begin(m, w);
  if (!result) {
    ThreadWake own;
    result = wait(m, wake_of(m, own), w, Unlock{});
  }
  // A limit that came first is a time-out; the sleep's own end is not.
  return result == kETIMEDOUT && w.deadline == asked ? 0 : result;
}

}  // namespace thrum
