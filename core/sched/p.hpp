// P: the right to run Gs, and all that goes with it. An M that holds a P owns
// these fields ("owner"); thieves touch the queues as their files allow.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/choice.hpp"
#include "base/count.hpp"
#include "base/list.hpp"
#include "os/lock.hpp"
#include "queue/fresh.hpp"
#include "queue/runq.hpp"
#include "queue/timer_heap.hpp"
#include "probe/histogram.hpp"
#include "sched/g.hpp"

namespace thrum {

// The stress build (option `stress`): tiny rings, and a G that becomes ready goes
// through the global queue, to whichever M is first, so that it moves at every
// resume.
#ifndef THRUM_RING
#define THRUM_RING 256
#endif
constexpr u32 kRing = THRUM_RING;
#if defined(THRUM_STRESS)
constexpr bool kMigrateAlways = true;
#else
constexpr bool kMigrateAlways = false;
#endif

constexpr u32 kFairEvery = 61;   // Go's schedtick % 61: the global queue first
constexpr u32 kNextStreak = 8;   // hand-overs in a row before others get a turn
constexpr u32 kBodyCache = 128;  // warm bodies a P keeps
constexpr u32 kBodyBatch = 64;   // bodies moved between a P and the arenas
constexpr u32 kSlotBatch = 64;   // slots moved between a P and the runtime

// The part of a stack that its G touches when it goes on: its frames, and the
// line below for what is called first. There a cold store would be waited for by
// the next locked instruction. Of a socket's call the frames are deeper, and those of
// the next one, an answer, lie as high as the guest's.
//
// Inlined by force, like its callers: GCC takes a function that only prefetches
// for one without effect and drops its calls (100,000 sleepers then take 1.3
// times as long).
THRUM_INLINE void prefetch_context(const Body* b) {
  constexpr int kLine = static_cast<int>(kCacheLine);
  char* sp = static_cast<char*>(b->sp);
  __builtin_prefetch(sp - kLine);
  __builtin_prefetch(sp);
  __builtin_prefetch(sp + kLine);
  __builtin_prefetch(sp + 2 * kLine);
  __builtin_prefetch(sp + 3 * kLine);
  if (b->why.load(relaxed) >= Why::net_read) {
    for (int line = 4; line < 9; ++line) {
      __builtin_prefetch(sp + line * kLine);
    }
  }
}

THRUM_INLINE void prefetch_body(const Body* b) {
  auto* at = reinterpret_cast<const char*>(b);
  __builtin_prefetch(at, 1);
  __builtin_prefetch(at + kCacheLine, 1);
  __builtin_prefetch(at + 2 * kCacheLine, 1);
}

enum class PState : u32 {
  idle,     // in the idle list
  running,  // an M holds it
  stopped,  // an M holds it and waits for the world
  dead,     // surplus: above procs
};

// Bits of P::attention: the owner leaves its G at the next dispatch and looks.
constexpr u32 kAttnWanted = 1;    // an M with a pinned or domain G wants a P
constexpr u32 kAttnRetire = 2;    // the P is surplus
constexpr u32 kAttnSlice = 4;     // the slice is over (sysmon)
constexpr u32 kAttnTimers = 8;    // timers are due (sysmon)
constexpr u32 kAttnWorld = 16;    // the world stops
constexpr u32 kAttnSignals = 32;  // preemption or overflow went on or off
constexpr u32 kAttnRank = 64;     // a G of a higher class waits
constexpr u32 kAttnPace = 128;    // Ps are to pause (pace.hpp)
constexpr u32 kAttnPlace = 256;   // where is it? see near.hpp

// A place in the host's code that declares blocking calls.
struct BlockSite {
  u64 pc;     // the return address
  bool slow;  // its last call was worth handing a P over
};

// The way from an event of a descriptor to the G that waited for it, in parts; of one in
// kNetEvery.
enum NetPart : u32 {
  kNetKernel,    // the watcher's thread could run, and had no CPU yet
  kNetPoll,      // from the look at the kernel that found it to the G's ready
  kNetQueue,     // from there until an M takes the G
  kNetDispatch,  // from there until the G goes on
};
constexpr u32 kNetParts = 4;
constexpr const char* kNetPartNames[kNetParts] = {"kernel", "poll", "queue",
                                                  "dispatch"};
constexpr u32 kNetEvery = 16;

// What a P measures all the time, in ns. The owner writes, anybody reads.
struct Metrics {
  // From ready to run: of one G in kSampleEvery, by its classes.
  Histogram ready[kClasses];
  Histogram mutex;  // from a lock that waits to its end
  Histogram timer;  // how late timers fire: of each batch the first
  Histogram poll;   // a look at the world outside
  Histogram idle;   // an M without work, asleep
  Histogram net[kNetParts];
};
constexpr u32 kSampleEvery = 64;

struct P {
  u32 id;       // const
  Runtime* rt;  // const
  // The only P of its runtime: nobody steals, so the owner takes from its queues
  // without locked instructions (5 ns each, the price of a whole switch). Ends
  // for good when a second P comes; see end_alone in procs.cpp.
  Atomic<bool> alone;     // set_procs writes, owner reads
  Atomic<PState> state;   // atomic
  Atomic<M*> m;           // owner writes: who holds it, null on the way
  Atomic<u32> attention;  // atomic
  u32 fair_in;            // owner: dispatches until the fairness tick
  u32 turn;               // owner: counts picks
  u32 streak;             // owner: hand-overs in a row
  u32 sample_in;          // owner: readies until one is measured
  u32 net_in;             // owner: likewise, of those by the poller
  Choice choice;          // owner
  u64 sampled;            // owner: cpu_ticks at the last fairness tick
  Atomic<u32> mean_run;   // owner: ticks per dispatch, smoothed; 0: unknown

  Atomic<u64> dispatches;  // owner writes; sysmon and observers read
  Atomic<u64> spawned, exited, steals, handoffs;  // likewise
  Atomic<u64> waits[kWhys];                       // likewise: begun, by reason
  Atomic<u64> retakes;  // sysmon writes: taken from undeclared blockers
  Atomic<u64>
      claimed;  // sysmon writes: the dispatch that its last claim is for

  P* next_idle;  // Runtime.lock

  G* free_g;               // owner: slots
  u32 free_g_count;        // owner
  u32 bump, bump_end;      // owner: slots never used yet
  BlockSite sites[16];     // owner: by a hash of pc
  Body* bodies;            // owner: warm, default size
  u32 body_count;          // owner
  u16 stock;               // owner: mem::Stack::kind of those
  Atomic<u8> place;        // owner writes: see near.hpp
  Atomic<u64> steals_far;  // owner writes: steals from other places
  u64 trim_dispatches;     // Runtime.lock: at the last look of trim.cpp
  u64 scan_dispatches;     // Scan.lock: when the last look at all Gs ended

  Atomic<u64> preemptions;  // owner writes; observers read
  Atomic<u64> refusals;     // atomic: signal handlers of its Ms
  Atomic<i64>
      preempt_delay;    // owner: from the decision to the switch, the last
  Atomic<i64> stamp;    // owner: when the dispatch number stamped began
  Atomic<u64> stamped;  // owner: the one after a preemption

  u64 spent[kRanks];   // owner: on each class, see rank.cpp
  u64 rank_since;      // owner: cpu_ticks, not paid for since; 0: nothing
  Atomic<u8> rank_on;  // owner writes: the class that it serves

  mem::Tally tally;  // owner: of Ms that it left, see tally_of

  WordLock timer_lock;
  TimerHeap timers;      // timer_lock
  u32 timer_tie;         // timer_lock
  Atomic<i64> earliest;  // timer_lock writes; anyone reads

  Runq<G, kRing> runq;
  Fresh<G, kRing> fresh;
  Metrics metrics;

  // The owner's three ways to take.
  G* take_next() {
    return alone.load(relaxed) ? runq.take_next_alone() : runq.take_next();
  }
  G* take_fresh() {
    return alone.load(relaxed) ? fresh.pop_alone() : fresh.pop();
  }
  G* take_ring() {
    G* g = alone.load(relaxed) ? runq.get_alone() : runq.get();
    if (g) {
      prefetch_ahead();
    }
    return g;
  }

  // Of many Gs each is a chain of cache misses: the G, its body, its stack. They
  // are fetched one link at a time, while those before them run. A thief may take
  // and end one meanwhile: no memory that a G in a ring stands for is given back
  // before its runtime ends.
  THRUM_INLINE void prefetch_ahead() {
    if (kReadAhead) {
      if (G* far = runq.ahead(6)) {
        __builtin_prefetch(far);
      }
      if (G* mid = runq.ahead(4)) {
        __builtin_prefetch(peek(mid->body));
      }
      if (G* near = runq.ahead(2)) {
        if (Body* b = peek(near->body)) {
          prefetch_context(b);
        }
      }
    }
  }

  // Waits begun, of all reasons.
  u64 parks() const {
    u64 n = 0;
    for (const Atomic<u64>& w : waits) {
      n += w.load(relaxed);
    }
    return n;
  }

  // Whose memory its stacks have; 0: that of no node in particular.
  u32 node() const { return stock >> 8; }

  u32 queued() const {
    return runq.size() + fresh.size() + (runq.has_next() ? 1 : 0);
  }
};

}  // namespace thrum
