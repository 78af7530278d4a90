// G: a green thread. Three parts with three lives:
//
//   G     64 bytes at an address that its slot gives (sched/table.hpp); all that
//         exists of a G that has not run. Type-stable: never unmapped while its
//         runtime lives, so a stale handle is an answer and not a crash.
//   Body  what it needs to run: a stack, saved context, wait nodes, timer. Taken
//         warm from the P's cache at first execute, returned at exit.
//   Ext   what few Gs have: a name, drop, a domain, locals. Heap, on demand.
//
// Who may write what: every field ends with its guard. "owner" is the M that
// runs the G or, while it waits, whoever claimed it (exactly one, see Wake);
// "seen": observers read it meanwhile (publish and peek, base/atomic.hpp).
// SPDX-License-Identifier: MIT
#pragma once
#include "arch/sanitize.hpp"
#include "base/atomic.hpp"
#include "base/defs.hpp"
#include "mem/stack.hpp"
#include "queue/timer_heap.hpp"

namespace thrum {

struct Domain;
struct G;
struct M;
struct P;
struct RunCall;
struct Runtime;
struct Waiter;

// Why a G waits. A closed list: traces, dumps and deadlock reports print it.
#define THRUM_WAIT_REASONS(X) \
  X(none)                     \
  X(sleep)                    \
  X(join)                     \
  X(park)                     \
  X(chan_send)                \
  X(chan_recv)                \
  X(select)                   \
  X(mutex)                    \
  X(rwmutex_read)             \
  X(rwmutex_write)            \
  X(cond)                     \
  X(waitgroup)                \
  X(semaphore)                \
  X(once)                     \
  X(domain)                   \
  X(blocking)                 \
  X(net_read)                 \
  X(net_write)                \
  X(net_poll)                 \
  X(net_dns)
enum class Why : u8 {
#define X(name) name,
  THRUM_WAIT_REASONS(X)
#undef X
};
constexpr u32 kWhys = static_cast<u32>(Why::net_dns) + 1;
const char* why_name(Why why);

// For observers; the truth about waiting is G::word. Behind each its next states.
//   none      a free slot: runnable
//   runnable  in a queue, no M is on its stack: running dead
//   running   an M is on its stack: runnable waiting blocking dead
//   waiting   parked: runnable
//   blocking  on its stack, in a declared blocking call: running runnable
#define THRUM_STATES(X) \
  X(none) X(runnable) X(running) X(waiting) X(blocking) X(dead)
enum class State : u8 {
#define X(name) name,
  THRUM_STATES(X)
#undef X
};
const char* state_name(State s);

// ---- G::word: generation, phase and requests in one atomic -------------------
// All changes are RMWs, so a request and a park never miss each other.
constexpr u64 kPhase = 3;   // 0: not waiting
constexpr u64 kFrozen = 3;  // waiting, and nobody is to touch it now: for some
                            // us, see hibernate.cpp
constexpr u64 kWait = 1;    // waiting; cancel may end it
constexpr u64 kWaitHard = 2;   // waiting; cancel may not (shielded, a FOREVER
                               // lock)
constexpr u64 kCancel = 4;     // a cancel request is pending
constexpr u64 kCancelled = 8;  // one was delivered and not cleared
constexpr u64 kPermit = 16;    // thrum_unpark's permit
constexpr u64 kParked = 32;    // the wait is thrum_park's: a permit ends it
constexpr u64 kJoined = 64;    // someone joins: exit looks at G::joiners
constexpr u64 kAnswering =
    128;                    // a delivered request has not been answered yet:
                            // another one is the same
constexpr u64 kLive = 256;  // spawned and not ended
constexpr u64 kSeen = 512;  // it has waited since the last look at all Gs
constexpr u64 kTrimmed = 1024;  // and its unused stack has been given back
constexpr u64 kLooked = 2048;   // it has waited since the last look for stuck
                                // ones (observe/stuck.cpp)
constexpr u64 kLost = 4096;  // its domain was closed: it never runs again, and
                             // nobody ends a wait of its any more
// What ends with a wait.
constexpr u64 kWaitBits = kPhase | kParked | kSeen | kTrimmed | kLooked;
constexpr u32 kGenShift = 34;  // 30 bits, never 0 in a handle
constexpr u64 kGenMask = ((u64{1} << 30) - 1) << kGenShift;

// ---- G::affinity: THRUM_MIGRATE, THRUM_PIN_STARTED, THRUM_PIN_M ---------------
constexpr u8 kMigrate = 0;
constexpr u8 kPinStarted = 1;
constexpr u8 kPinM = 2;

// ---- G::flags ------------------------------------------------------------------
constexpr u8 kRouted = 1;     // not for the P's ring as it is: pinned, in a
                              // domain, or in a deterministic runtime
constexpr u8 kToken = 2;      // stands for a domain with runnable Gs
constexpr u8 kStarted = 4;    // has a body
constexpr u8 kHibernate = 8;  // THRUM_G_HIBERNATE
constexpr u8 kSampled = 16;   // its latency is measured: metrics.cpp
constexpr u8 kFromNet = 32;   // and it is the poller that woke it

// ---- G::rank: classes, THRUM_PRIO_* ----------------------------------------------
constexpr u8 kNormal = 0;
constexpr u8 kHigh = 1;
constexpr u8 kLow = 2;
constexpr u32 kRanks = 3;

// ---- what delays are told apart by ------------------------------------------------
// Each G is in one class by where it may run, and in one by its priority.
constexpr const char* kClassNames[] = {"migrate", "pinned", "domain",
                                       "normal",  "high",   "low"};
constexpr u32 kAffinities = 3;  // the first of them
constexpr u32 kClasses = kAffinities + kRanks;

struct Asleep;
struct Body;
struct Ext;
struct Rare;

struct alignas(kCacheLine) G {
  Atomic<u64> word;  // atomic (RMW by anyone)
  G* next;           // the queue that holds it
  union {
    void (*fn)(void*);  // const until it first runs
    Body* away;         // owner: its body while it hibernates; seen
  };
  void* arg;            // const after spawn; seen
  u32 slot;             // const
  Atomic<State> state;  // owner; observers read
  u8 affinity;          // const after spawn
  Atomic<u8> rank;      // atomic: its class, see rank.hpp
  u8 flags;             // owner
  Body* body;           // owner; null before it first runs, and while it
                        // hibernates; seen
  Ext* ext;             // owner; null: nothing special; seen under join_lock
  Waiter* joiners;      // Runtime.join_lock of its slot
};
static_assert(sizeof(G) == 64, "an unstarted G is one cache line");

struct Ext {
  char name[48];        // const
  void (*drop)(void*);  // const
  Domain* domain;       // const; owns a reference
  bool outside;         // Runtime.join_lock; owner reads: has left its domain
  M* pin;               // const: THRUM_PIN_M
  u32 stack_class;      // const
  RunCall* run;         // const: the thrum_run that waits for it
  void** locals;        // owner; by key
  u32 local_count;      // owner
};

// ---- waiting -------------------------------------------------------------------
// A Wake is one waiting party: a G (in its body) or a foreign thread (on that
// thread's stack, for the time of one call). Whoever ends a wait first claims it
// by moving its word's phase back to 0; the claimer alone writes result and by,
// then calls ready(). Claims happen under the lock of the structure that holds
// the node (channel, timer heap), or, for cancel and unpark, on a word that
// carries the generation. The woken side unlinks all its other nodes, under
// their locks, before its call returns, so no node outlives its wait.
struct Wake {
  Atomic<u64>* word;  // const during a wait
  G* g;               // const; null: a foreign thread
  int result;         // claimer
  Atomic<u32> note;   // foreign threads: 1 = readied
  Waiter* by;         // claimer: the node that ended a select
};
struct ThreadWake : Wake {
  Atomic<u64> own;  // the word
};

struct Waiter {
  Waiter* next;  // the object's lock
  Waiter* prev;  // the object's lock
  Wake* wake;    // const while linked
  void* elem;    // const while linked, but for hibernate.cpp: source or
                 // destination
  u64 data;      // the object's lock: select arm, lock kind
  bool linked;   // the object's lock
  u32 size;      // of elem, in bytes
};

struct WaitQueue {
  Waiter* head;
  Waiter* tail;

  bool empty() const { return !head; }

  void push(Waiter* w) {
    w->next = nullptr;
    w->prev = tail;
    w->linked = true;
    if (tail) {
      tail->next = w;
    } else {
      head = w;
    }
    tail = w;
  }

  void push_front(Waiter* w) {
    w->prev = nullptr;
    w->next = head;
    w->linked = true;
    (head ? head->prev : tail) = w;
    head = w;
  }

  void remove(Waiter* w) {
    (w->prev ? w->prev->next : head) = w->next;
    (w->next ? w->next->prev : tail) = w->prev;
    w->linked = false;
  }

  Waiter* pop() {
    Waiter* w = head;
    if (w) {
      remove(w);
    }
    return w;
  }
};

inline bool frozen(u64 word) { return (word & kPhase) == kFrozen; }
// Takes a G that waits for oneself, as it is described by v; then thaw it. Who
// has one takes no lock of an object, of a timer heap or of a joiner, and calls
// nothing that parks: others wait for it with such locks in hand.
inline bool freeze(G* g, u64 v) {
  // acquire: pairs with commit_park: the stack is as its M left it.
  return !frozen(v) &&
         g->word.compare_exchange_strong(v, v | kFrozen, acq_rel, relaxed);
}
// `set`: bits of the word, 0 until now.
inline void thaw(G* g, u64 phase, u64 set) {
  g->word.fetch_add(set - (kFrozen - phase), release);
}
// Waits until it is not; returns the word. park.cpp
u64 thawed(const Atomic<u64>& word);

// Moves the phase back to 0; false: another party was faster, or nobody may.
inline bool claim(Wake* wake) {
  u64 v = wake->word->load(relaxed);
  for (;;) {
    if (((v + 1) & (2 | kLost)) != 2) {  // neither kWait nor kWaitHard, or lost
      if (!(v & kPhase) || (v & kLost)) {
        return false;
      }
      v = thawed(*wake->word);
      continue;
    }
    // acq_rel: acquires what the waiter wrote before it published its phase
    // (commit_park), releases what the claimer wrote to the waiter's memory.
    if (THRUM_LIKELY(wake->word->compare_exchange_weak(v, v & ~kWaitBits,
                                                       acq_rel, relaxed))) {
      return true;
    }
  }
}

// The first waiter that can be claimed, unlinked; the caller owes it a result and
// ready(). Under the lock of the queue.
inline Waiter* pop_claimed(WaitQueue& q) {
  while (Waiter* w = q.pop()) {
    if (THRUM_LIKELY(claim(w->wake))) {
      return w;
    }
  }
  return nullptr;
}

// Up to `most` of them, in order, linked by next, with their result set.
inline Waiter* claim_list(WaitQueue& q, u64 most, int result) {
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  while (most--) {
    Waiter* w = pop_claimed(q);
    if (!w) {
      break;
    }
    w->wake->result = result;
    w->wake->by = w;
    w->next = nullptr;
    (last ? last->next : first) = w;
    last = w;
  }
  return first;
}

struct EhGlobals {  // __cxa_eh_globals: two words per thread
  void* caught;
  u64 uncaught;
};

// Three cache lines; the first two are what a park and a wake touch.
struct alignas(kCacheLine) Body {
  union {
    void* sp;        // owner: context while it is not running; seen
    Asleep* asleep;  // owner: what its stack was, while it hibernates
  };
  EhGlobals eh;                          // owner: of the G, while another runs
  i64 limit;                             // owner: thrum_limit
  i32 shield;                            // owner
  Timer timer;                           // timer_home's lock
  Atomic<Why> why;                       // owner
  bool lock_pinned;                      // owner: pin stems from lock_thread
  bool bound;                            // owner: pin stems from a preemption
  bool awake;                            // owner: this wait must not hibernate
  [[no_unique_address]] StackNote note;  // owner
  Wake wake;
  union {
    P* timer_home;  // owner
    Body* next;     // the cache that holds it, while it is nobody's
  };
  const void* on;  // owner: what it waits in: the object (its lock comes
                   // first), the G it joins, thrum_park's text; null: a
                   // sleep, a select (see `nodes`); seen
  i64 since;       // owner: when the wait began, 0: not stamped; seen

  Waiter waiter;     // of all waits but selects
  M* pin;            // owner: where it must run; null: anywhere
  void* held_sp;     // owner: declared blocking, or waiting for a P on its own
                     // M: the guest's frames lie above; seen
  Waiter* nodes;     // owner: of selects, kept for the next one
  mem::Stack stack;  // const

  Rare* rare() const { return reinterpret_cast<Rare*>(stack.hi); }
};

// Of a started G that waits or has just been woken; to be called by its owner.
inline Body* body_of(const G* g) { return g->body ? g->body : g->away; }

// What few calls use. At the high end of the stack: there it costs an idle G
// nothing.
struct alignas(kCacheLine) Rare {
  u32 lock_depth;   // owner: thrum_lock_thread
  u32 block_depth;  // owner: thrum_enter_blocking
  u64 block_site;   // owner: who called the outermost one
  u64 block_since;  // owner: cpu_ticks then
  u64 stopped_at;   // owner's signal handler: the program counter
  u32 node_count;   // owner: room of Body::nodes, if there are any
  i32 hold;         // owner; its signal handler reads: thrum_preempt_hold
  bool migrates;    // owner's signal handler: the region says so
};
static_assert(sizeof(Rare) == kCacheLine);
static_assert(kFibreNotes || sizeof(Body) == 3 * kCacheLine);

}  // namespace thrum
