// What the rooms above sched may call, grouped by the file that owns it.
//
// Everything here takes the calling M (this_m() at the door, null on a foreign
// thread). Calls that park take it by reference and leave the M they return on.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/err.hpp"
#include "sched/runtime.hpp"

namespace thrum {

// The G that calls, or null: a foreign thread, or a lent one outside its Gs.
inline G* g_of(M* m) { return m ? m->cur : nullptr; }

// ---- park.cpp: waiting -------------------------------------------------------
struct Wait {
  i64 deadline;
  Why why;
  bool hard = false;         // cancel does not end it
  bool parked = false;       // thrum_park: a permit ends it
  const void* on = nullptr;  // what it waits in; null: the object whose lock
                             // the wait releases
  i64 now = 0;               // the clock, if the caller has just read it
};
// wait_begin(m, w): may this wait begin? 0, kEAGAIN (kTry), kETIMEDOUT, kECANCELED (consumes the
// request), kENOMEM. Cuts the deadline to the G's limit and makes room for its
// timer. Call it under the object's lock, before the node is linked.
// wait(), wake_of(), waiter_of(): sched/wait.hpp

// ---- ready.cpp ---------------------------------------------------------------
// Makes a claimed waiter go on. A G of the caller's runtime runs next on this P.
void ready(M* m, Wake* wake);
void ready_list(M* m, Waiter* list);  // of claim_list
// A G that is runnable again, behind the others.
void ready_behind(M* m, G* g);
void wake_p(Runtime* rt);

// ---- spawn.cpp, exit.cpp, join.cpp, cancel.cpp ---------------------------------
struct SpawnOpts {
  const char* name = nullptr;
  void (*drop)(void*) = nullptr;
  Domain* domain = nullptr;
  RunCall* run = nullptr;
  u32 stack_class = kStackDefault;
  u8 affinity = 0;
  u8 priority = 0;
  u8 flags = 0;

  static constexpr u32 kStackDefault = UINT32_MAX;
};
int spawn(M* m, Runtime* rt, const SpawnOpts* opts, void (*fn)(void*),
          void* arg, u64* out);
u64 self(M* m);
int join(M*& m, Runtime* rt, u64 handle, i64 deadline);
int cancel(M* m, Runtime* rt, u64 handle);
void cancel_all(M* m, Runtime* rt);
int unpark(M* m, Runtime* rt, u64 handle);

// ---- park.cpp: the calling G ---------------------------------------------------
int check(M*& m);  // safepoint
int check_slow();  // of a G that has something to look at
inline bool must_check(M* m, G* g) {
  // Without a P, or with one that may be another's by now, the door is called.
  return THRUM_UNLIKELY(m->door.called()) ||
         THRUM_UNLIKELY((m->p->attention.load(relaxed) |
                         (g->word.load(relaxed) & kCancel)) != 0);
}
int park(M*& m, const char* reason, i64 deadline);

// ---- rank.cpp: classes, and mutexes that lend theirs -----------------------------
G* rank_g(M* m, u64 who);  // if it is one of m's runtime, and that has classes
u8 rank_of_caller(M* m);   // now; kNormal: not a G
u8 rank_of_queue(const WaitQueue& q);  // of the highest of the first 64
// Under the lock of a mutex that `who` (sync.hpp) holds: it gets `rank` until it
// unlocks, if that is higher than its own. `again`: this mutex lends to it already.
// True: it lends now.
bool rank_lend(M* m, u64 who, u8 rank, bool again);
void rank_back(M* m);  // the caller has unlocked one that lent

// ---- timers.cpp ----------------------------------------------------------------
// The clock of the caller: virtual in a G of a deterministic runtime.
i64 now_of(M* m);

// ---- blocking.cpp, pinned.cpp --------------------------------------------------
// site: where the guest's code goes on.
int enter_blocking(M*& m, u64 site = 0);
int exit_blocking(M*& m);
// ---- retake.cpp: a call that finds something in the word of its door ------------
void enter_apart(M* m);  // non-parking
// Parking (or, with `parks` false, with THRUM_TRY). True: inside a declared
// block, and it has a P for its time; block_resume follows.
bool enter_slow(M*& m, bool parks);
void enter_after_guest(M*& m);  // behind a callback
void block_resume(M*& m);       // blocking.cpp
int lock_thread(M* m);
int unlock_thread(M* m);

// ---- cpus.cpp: masks of `words` words, see os::affinity_set ----------------------
int pin_cpu(M* m, const u64* mask, u32 words);
int pin_threads(Runtime* rt, const u64* mask, u32 words);
// Nice and slice of all Ms of rt; what is refused the rest is in force without.
int sched_threads(Runtime* rt, i32 nice, u64 slice_ns);

// ---- world.cpp
int world_stop(M*& m, Runtime* rt, i64 deadline);
int world_start(M* m, Runtime* rt);

// ---- watch.cpp: Runtime::watch.tell is told, on sysmon, of Gs that hold out
// Off, and nobody is being told any more; false: called from `tell`.
bool watch_pause(Runtime* rt);
void watch_begin(Runtime* rt, i64 limit);

// ---- local.cpp -----------------------------------------------------------------
int local_new(void (*drop)(void*), u32* out);
int local_set(M* m, u32 key, void* value);
void* local_get(M* m, u32 key);
void ext_free(Runtime* rt, Ext* e);

// The heap of an M is its thread's and needs no P. Null: a thread that is none.
inline mem::Heap* heap_of(M* m) { return m ? &m->heap : nullptr; }
// By Gs of p, about now.
void tally_of(P* p, mem::Tally& out);

// ---- domain.cpp ----------------------------------------------------------------
struct DomainOps {
  u32 flags;
  i64 handover_ns;
  int (*acquire)(void*);
  void (*release)(void*);
  void (*switch_to)(void*, void*, void*);
  void (*preempt)(void*, void*) = nullptr;  // async-signal-safe
};
constexpr u32 kDomainHostLock = 1;
constexpr u32 kDomainPumped = 2;
int domain_new(Runtime* rt, const DomainOps& ops, void* arg, Domain** out);
void domain_retain(Domain* d);
void domain_release(Domain* d);
Runtime* domain_rt(Domain* d);
int domain_leave(M*& m);
int domain_enter(M*& m);
int domain_pump(M* m, Domain* d, i64 deadline);
int domain_wake_fd(Domain* d);
int domain_close(M* m, Domain* d);

// ---- fork.cpp ------------------------------------------------------------------
// Cold: in the child of a fork that a G made, the thread goes on with the G's
// code, but is no M any more, and g_of says null.
bool was_g();   // is the caller such code?
u64 was_who();  // who_of (sync/sync.hpp) of that G; 0: the caller was none
int no_g();     // the answer to a call that only a G may make: kENOTG, kEFORKED
// The answer to a call that needs a runtime and has none: the one that it names
// is the parent's (kEFORKED), or it names none (kEINVAL, or as above).
int no_rt(const void* named);

// ---- preempt.cpp ---------------------------------------------------------------
// signo 0: any. Returns the number.
int preempt_enable(Runtime* rt, int signo);
int preempt_disable(Runtime* rt);
int preempt_region(u64 lo, u64 hi, u32 flags);
int preempt_forget(u64 lo, u64 hi);

// ---- overflow.cpp --------------------------------------------------------------

int overflow_enable(Runtime* rt);
int overflow_disable(Runtime* rt);

// ---- lifecycle.cpp, pump.cpp, procs.cpp ----------------------------------------
int rt_new(Runtime** out, const Config& config);
void rt_retain(Runtime* rt);
void rt_release(Runtime* rt);
int rt_stop(M* m, Runtime* rt, i64 deadline);
int rt_on_thread(Runtime* rt, void (*start)(void*), void (*stop)(void*),
                 void* arg);
int run(M* m, Runtime* rt, void (*fn)(void*), void* arg);
int pump(M* m, Runtime* rt, i64 deadline);
// trim.cpp: gives back what is not needed now.
void trim(M* m, Runtime* rt);
i64 next_wake(Runtime* rt);
int wake_fd(Runtime* rt);
int set_procs(M* m, Runtime* rt, u32 n);

}  // namespace thrum
