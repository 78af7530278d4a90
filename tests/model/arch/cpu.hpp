// The drop-in for core/arch/cpu.hpp: a pause lets others run, the counter and
// the identity of a thread come from the explorer.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"
#include "explore/explore.hpp"

namespace thrum {

constexpr bool kReadAhead = false;
inline void cpu_relax() { explore::pause(); }
inline u64 cpu_ticks() { return explore::ticks(); }
inline u64 thread_pointer() { return (u64{explore::thread()} + 1) << 12; }

inline void* stack_pointer() { return nullptr; }

}  // namespace thrum

#define THRUM_SPILLED_SP() ::thrum::stack_pointer()
