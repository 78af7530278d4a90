// What thrum_preempt_entry calls. Nothing is saved here: see preempt.S.
// SPDX-License-Identifier: MIT
#include "arch/preempt.hpp"

extern "C" {
void (*thrum_preempt_then)(void* frame);  // written before the first signal
}

namespace thrum {

namespace {

// Does the CPU keep return addresses on a stack of its own (GCS)? A switch would
// trip it. CHKFEAT is a hint: a CPU that does not know it leaves x16 alone.
bool shadow_stack() {
  register u64 asked asm("x16") = 1;
  asm volatile("hint #40" : "+r"(asked));
  return asked == 0;
}

constexpr size_t kSpare = 16;  // "some" must not be 0

}  // namespace

size_t preempt_prepare(void (*then)(void* frame)) {
  if (shadow_stack()) {
    return 0;
  }
  thrum_preempt_then = then;
  return kSpare;
}

}  // namespace thrum
