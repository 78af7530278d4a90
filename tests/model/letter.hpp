// What the channel models send: a letter that its sender has written.
// SPDX-License-Identifier: MIT
#pragma once
#include "chan/chan.hpp"
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace thrum {

constexpr i64 kDue = 5000;

struct Letter {
  int written;
};

// Writes letters[which] and sends its address.
inline int send_letter(Chan* c, Letter* letters, int which, i64 deadline) {
  M* m = this_m();
  Letter* l = &letters[which];
  l->written = which + 1;
  return chan_send(m, c, &l, deadline);
}

}  // namespace thrum
