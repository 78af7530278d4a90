// Where Gs wait, and for whom: stacks with counts and ns.
//
//   mutex  at the unlock: who held a lock that others waited for, and how long the one
//          that is woken did. Go's mutex profile.
//   block  at the park: what a G waits for, until it runs again. Go's block profile, and
//          a flame graph of time off the CPU.
//   cpu    where Ms compute: see cpu_profile.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/text.hpp"
#include "os/calls.hpp"
#include "os/cgroup.hpp"
#include "sched/profile.hpp"
#include "sched/recorder.hpp"

namespace thrum {

enum class Kind : u8 { mutex, block, cpu };

constexpr u32 kFrames = 32;
constexpr u32 kStacks = 8192;

// A stack of one kind that was met.
struct Met {
  u64 hash;  // 0: free
  Kind kind;
  Why why;
  bool throttled;  // a CPU quota was used up meanwhile
  u32 frames;
  u64 pcs[kFrames];
  u64 count, ns;
};

// A sampled wait that goes on.
struct Pending {
  Atomic<u64> g;  // lock writes: its handle; 0: free
  i64 since;      // lock
  u64 ticks;      // lock: likewise
  Met met;        // lock: the stack where it parked
};
constexpr u32 kPendings = 1024;

// Of one M: where its handler finds it. The onlooker asks and takes.
struct Shot {
  Atomic<u32> state;  // free, asked: the handler's, taken: the onlooker's
  u32 epoch, tid;     // onlooker: of what `cpu` is
  u64 cpu;            // onlooker: of the thread, when it was asked last
  u64 ns;             // onlooker: what the one asked for stands for
  i64 asked_at;       // onlooker
  u32 frames;         // handler; 0: inside thrum
  u64 pcs[kFrames];   // handler
};
constexpr u32 kShots = 4096;  // Ms above that are not asked

struct Profiler : Profile, Lens {
  Runtime* rt;             // const
  Atomic<u32> block_rate;  // anyone: one wait in so many; 0: none
  Atomic<u32> cpu_rate;    // anyone: looks per second; 0: none
  Atomic<u32> cpu_epoch;   // anyone: how often that began
  WordLock cpu_setting;    // who changes them
  Shot* shots;             // kShots, by M
  u64 own_lo, own_hi;      // const: thrum's code, if it is an object of its own
  WordLock lock;           // the rest
  Met* met;                // lock: kStacks, by hash
  u64 dropped;             // lock: had no room
  Pending* pending;        // kPendings, by slot
  os::CpuGroups groups;    // lock
  u64 throttled;           // lock: as it was last read
  i64 bitten;              // lock: when it was last seen to have grown
  Atomic<u32> thinned;     // lock writes: so much less is drawn: a quota bites
};

// The former rate. kENOMEM; cpu: kENOTSUP, and what observer_start and a signal's
// installing say.
int profile_rate(Runtime* rt, Kind kind, u32 rate);
// kEINVAL: there was none; kECANCELED: the text was refused.
i64 profile_pprof(Runtime* rt, Kind kind, Text& out);
i64 profile_folded(Runtime* rt, Kind kind, Text& out);

// For cpu_profile.cpp: its rate, what is in the handler, and what was met.
int cpu_rate(Profiler* p, u32 rate);
void cpu_stopped(Profile* self, M* m, const os::Stopped& at);
void profile_add(Profiler* p, Met& m, u64 count, u64 ns);
// Without the frames of thrum's own in which every G begins.
u32 without_own(const Profiler* p, const u64* pcs, u32 n);

// For pprof.cpp: copies what was met of this kind; mem::free. kEINVAL, kENOMEM.
int profile_copy(Runtime* rt, Kind kind, Met** out, u32* n);

}  // namespace thrum
