// The CPU's part of preempting a G that did not ask for it.
//
// A G that was stopped by a signal goes on at thrum_preempt_entry, on its own
// stack, with all registers as they were and below what os::detour left there.
// The entry saves what C++ may change, calls `then`, restores, and returns to
// where the G was stopped. See preempt.S of each CPU for how.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

extern "C" void thrum_preempt_entry();

namespace thrum {

// Sets what the entry calls, on the G's stack, with that G's frame: what
// os::detour_end wants. Finds out what must be saved on this CPU. Returns the
// bytes of stack that the entry needs for itself; 0: not possible here.
// Again and again from any thread: the answer is the same.
size_t preempt_prepare(void (*then)(void* frame));

}  // namespace thrum
