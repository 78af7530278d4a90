// sysmon: a thread without a P that looks at the Ps from outside. It reads
// dispatch counters, so that no P reads a clock for it, and is the one asker at
// the Ms' doors (door.hpp).
//
// Each tick (a quarter slice): a G that has kept its P for a slice while others
// wait gets the slice flag, and if it is outside thrum its P is taken (retake),
// unless the kernel has kept its M from the CPUs meanwhile.
// One that declared to block, or left thrum where it has been caught before,
// keeps its P for 200 us only. Due timers of a busy P are announced; an idle P is
// woken for any work there is; the world outside is looked at if nobody else does.
//
// It rests while nothing can go wrong: when no P has dispatched since its last
// look and nobody waits it sleeps until somebody does, and nobody is woken for it
// (sysmon_prompt), or until a busy P's timer is due. So a runtime that is
// quiescent, or whose Gs just come and go, costs nothing.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"
#include "sched/govern.hpp"
#include "sched/preempt.hpp"

namespace thrum {

namespace {

constexpr i64 kTickLeast = 50'000;
constexpr u64 kShortSlice = 100'000;  // the least that EEVDF takes
constexpr i64 kQuickTick = 200'000;
constexpr u32 kCaught = 3;  // retakes in a row that make a place a suspect
constexpr i64 kUnfencedTicks = 16;  // where a rest is not exact
// With a world outside, a G that was woken from there may keep a watcher's P, and
// nobody prompts: 50 ms of ticks, before it rests (DESIGN 4.4).
constexpr i64 kLinger = 50'000'000;

// One look at all Ps, and what follows for the next.
struct Round {
  i64 now;
  i64 tick;     // at most a quarter slice
  i64 next;     // look again then
  bool work;    // in some queue
  bool waits;   // behind a busy P
  bool moving;  // some P has dispatched since the last look
  bool runs;    // some P is held
  bool due;     // a timer, of a P that does not see to it
  bool stuck;   // work waits behind a P that has not dispatched since
};

// The G of p has moved on by itself: where it was outside is no suspect.
void moved(Runtime* rt, Look& seen) {
  Suspect& s = suspect_of(rt, seen.site);
  if (seen.site && s.site == seen.site) {
    s.row = 0;
  }
  seen.site = 0;
  seen.marked = 0;
}

// Has its G been outside for 200 us without a call, where that is known to be
// long?
bool quick_case(Runtime* rt, M* m, Look& seen, Round& r) {
  u64 site = m->door.site.load(relaxed);
  Suspect& s = suspect_of(rt, site);
  bool declared = m->door.word.load(relaxed) & kDeclared;
  u64 since = declared ? m->declared_at.load(relaxed) : 0;
  if (since && cpu_ticks() - since >= rt->quick_ticks) {
    return true;  // work has waited from the first moment: no mark is needed
  }
  bool quick = declared || (s.site == site && s.row >= kCaught);
  if (!quick) {
    return false;
  }
  r.next = min(r.next, r.now + kQuickTick);
  if (seen.marked && m->door.marked()) {
    return r.now - seen.marked >= kQuickTick - kQuickTick / 8;
  }
  if (seen.marked) {
    moved(rt, seen);
  }
  m->door.mark();
  if (m->door.marked()) {
    seen.marked = r.now;
    seen.site = site;
  }
  return false;
}

constexpr i64 kStarvedSlices = 8;  // then it is passed by all the same

// Would m compute, but the kernel gives the CPUs to others? Another M in its place
// would be one more thread that waits for them.
bool starves(Runtime* rt, M* m, Look& seen, const Round& r, bool over) {
  u32 tid = m->tid.load(relaxed);
  if (seen.m != m || seen.cpu_at < seen.since) {
    seen.m = m;
    seen.cpu = os::thread_cpu_ns(tid);
    seen.cpu_at = r.now;
    return false;
  }
  i64 apart = r.now - seen.cpu_at;
  return over && r.now - seen.since < kStarvedSlices * rt->config.slice_ns &&
         4 * (os::thread_cpu_ns(tid) - seen.cpu) < apart &&
         os::thread_runs(tid);
}

void look_at(Runtime* rt, P* p, Look& seen, Round& r) {
  u64 d = p->dispatches.load(relaxed);
  bool same = d == seen.dispatches && seen.since;
  if (!same) {
    moved(rt, seen);
    seen.dispatches = d;
    seen.since = r.now;
    r.moving = true;
  } else {
    p->mean_run.store(0, relaxed);  // the sample is of other times
  }
  i64 first = p->earliest.load(relaxed);
  if (first <= r.now) {
    p->attention.fetch_or(kAttnTimers, relaxed);
    r.due |= same;
  } else {
    r.next = min(r.next, first);
  }
  M* m = p->m.load(acquire);  // pairs with take_p
  bool preempts = m && rt->preempt_on.load(relaxed);
  bool work = r.work || p->queued() || first <= r.now ||
              p->id >= rt->procs.load(relaxed);
  if (!work && !(preempts && preempt_waits(m))) {
    return;
  }
  r.waits = true;
  r.stuck |= same;
  bool tries = preempts && preempt_look(p, m, seen, r.now, &r.next);
  // It began up to a tick before it was first seen: it has three quarters of a
  // slice at least, and who waits behind it does so for one, hardly more. With
  // preemption the looks are closer, and a slice is what it says.
  i64 end = seen.since + rt->config.slice_ns - (preempts ? 0 : r.tick);
  bool over = r.now >= end;
  if (over) {
    p->attention.fetch_or(kAttnSlice, relaxed);
  } else {
    r.next = min(r.next, end);
  }
  bool quick = m && quick_case(rt, m, seen, r);
  bool starved = m && !preempts && starves(rt, m, seen, r, over);
  if (m && (quick || (over && !starved)) && work && !tries &&
      retake(rt, p, m, seen)) {
    seen.site = 0;
    seen.marked = 0;
  }
}

void look_at_ps(Runtime* rt, Round& r) {
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    P* p = rt->ps[i];
    if (p->state.load(relaxed) == PState::running) {
      r.runs = true;
      look_at(rt, p, rt->looks[i], r);
    } else if (i64 first = p->earliest.load(relaxed); first <= r.now) {
      r.due = true;
    } else if (!rt->sleeper.load(relaxed)) {
      r.next = min(r.next, first);
    }
  }
}

bool any_waits(Runtime* rt) {
  bool waits = has_work(rt) || rt->wanting.load(relaxed) || domains_wait(rt);
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    M* m = rt->ps[i]->m.load(acquire);  // pairs with take_p
    waits |= rt->ps[i]->queued() ||
             (m && rt->preempt_on.load(relaxed) && preempt_waits(m));
  }
  return waits;
}

// Sleeps until then or until prompted. The fence makes it exact: whoever queues
// work, arms a timer or sleeps for them no more either did so before, and is seen
// here, or sees sysmon_rest.
void rest(Runtime* rt, i64 until) {
  rt->sysmon_until.store(until, relaxed);
  rt->sysmon_rest.store(1, seq_cst);
  os::fence_all();
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    if (p->state.load(relaxed) == PState::running ||
        !rt->sleeper.load(relaxed)) {
      until = min(until, p->earliest.load(relaxed));
    }
  }
  if (!any_waits(rt)) {
    os::futex_wait(&rt->sysmon_note, 0, until);
  }
  rt->sysmon_rest.store(0, relaxed);
  rt->sysmon_note.store(0, relaxed);
}

void sleep_until(Runtime* rt, i64 until) {
  os::futex_wait(&rt->sysmon_note, 0, until);
  rt->sysmon_note.store(0, relaxed);
}

void serve_those_who_wait(Runtime* rt, Round& r) {
  if (r.due || (r.work && rt->idle_count.load(relaxed))) {
    if (r.due || r.stuck || !r.moving || !wakes_late(rt)) {
      wake_p(rt);
    } else {  // the busy ones get on faster alone; but is it so still?
      u64 late = rt->wake_late.load(relaxed);
      rt->wake_late.store(late - late / 16, relaxed);
    }
  }
  if (rt->starved_count.load(relaxed)) {
    feed_starved(rt, UINT32_MAX);
    r.next = min(r.next, r.now + kStarvedRetry);
  }
  if (rt->wanting.load(relaxed)) {
    for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
      rt->ps[i]->attention.fetch_or(kAttnWanted, relaxed);
    }
  }
  i64 look = domains_look(rt, r.now);
  r.waits |= look != kForever;
  r.next = min(r.next, look);
  r.next = min(r.next, watch_look(rt, r.now));
  if (rt->preempt_on.load(relaxed)) {
    r.next = min(r.next, preempt_apart(rt, r.now));
  }
}

// Looks at the world outside if nobody has since the last tick; false: somebody
// watches it, or there is none.
bool unpolled(Runtime* rt) {
  if (!unwatched(rt)) {
    return false;
  }
  if (rt->polled.load(relaxed) == rt->polled_seen) {
    source_look(rt, nullptr);
    if (rt->idle_count.load(relaxed)) {
      wake_p(rt);  // an M that finds nothing will watch
    }
  }
  rt->polled_seen = rt->polled.load(relaxed);
  return true;
}

void sysmon(void* arg) {
  Runtime* rt = static_cast<Runtime*>(arg);
  os::timer_slack(1);
  // EEVDF lets a thread that asks for little run at once when it wakes, also where
  // a hog computes (PREEMPT_SHORT, 6.12); else it may wait for the kernel's tick.
  os::slice_set(0, kShortSlice);
  i64 tick =
      rt->config.sysmon_ns ? rt->config.sysmon_ns : rt->config.slice_ns / 4;
  tick = max(tick, kTickLeast);
  while (!rt->sysmon_leave.load(acquire)) {
    Round r{};
    r.now = os::now_ns();
    r.tick = min(tick, rt->config.slice_ns / 4);
    r.next = rt->fence_all ? kForever : r.now + kUnfencedTicks * tick;
    if (rt->world.load(relaxed)) {
      sleep_until(rt, r.now + tick);
      continue;
    }
    bool alone = unpolled(rt);
    r.work = has_work(rt) || rt->wanting.load(relaxed);
    look_at_ps(rt, r);
    serve_those_who_wait(rt, r);
    bool busy = r.waits || r.moving || r.work || r.due || alone;
    if (Govern* g = rt->config.govern; g && (busy || r.runs)) {
      r.next = min(r.next, g->look(g, rt, r.now, !r.waits));
    }
    if (rt->source.load(relaxed) && busy) {
      rt->linger = r.now + kLinger;
    }
    r.next = min(r.next, trim_look(rt, r.now));
    r.next = min(r.next, scan_look(rt, r.now));
    if (!busy && r.now < rt->linger) {
      sleep_until(rt, max(min(r.next, r.now + rt->config.slice_ns),
                          r.now + kTickLeast));
    } else if (busy) {
      sleep_until(rt, max(min(r.next, r.now + tick), r.now + kTickLeast));
    } else {
      rest(rt, max(r.next, r.now + kTickLeast));
    }
  }
}

}  // namespace

void sysmon_wake(Runtime* rt) {
  rt->sysmon_note.store(1, release);
  os::futex_wake(&rt->sysmon_note, 1);
}

void sysmon_start(Runtime* rt) {
  // Under the lock: all_dead counts threads, and this one when it is there.
  Locked held(rt->lock);
  if (!rt->sysmon_on) {  // if it cannot be made, the next M tries again
    show(rt->sysmon_on,
         os::thread_start(rt->sysmon, sysmon, rt, "thrum-sysmon") == 0);
  }
}

}  // namespace thrum
