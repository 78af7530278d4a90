// Stacks that are full, inside sched. See overflow.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// The calling thread is m's. join: if it is on; leave: if it had joined.
void overflow_join(M* m);
void overflow_leave(M* m);

// Whose stack an address belongs to. Async-signal-safe.
struct StackAt {
  Body* body;     // null: nobody's yet
  bool in_guard;  // else in the stack itself
};
bool stack_at(Runtime* rt, u64 address, StackAt& out);

// g ends, and its stack has no guard: has it run over the end? Then so does the
// process.
THRUM_COLD void overflow_check(const G* g);

}  // namespace thrum
