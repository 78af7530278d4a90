// Runtime: everything that is not a G, an M or a P. Several may live in one
// process and know nothing of each other.
// SPDX-License-Identifier: MIT
#pragma once
#include "mem/source.hpp"
#include "mem/attic.hpp"
#include "os/lock.hpp"
#include "os/os.hpp"
#include "queue/global.hpp"
#include "sched/m.hpp"
#include "sched/p.hpp"
#include "sched/table.hpp"

namespace thrum {

constexpr u32 kMaxProcs = 1024;
constexpr u32 kJoinLocks = 64;
constexpr u32 kObservers = 2;

struct Observer;
struct Profile;
struct Recorder;
struct Govern;
struct Near;
struct Runtime;
struct Source;

struct Config {
  mem::Source source;  // all null: thrum's own
  u32 procs;
  u32 max_threads;
  bool deterministic;
  bool hosted;
  u32 stack_class;
  i64 slice_ns;
  i64 sysmon_ns;   // its tick
  i64 idle_ns;     // a G that waits for so long gives back what it can; 0: none
  bool hibernate;  // all Gs do
  u64 seed;
  Govern* govern;  // owned; null: nobody decides (govern.hpp)
  // Says on stderr which Gs there are and what they wait for. Observing lives
  // above sched; the composition root hands it in.
  void (*report)(Runtime* rt, const char* title);
  // Debug mode, else null: looks at each G that parks, before it may go on.
  void (*parks)(Runtime* rt, M* m, G* g);
};

// What sysmon saw of a P.
struct Look {
  u64 dispatches;
  i64 since;   // seen with this number first
  i64 marked;  // when its M was marked as outside
  u64 site;    // where it was outside then
  u64 said;    // the dispatch that the watchdog has told of, + 1
  // preempt_look's: the M, its CPU clock and when that was read; the dispatch it
  // has asked to stop, when, how often M had refused then, and when it may ask
  // again.
  M* m;
  i64 cpu, cpu_at;
  u64 asked;
  i64 asked_at, ask_again;
  u32 refusals;
};

// A G that has not come to a scheduling point for long, and what was done.
enum class Done : u8 {
  kept,     // it has its P: nobody waited, or no thread was to be had
  retaken,  // its P went to another M
  inside,   // it is inside a thrum call
};
struct Stall {
  G* g;
  M* m;
  i64 lasted;
  Done done;
};
struct StallView;
struct Watch {
  Atomic<i64> limit;   // ns; 0: off
  Atomic<u64> teller;  // sysmon: its thread pointer while it may tell
  WordLock setting;    // one who changes the rest at a time
  void (*tell)(Runtime*, const Stall&);  // const while on
  // The teller's own, const while on: whom it tells, and how.
  void (*show)(const Watch& w, const StallView& stall);
  void* fn;
  void* arg;
};

// Looks at all Gs that wait, and what came of them.
struct Scan {
  WordLock lock;        // the rest; one who looks at a time
  u32 at;               // lock: the next slot
  bool open;            // lock: a look has begun and not ended
  bool asked;           // lock: scan_all is at it, and nobody else
  i64 next;             // lock: go on then
  void* batch;          // lock: see hibernate.cpp
  mem::Attic attic;     // lock takes, anyone gives
  bool refused;         // lock: stacks cannot be given back here
  Atomic<u64> asleep;   // atomic: Gs that hibernate
  Atomic<u64> bytes;    // atomic: what their stacks have become
  Atomic<u64> trimmed;  // atomic: stacks whose unused part went, ever
  Atomic<bool> wanted;  // atomic: Gs with THRUM_G_HIBERNATE were spawned
};

// A place in guest code that does not declare what it does.
struct Suspect {
  u64 site;
  u32 row;  // retakes in a row
};

// Who has been declared to end the waits in an object (observe/stuck.hpp).
struct Waker {
  const void* object;
  u64 g;  // a handle
};
struct Wakers {
  WordLock looking;  // one who looks for stuck Gs at a time
  WordLock lock;     // the rest
  Waker* list;       // lock
  u32 count, room;   // lock
};

// Gs of a deterministic runtime: all runnable ones, drawn by the seed.
struct Drawer {
  G** items;
  u32 count, capacity;
  u32 domains;  // that there are: their tokens stand here as well
};

// Ms that were pinned where their P shall be (near.cpp), and what was refused.
struct PinCounts {
  u32 pinned, refused, memory_refused;  // how often
  int error, memory_error;              // the last one
};

// When a G became runnable whose latency is measured. A few of them at a time: by slot.
struct Stamp {
  Atomic<u32> slot;   // who readies it writes
  Atomic<u64> ticks;  // likewise; kFromNet: when it was taken, then
};
constexpr u32 kStamps = 64;

struct Runtime {
  Atomic<u32> refs;            // atomic
  Atomic<u32> said_unstopped;  // atomic: reported once
  Atomic<u32> said_starved;    // atomic: reported once
  Atomic<u32> said_threads;    // atomic: reported once
  Atomic<u32> said_held;       // atomic: reports of the debug mode
  Atomic<u64> yields_told;     // atomic: the most that an observer was told of
  u32 tag;                     // const: upper byte of its handles
  u32 epoch;                   // const: os::fork_epoch of its process
  Config config;               // const
  Table table;
  mem::Arenas arenas;

  // Ps
  P* ps[kMaxProcs];        // lock writes below p_count; entries never change
  Atomic<u32> p_count;     // lock writes: Ps ever made
  Atomic<u32> procs;       // lock writes: Ps in service
  P* idle_p;               // lock
  Atomic<u32> idle_count;  // lock writes
  Atomic<u32> spinning;    // atomic: Ms that look for work

  WordLock lock;     // the fields marked "lock"; never held over a park,
                     // a callback or a system call other than a wake
  Global<G> global;  // lock
  Fifo<G> starved;   // lock: no memory for their stacks
  Atomic<u32> starved_count;  // lock writes, anyone reads

  // Ms
  M* ms;                 // lock
  u32 m_count;           // lock: owned threads alive
  u32 m_creating;        // lock: of these, not yet joinable
  u32 gone_ms;           // lock: Ms whose threads have ended
  bool closing;          // lock: no more threads
  u32 m_ids;             // lock
  M* idle_m;             // lock: LIFO, the warmest first
  u32 idle_ms;           // lock: how many
  M* wanting_head;       // lock: Ms that want a P, FIFO
  M* wanting_tail;       // lock
  Atomic<u32> wanting;   // lock writes
  Atomic<u32> visitors;  // atomic: hands on a G between two queues, see route
  Atomic<u32> lent;      // atomic: threads inside run and pump
  Atomic<u32> running;   // lock writes: of these, inside run, their G spawned
  Atomic<M*> sleeper;    // the idle M that waits for the earliest timer
  Atomic<i64> sleep_until;  // sleeper writes; arming compares
  Atomic<i32> spin_credit;  // racy on purpose: how far looking has paid lately
  i64 spin_ns;              // const: how long to look before sleeping
  i64 collect_ns;           // const: an M that sleeps so long tidies its heap
  u64 long_ticks;           // const: a blocking call worth another M (50 us)
  u64 quick_ticks;          // const: a declared block that sysmon ends (200 us)
  u64 wake_ticks;           // const: about what a wake costs, in cpu_ticks
  Atomic<u64> wake_late;  // racy on purpose: how late the woken come, smoothed
  u64 ns_per_tick;        // const: 32.32

  // The world outside (source.hpp)
  WordLock source_lock;    // while it is made
  Atomic<Source*> source;  // source_lock writes, once
  Atomic<M*> watcher;      // lock writes: the idle M that sleeps in it
  Atomic<u64> polled;      // racy on purpose: cpu_ticks at the last look

  // Life
  Atomic<u32> stopping;  // 0, 1: refuse spawns, cancel all, 2: stopped
  WordLock stop_lock;
  bool stop_busy;               // stop_lock: a thread is in thrum_rt_stop
  Atomic<u32> stop_note;        // futex: bumped when a G ends while stopping
  Atomic<u64> foreign_spawned;  // atomic: by threads without a P
  Atomic<u64> foreign_exited;   // atomic
  Atomic<u32> blocking;         // atomic: Gs on their Ms without a P
  WordLock join_locks[kJoinLocks];  // by slot: G::joiners
  Domain* domains;                  // lock: all of them
  Domain* spare_domains;            // lock: memory of released ones
  bool fence_all;                   // const: the kernel has membarrier
  u64 cpus[kCpuWords];              // lock: for the Ms it makes
  bool cpus_set;                    // lock: by thrum_pin_threads
  bool sched_set;                   // lock: by thrum_sched_threads
  os::ThreadSched sched;            // lock: for the Ms it makes
  os::ThreadSched sched_got;        // lock: what the last one reads back
  int sched_error;                  // lock: what was refused it
  void (*thread_start)(void*);      // const after the first spawn
  void (*thread_stop)(void*);
  void* thread_arg;

  // Stopping the world
  Atomic<u32> world;       // lock writes: 1: no P is to be taken, none to run
  u64 world_owner;         // lock: the G or thread that stopped it
  u32 world_depth;         // lock: how often
  Atomic<u32> world_note;  // futex: bumped when it starts again

  // Deterministic mode
  Drawer drawer;            // the one M
  Choice seeded;            // the one M
  Atomic<i64> virtual_now;  // the one M
  u64 trace;                // the one M: hash of the event order

  // Hosted mode
  os::WakeFd wake_fd;       // const
  Atomic<u32> wake_raised;  // atomic
  WordLock wake_lock;       // its timer

  // sysmon
  os::Thread sysmon;          // stop joins
  bool sysmon_on;             // lock; seen
  Atomic<u32> sysmon_note;    // futex
  Atomic<u32> sysmon_rest;    // sysmon writes: 1: until it is prompted
  Atomic<i64> sysmon_until;   // the same: or until then
  Atomic<bool> sysmon_leave;  // atomic
  Look looks[kMaxProcs];      // sysmon
  Suspect suspects[64];       // sysmon: by a hash of the site
  Atomic<u32> said_capped;    // atomic: reported once
  Scan scan;                  // see hibernate.cpp
  i64 trim_at;                // sysmon: not before then; see trim.cpp
  u64 trim_dispatches;        // sysmon: at the last look
  u64 polled_seen;            // sysmon: Runtime.polled then
  i64 linger;                 // sysmon: it takes no rest before
  Watch watch;                // see watch.cpp
  Wakers wakers;              // see observe/stuck.cpp

  // Classes (rank.hpp), and who says how many Ps
  Fifo<G> ranked[kRanks];    // lock: of the classes kHigh and kLow
  Atomic<u32> ranked_count;  // lock writes, anyone reads: of both
  Atomic<bool> ranks_used;   // atomic: a G of a class was spawned
  u64 slice_ticks;           // const: a slice, in cpu_ticks
  Atomic<bool> procs_told;   // atomic: the host has set it: nobody else does

  // Where (near.hpp)
  Atomic<const Near*> near;  // near_set writes; null: all CPUs are alike
  Atomic<u32>
      plan;  // atomic: by which Ms are pinned, counted up; 0: they are not
  PinCounts pins;  // lock

  // Pacing (pace.hpp)
  Atomic<i64> pace_until;         // sysmon writes: a pause lasts until then
  Atomic<bool> pace_all;          // sysmon writes: also for the first P
  Atomic<u64> pauses, paused_ns;  // atomic: of Ps, ever

  // Signals
  WordLock signals_lock;    // the two below, while they change
  Atomic<u32> preempt_on;   // signals_lock writes: Gs are preempted
  Atomic<u32> sample_on;    // signals_lock writes: a profile asks where Ms are
  Atomic<u32> overflow_on;  // signals_lock writes: full stacks are told of
  Atomic<u32> signals_set;  // signals_lock writes: how often they changed

  // Who looks (observer.hpp)
  Stamp stamps[kStamps];
  Atomic<Observer*> observers[kObservers];  // source_lock writes, each once
  Atomic<u32> looking;                      // atomic: their threads
  Atomic<Profile*> profile;    // once: null until a profile is asked for
  Atomic<Recorder*> recorder;  // once: null until it is traced (recorder.hpp)
};

// A thrum_run in progress.
struct RunCall {
  M* lender;         // const
  Ext* main;         // Runtime.lock: of the G it waits for; null: that G ended
  Atomic<u32> done;  // 1: main ended, 2: deadlock
};

// Runtimes by tag, process-wide: a handle of one is never taken for another's, and
// debuggers find them here. 0 is no runtime.
constexpr u32 kTags = 256;
extern Atomic<Runtime*> g_runtimes[kTags];

inline bool seeded(const Runtime* rt) { return rt->config.deterministic; }

// Does it belong to the process that this one was forked from? Then nothing of
// it may be touched: its locks are as the parent's threads left them.
inline bool forked(const Runtime* rt) { return rt->epoch != os::fork_epoch(); }

// Else Gs run only on threads that the host lends.
inline bool owns_threads(const Runtime* rt) {
  return !rt->config.hosted && !rt->config.deterministic;
}

inline u64 live_gs(Runtime* rt) {
  u64 exited = rt->foreign_exited.load(acquire);
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    exited += rt->ps[i]->exited.load(acquire);
  }
  // Counted after the exits: the difference may be too high for a moment, never
  // too low.
  u64 spawned = rt->foreign_spawned.load(seq_cst);
  for (u32 i = 0; i < n; ++i) {
    spawned += rt->ps[i]->spawned.load(acquire);
  }
  return spawned - exited;
}

}  // namespace thrum
