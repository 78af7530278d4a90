// The lens that measures every wait: from ready to run, and what delayed it. Fed by the
// events as they happen, on the thread that acts, so nothing is sampled and nothing is
// joined by guessing.
//
// A G's time is split five ways:
//   ran        on a CPU
//   blocked    by its own choice: parked, in a declared block, asleep in a system call
//   queued     runnable, behind others of this runtime
//   kernel     its thread, or the one whose P it waited for, was runnable and had no CPU
//   throttled  the same because a CPU quota was used up
//
// The kernel's share comes from /proc/self/task/TID/schedstat, which a thread reads of
// itself when a slice was long (kLook): what is shorter than that cannot hide much.
// What delayed an M delayed all that waited for its P meanwhile, so a P counts it up and
// a G looks at the difference.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/cgroup.hpp"
#include "os/cpu_share.hpp"
#include "sched/recorder.hpp"

namespace thrum {

enum class Cause : u8 { ran, blocked, queued, kernel, throttled };
constexpr u32 kCauses = 5;
const char* cause_name(Cause c);

constexpr u32 kColumns = 512;  // the newest stretches of time that are kept
constexpr u32 kRows = 40;      // log2 ns, as in probe/histogram.hpp

// A stretch of time on one P. The owner of the P writes.
struct Column {
  Atomic<u64> epoch;                     // its number + 1; 0: never used
  Atomic<u32> latency[kClasses][kRows];  // from ready to run
  Atomic<u32> kernel[kRows];  // the part of it that the kernel or a quota took
  Atomic<u64> causes[kCauses];  // ns, of waits and slices that ended in it
};

// Of one G. Whoever the event is about owns it: its M, or who readies it.
struct Cell {
  u64 g;   // the handle; another one: of an older G
  u64 at;  // ticks: since when it is in this state
  u64 lost,
      cut;     // of the P in whose queue it is, then: P's kernel and throttled
  u64 waited;  // ns: of a wait that is over and not put to account yet
  u32 p;       // that P; kNoP
  u8 state;    // kParked, kReady, kRuns
  u64 causes[kCauses];  // ns
};

// Of one P: what its Ms were kept from, in ns. The owner writes.
struct Lane {
  u64 kernel, throttled;
  Atomic<u64> classes[kClasses][kCauses];
  Column columns[kColumns];
};

// Of one M. Its thread writes.
struct Meter {
  int fd;   // -1: there is none, or it cannot be read
  u32 tid;  // whose it is
  os::CpuShare seen;
  u64 last;       // ticks: of the last event here
  u64 woke;       // ticks: when it last woke, and
  u64 woke_late;  // ns: how long the kernel took for that
};

constexpr u32 kMeters = 4096;  // Ms above that are not asked

struct Waits : Lens {
  Runtime* rt;                     // const
  u64 column_ticks;                // const: a column
  i64 column_ns;                   // const
  u64 ticks0;                      // const: the first begins
  Cell* cells;                     // const: by slot
  Atomic<Lane*> lanes[kMaxProcs];  // owner of the P makes it
  Meter meters[kMeters];           // by M
  WordLock throttle_lock;
  os::CpuGroups groups;  // throttle_lock
  u64 throttled_seen;    // throttle_lock
};

// Switches it on, and the recorder with it. column: ns. Idempotent; the first call
// decides. column: at most a second. by: recorder.hpp. kENOMEM.
int waits_start(Runtime* rt, i64 column, u32 by);
Waits* waits_of(Runtime* rt);  // null: never on
// Of a G alive: ns by cause, up to now. kEINVAL, kESTALE.
int waits_of_g(Runtime* rt, u64 handle, u64 (&causes)[kCauses]);
// Of one for which waits_of_g has just had an answer: ns since it was put on its P, or
// since the recorder is on; 0: it is on none. running: what its state says. Not in `causes` yet, and a part of it may turn out to be the kernel's.
u64 waits_runs_for(Runtime* rt, u64 handle, bool running);

}  // namespace thrum
