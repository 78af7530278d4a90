// M: an OS thread that runs Gs, its own or one lent by the host for the time of
// a thrum_run or thrum_pump.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/cpus.hpp"
#include "base/list.hpp"
#include "mem/heap.hpp"
#include "os/lock.hpp"
#include "os/os.hpp"
#include "sched/door.hpp"
#include "sched/g.hpp"

namespace thrum {

// What a park releases: one lock word, to a value; or many, by a function.
struct Unlock {
  WordLock* lock = nullptr;
  u64 to = 0;
  void (*many)(void*) = nullptr;
  void* arg = nullptr;

  void go() const {
    if (lock) {
      lock->unlock(to);
    } else if (many) {
      many(arg);
    }
  }
};

// What the next context does for the one that was left, as soon as that one's
// registers are saved: only then may others resume it.
enum class AfterKind : u8 {
  none,
  yield,
  behind,  // to the global queue
  yield_global,
  route,
  park,
  exit
};
struct After {
  AfterKind kind = AfterKind::none;
  bool hard = false;     // park: cancel does not end it
  bool parked = false;   // park: a permit ends it
  G* g = nullptr;        // all but exit
  Body* body = nullptr;  // exit: to the cache
  Unlock unlock{};       // park
  i64 deadline = 0;      // park

  // Field by field, and read so too: a copy in one piece would load 16 bytes
  // that were stored as 8 and 8, which no CPU forwards (some 5 ns each).
  THRUM_INLINE void park(G* who, bool no_cancel, bool permit, const Unlock& u,
                         i64 until) {
    kind = AfterKind::park;
    hard = no_cancel;
    parked = permit;
    g = who;
    unlock.lock = u.lock;
    unlock.to = u.to;
    unlock.many = u.many;
    unlock.arg = u.arg;
    deadline = until;
  }
};

// Values of M::note: a wake has come; the M sleeps and is to be woken.
constexpr u32 kNoted = 1;
constexpr u32 kNoteSleeps = 2;

// Bits of M::slow: every switch goes through the loop.
constexpr u32 kSlowPump = 1;      // a budget is checked at each switch
constexpr u32 kSlowStop = 2;      // the lent thread's call is over
constexpr u32 kSlowSeeded = 4;    // deterministic
constexpr u32 kSlowDomain = 8;    // drains a domain
constexpr u32 kSlowLocked = 16;   // belongs to one G (thrum_lock_thread)
constexpr u32 kSlowWorld = 32;    // its G has stopped the world
constexpr u32 kSlowDebug = 64;    // the runtime is in debug mode
constexpr u32 kSlowForked = 128;  // the parent's; this is a child (fork.cpp)
constexpr u32 kSlowPoll = 256;    // is to look at the world (source.hpp)
constexpr u32 kSlowRank = 512;    // Gs of a class wait or run (rank.cpp)

// Bits of M::asks: what the directed signal is for.
constexpr u32 kAskPreempt = 1;
constexpr u32 kAskSample = 2;  // where it is (profile.hpp)

// Why a preemption signal changed nothing. For reports and tests.
enum class Refusal : u8 {
  none,
  core,     // inside thrum, or between two Gs
  blocked,  // declared, or sysmon or the world asks for it just now
  held,     // thrum_preempt_hold
  code,     // not in a region
  stack,    // not on the G's own stack, or too little of it is left
  state,    // registers that a detour does not keep
  domain,   // in a domain, and the region does not say MIGRATE
  thread,   // bound to a thread that may go home, or is another G's
};

struct M {
  G* cur;               // owner: the G on this M, null in the loop; seen
  P* p;                 // owner
  Runtime* rt;          // const
  Door door;            // between its G and the core
  Atomic<u32> slow;     // atomic bits
  After after;          // owner
  EhGlobals* eh;        // const: this thread's exception globals
  void* sp0;            // owner: the loop's context
  StackNote note0;      // owner
  G* next_g;            // owner: run this first, in the loop
  Domain* domain;       // owner: the domain whose Gs it runs; seen
  mem::Heap heap;       // owner: serves its Gs
  mem::Tally tallied;   // owner: what of heap.tally its Ps before have
  bool spinning;        // owner
  bool lent;            // const: a thread of the host
  bool arrived_native;  // owner: the last switch came from the loop
  u32 id;               // const

  Atomic<u32> note;  // futex: 0, kNoted or kNoteSleeps
  i32 note_credit;   // owner: vain waits before it sleeps at once, as a rule
  Atomic<u32> watching;  // owner writes: sleeps in the source, not on the note
  u32 watches;           // owner: how often it has
  i64 woken_late;  // owner: by the kernel, after that, in ns; kForever: unknown
  P* next_p;       // Runtime.lock: the P it is woken with
  u64 called_at;   // Runtime.lock: when, in cpu_ticks; 0: it has come
  M* next_idle;    // Runtime.lock
  M* prev_idle;    // Runtime.lock
  bool idle;       // Runtime.lock: in the idle list
  bool wanting;    // Runtime.lock: in the list of Ms that want a P
  M* next_wanting;       // Runtime.lock
  Atomic<bool> leaving;  // Runtime.lock writes: its loop must end

  G* locked;             // owner: the G it belongs to while kSlowLocked
  bool locked_asleep;    // Runtime.lock: sleeps without a P until it is ready
  Fifo<G> own;           // owner: ready Gs that run only here
  u32 own_fetched;       // owner: how many of them, the first, are in the cache
  Atomic<u32> own_n;     // owner writes: how many
  Fifo<G> pinned;        // Runtime.lock: likewise, on their way to `own`
  Atomic<u32> pinned_n;  // Runtime.lock writes: how many
  u32 pinned_turn;       // owner: pinned Gs and the P's own take turns
  bool locked_served;    // owner: `locked` has run since others had a turn
  Atomic<u32> tid;       // owner writes: its thread, 0: none yet
  Atomic<u64> declared_at;  // owner writes: cpu_ticks at the last declared
                            // block, 0: no work waited
  i64 taken_at;             // asker: since when its G was outside, when taken
  i64 said_at;              // asker: the one that the watchdog has told of
  u64 slice;                // asker; owner after kTaken: the kernel's, before
  bool pinned_cpus;     // owner: by thrum_pin_cpu; `cpus` is what it had before
  u64 cpus[kCpuWords];  // owner
  // Where it is (near.hpp). Others read it while it is idle.
  u8 place;           // owner: where it was seen last, or is pinned
  bool placed;        // owner: it is pinned for P home - 1
  u32 plan, home;     // owner: by which plan; 0: none
  Atomic<u32> bound;  // atomic: Gs alive that run only here
  u32 crowd_at;  // owner: from so many on, spawn_pinned looks at the others
  bool gone;     // Runtime.lock: its thread has ended; to be used again

  M* next_m;           // Runtime.lock: all Ms
  os::Thread thread;   // const; not for lent ones
  EhGlobals outer_eh;  // owner: of the lent thread, while it is lent
  M* outer;            // owner: what this_m() was before it was lent; in a
                       // child, what the thread was beneath (fork.cpp)
  u64 lender;          // Runtime.lock: the host's thread, see m_lend
  bool lent_now;       // Runtime.lock: inside run or pump
  RunCall* run_call;   // Runtime.lock: the thrum_run it is inside

  // Signals (signals.hpp), preemption
  os::SignalThread signal;  // see there; sysmon sends
  u32 signals_seen;         // owner: Runtime.signals_set when it joined
  u32 bound_n;              // owner: preempted Gs that go on only here
  u32 bound_wait;           // owner: dispatches that others get before them
  Atomic<u32> asks;         // who sends sets, its handler takes: kAsk*
  Atomic<i64> asked_at;     // sysmon: when it sent the last signal
  Atomic<u32> refusals;     // its handler: signals that changed nothing
  Atomic<Refusal> last_refusal;  // its handler
  i64 ask_again;                 // sysmon: while it has no P
  i64 ask_gap;                   // sysmon
  u32 ask_refusals;              // sysmon
};

// The calling thread's M, null outside. The one thread-local of the library,
// behind an opaque call: compilers may not keep its address across a park.
M* this_m();
void set_this_m(M* m);

}  // namespace thrum
