// The onlooker: a thread of a runtime that only looks, made when first somebody asks
// for what needs one (a file when the watchdog bites, lines of schedtrace, the kernel's
// share of the waits). The scheduler never waits for it.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/lock.hpp"
#include "sched/observer.hpp"
#include "sched/runtime.hpp"

namespace thrum {

struct Onlooker : Observer {
  i64 born;             // const
  Atomic<u32> note;     // futex: something has changed
  WordLock lock;        // the fields marked so
  char path[256];       // lock: where the next stall is written to; "": nowhere
  i64 last;             // lock: how much of it, in ns
  Atomic<bool> bitten;  // sysmon sets: the watchdog has told of a stall
  Atomic<i64> trace_every;  // ns between lines of schedtrace; 0: none
  Atomic<i64> look_every;   // ns between looks at what Ms compute; 0: none
  Atomic<void (*)(Onlooker*, i64 now)> look;  // what does them
  i64 trace_at;                               // its thread: the next line
  i64 look_at;                                // its thread: the next look
};

// The runtime's, made if need be. kENOMEM, kECLOSED (it stops), kENOTSUP: it may have
// no threads of its own, or no more of them.
int onlooker_of(Runtime* rt, Onlooker** out);
void onlooker_wake(Onlooker* o);
// On sysmon: the watchdog has told of a stall.
void onlooker_bitten(Runtime* rt);

// The next stall that the watchdog finds is written to `path`, as a timeline of the
// last ns before; "" or null: none is.
int on_stall(Runtime* rt, const char* path, i64 last);

}  // namespace thrum
