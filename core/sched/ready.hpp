// Inside sched: queues, idle lists, wake chains. See ready.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/die.hpp"
#include "sched/near.hpp"
#include "sched/switch.hpp"

namespace thrum {

// ---- ready.cpp ---------------------------------------------------------------
void fresh_put(P* p, G* g);
void put_all(M* m, Fifo<G>& gs);  // plain ones of this runtime, behind
// Queues a runnable G where its class wants it: its domain, its M, the drawer,
// this P (`next`: before the others), or the global queue of its runtime.
void route(M* m, G* g, bool next);
// A hosted runtime's descriptor: there is work; whoever calls this will look for it;
// and when the call of a thread that had a P ends, it is readable from now on exactly
// when pumping is worth while, for whichever thread.
void raise_wake_fd(Runtime* rt);
void lower_wake_fd(Runtime* rt);
void time_wake_fd(Runtime* rt);  // pump.cpp
void announce(Runtime* rt);      // work came from outside the Ps
inline bool inside_domain(const G* g) {
  return g->ext && g->ext->domain && !g->ext->outside;
}
// Is g bound to a thread or inside its domain? Then its class counts for nothing.
inline bool tied(const G* g) { return g->body->pin || inside_domain(g); }
// By its owner: one reason less for kRouted.
inline void unroute(Runtime* rt, G* g) {
  if (!tied(g) && !seeded(rt) && (g->rank.load(relaxed) & 3) == kNormal) {
    g->flags &= static_cast<u8>(~kRouted);
  }
}
// What waits for any P, in the queues between them.
inline u32 between(const Runtime* rt) {
  return rt->global.size() + rt->ranked_count.load(relaxed);
}
// To the global queue, in one step with the end of its declared blocking.
void push_unblocked(Runtime* rt, G* g);

// With rt->lock held:
void idle_m_push(Runtime* rt, M* m);
void idle_m_remove(Runtime* rt, M* m);
P* idle_p_pop(Runtime* rt);
M* wanted_pop(Runtime* rt);
void wanted_append(Runtime* rt, M* m);
void wanted_remove(Runtime* rt, M* m);  // if it is there
// A P that nobody needs: to the first M that wants one (the caller wakes it), or
// to the idle list (null).
M* free_p(Runtime* rt, P* p);

// The P of m, on its way to another M.
inline P* leave_p(M* m) {
  P* p = m->p;
  p->tally.add(m->heap.tally, m->tallied);
  m->p = nullptr;
  p->m.store(nullptr, relaxed);
  return p;
}

// ---- note.cpp ---------------------------------------------------------------------
void note_wake(M* m);  // null: nobody
void note_wait(M* m, i64 deadline);
void idle_wait(M* m,
               i64 deadline);  // note_wait that tidies up when it gets long

// ---- ready.cpp --------------------------------------------------------------------

// Gives P (and a first G) to an idle M or to a new one; false: there is none to
// be had, and P is still the caller's.
bool start_m(Runtime* rt, P* p, G* g, bool spinning, bool owned);
// The same for a P without a first G; keeps it as idle if no M can be had.
void give_p(Runtime* rt, P* p, bool spinning);

void sysmon_wake(Runtime* rt);
// Work waits and nobody is woken for it: sysmon looks again, if it took a rest.
inline void sysmon_prompt(Runtime* rt) {
  if (THRUM_UNLIKELY(rt->sysmon_rest.load(relaxed) != 0)) {
    sysmon_wake(rt);
  }
}

// Do other threads have the CPUs, so that who is woken comes late?
inline bool wakes_late(const Runtime* rt) {
  return rt->wake_late.load(relaxed) >= 8 * rt->wake_ticks;
}

inline void maybe_wake(P* p) {
  Runtime* rt = p->rt;
  if (THRUM_LIKELY(rt->idle_count.load(relaxed) == 0)) {
    return sysmon_prompt(rt);
  }
  if (THRUM_LIKELY(rt->spinning.load(relaxed) != 0)) {
    return;
  }
  u64 mean = p->mean_run.load(relaxed);
  u64 worth = max(rt->wake_ticks, rt->wake_late.load(relaxed));
  if (mean && mean * (p->queued() + between(rt)) < worth) {
    return sysmon_prompt(rt);
  }
  wake_p(rt);
}

// ---- join.cpp ------------------------------------------------------------------
// Under the join lock of g: everyone who joins it, claimed, for ready_list.
Waiter* claim_joiners(G* g, int result);

// ---- loop.cpp ------------------------------------------------------------------
G* find_runnable(M* m, bool may_wait);
void execute(M* m, G* g);
bool has_work(Runtime* rt);  // any queue, without locks
void stop_spinning(M* m);
// Another try for the Gs that had no stack: when one comes back, in each pump,
// and in sleep_idle and sysmon every kStarvedRetry.
void feed_starved(Runtime* rt, u32 most);
constexpr i64 kStarvedRetry = 10'000'000;
void drop_p(M* m);  // gives the P away: to an M if work waits
void take_p(M* m, P* p);

// ---- idle.cpp -------------------------------------------------------------------
bool go_idle(M* m);  // false: work turned up
void sleep_idle(M* m);

// ---- source.cpp -----------------------------------------------------------------
u32 source_look(Runtime* rt, M* m);
inline u32 source_poll(Runtime* rt, M* m) {
  return THRUM_UNLIKELY(rt->source.load(relaxed) != nullptr)
             ? source_look(rt, m)
             : 0;
}
// What source_prompt has asked of m.
inline void source_prompted(M* m) {
  u32 slow = m->slow.load(relaxed);
  if (THRUM_UNLIKELY(slow & kSlowPoll) && !(slow & kSlowForked)) {
    m->slow.fetch_and(~kSlowPoll, relaxed);
    source_poll(m->rt, m);
  }
}
// Is there a world outside that no idle M watches?
inline bool unwatched(Runtime* rt) {
  return rt->source.load(relaxed) && !rt->watcher.load(relaxed);
}
void source_stop(Runtime* rt);
void source_free(Runtime* rt);
// The watcher's sleep; false: it was woken, or the deadline passed.
bool watch(M* m, i64 deadline);

// ---- steal.cpp, timers.cpp -------------------------------------------------------
G* steal(M* m);
G* take_global(M* m, P* p, bool batch);
u32 run_timers(M* m, P* p, i64 now);
i64 earliest_timer(Runtime* rt, const P* but = nullptr);
// It became the earliest of its P, which goes on with another G (`busy`) or not.
void timer_armed(P* p, i64 when, bool busy);

// ---- fork.cpp --------------------------------------------------------------------
// Is this the child of a fork that was made on m, in a G or a hook of the host?
// To be asked before a lock of m's runtime is taken, wherever guest code on an
// M's own stack may have forked. What is called there from many places asks
// itself: execute, want_p, lend_p, drop_p.
inline bool forked(const M* m) { return m->slow.load(relaxed) & kSlowForked; }
bool fork_ready();  // this process is told from its children; false: no memory
M* forked_m();      // in a child: the M that the calling thread was
// The call that lent m ends in a child. Returns kEFORKED.
int leave_forked(M* m);

// ---- pinned.cpp ------------------------------------------------------------------
void ready_pinned(M* m, M* pin, G* g);
void spawn_pinned(M* m,
                  G* g);  // a THRUM_PIN_STARTED that is born on m, with a P
G* take_pinned(M* m);
// Owner: are there ready Gs that run only here?
inline bool pinned_waits(const M* m) {
  return m->own_n.load(relaxed) || m->pinned_n.load(relaxed);
}
// Owner, with rt->lock held: all of those in `own`.
void take_in(M* m);
G* own_pop(M* m);
void sleep_locked(M* m);
void thread_is_spoilt(M* m);
// Waits, as an OS thread, until this M has a P.
void want_p(M* m);
// Do ready Gs wait for a thread of the host that lent itself before? `who`: its
// thread pointer, 0: any.
bool pinned_ready(Runtime* rt, u64 who);
// With rt->lock held: m gets an idle P as its next, or stands in the queue of
// those that want one.
void next_p_or_wait(Runtime* rt, M* m);

// ---- cpus.cpp
void inherit_cpus(M* maker, M* m);  // before m's thread begins
void pin_at_start(M* m);            // on it
void unpin_cpus(M* m);              // its G has unlocked

// ---- seeded.cpp ------------------------------------------------------------------
G* draw(M* m);  // lets virtual time jump if nothing else can run
// Room for one more G, and for the tokens of so many more domains.
bool drawer_reserve(Runtime* rt, u32 domains);
void drawer_put(Runtime* rt, G* g);

// ---- blocking.cpp, retake.cpp, procs.cpp, sysmon.cpp, lifecycle.cpp ---------------
// The calling G has no P: it gets one, or is queued. Returns the M it goes on on.
M* come_back(M*& m);
// sysmon: takes p from m, whose G is outside, if it is the one that was seen.
bool retake(Runtime* rt, P* p, M* m, const Look& seen);
i64 watch_look(Runtime* rt, i64 now);  // sysmon; returns when to look again
Suspect& suspect_of(Runtime* rt, u64 site);
bool attend(M* m, P* p);  // P::attention; false: the P is gone
bool give_wanted(M* m);   // the P, to the first M that wants one
// world.cpp: in the loop, with a P: waits until the world runs. world_call: a
// parking call of a G that finds kWorld.
void world_wait(M* m);
void world_call(M*& m);
// How a G leaves whose slice is over: behind all that waits, also in the global
// queue (Go's gopreempt_m), or it and its like would keep that waiting.
AfterKind slice_end(M* m, G* g);
void leave_for_loop(M*& m);  // park.cpp: as a yield does, whatever is pending
void sysmon_start(Runtime* rt);  // with the first M; once
M* m_lend(Runtime* rt);          // the calling thread as an M; null: no memory
void m_unlend(M* m);
int pump_gs(Runtime* rt, i64 deadline);
bool lend_p(M* m, bool wait);  // a P for a lent M; false: none is free
bool m_create(Runtime* rt, P* p, G* g, bool spinning);
// The thrum_run that waits for the G of `e`, detached from it; null: none.
RunCall* run_take(Runtime* rt, Ext* e);
void run_ended(M* m, RunCall* call);
void exit_counted(M* m, Runtime* rt);

// ---- body.cpp, trim.cpp ----------------------------------------------------------
Body* body_take(Runtime* rt, P* p, u32 size_class);  // null: no memory
void body_flush(Runtime* rt, P* p);                  // all that p has in stock
void stocks_flush(Runtime* rt);                      // of all Ps that rest
// sysmon; returns when to look again.
i64 trim_look(Runtime* rt, i64 now);
u64 dispatched(Runtime* rt);  // loop.cpp: by all Ps

// ---- hibernate.cpp ---------------------------------------------------------------
// In a signal handler: somebody has touched the stack of b's G. True: it is there.
bool stack_touched(Runtime* rt, Body* b);
void all_awake(Runtime* rt);          // world_stop: the stacks of all that wait
i64 scan_look(Runtime* rt, i64 now);  // sysmon; returns when to look again
void scan_all(Runtime* rt,
              M* self);  // all Gs that wait, now; self: the caller's

}  // namespace thrum
