// An M without work: it puts its P and itself into the idle lists and sleeps,
// until it is woken with a P, until the earliest timer, or as the watcher
// (source.hpp) until something comes from outside. Whether anybody can still wake
// anybody is judged here, too.
//
// Why no work is left behind when an M goes to sleep: it puts its P in the idle
// list, stops counting as a spinner (seq_cst), and looks once more at every
// queue. Whoever queues work after that look sees an idle P and no spinner, and
// wakes one (wake_p). The queue's own store may still be in the waker's buffer
// when it reads those counters: that window, some ns wide, costs a delay of one
// sysmon tick at most, for it wakes an idle P for any work it sees, and a waker
// that sees no idle P prompts it.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"
#include "sched/source.hpp"

namespace thrum {

// Puts M and P to the idle lists in one step; false: work turned up.
bool go_idle(M* m) {
  Runtime* rt = m->rt;
  P* p = m->p;
  bool looked;
  {
    Locked held(rt->lock);
    // slow: run_ended ends our call under this lock.
    if (rt->wanting_head || rt->global.size() ||
        rt->ranked_count.load(relaxed) || pinned_waits(m) ||
        m->leaving.load(relaxed) || (m->slow.load(relaxed) & kSlowStop) ||
        p->attention.load(relaxed)) {
      return false;
    }
    free_p(rt, leave_p(m));  // nobody wants one: we looked
    looked = m->spinning;
    m->spinning = false;
    idle_m_push(rt, m);  // from here on whoever wakes m owns the flag
  }
  if (looked) {
    rt->spinning.fetch_sub(1, seq_cst);
  }
  if (has_work(rt)) {
    wake_p(rt);  // most likely this very M
  }
  return true;
}

namespace {

// A surplus P is in service until it has retired, and no idle one.
bool any_runs(Runtime* rt) {
  bool runs = false;
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    runs |= rt->ps[i]->state.load(relaxed) == PState::running;
  }
  return runs;
}

bool may_run(const M* m, const Fifo<G>& gs) {
  bool ready = false;
  for (G* g = gs.head; g; g = g->next) {
    ready |= !m->locked || g == m->locked;
  }
  return ready;
}

// A ready G whose M is about to look for it. No P runs, so no M does either.
bool any_pinned(Runtime* rt) {
  bool ready = false;
  for (M* m = rt->ms; m; m = m->next_m) {
    if (!m->lent || m->lent_now) {
      ready |= may_run(m, m->own) || may_run(m, m->pinned);
    }
  }
  return ready;
}

// Nobody inside can wake anybody: every P idle, nothing queued, no timer, no
// blocking call. With Runtime.lock held: no P leaves the idle list meanwhile.
// Returns the threads of ours that are in there; 0: somebody can.
u32 all_wait(Runtime* rt) {
  u32 runs = rt->running.load(relaxed);
  bool wait =
      runs && !rt->blocking.load(seq_cst) && !rt->visitors.load(seq_cst) &&
      rt->idle_count.load(relaxed) == rt->procs.load(relaxed) &&
      !any_runs(rt) && !any_pinned(rt) && earliest_timer(rt) == kForever &&
      !has_work(rt) && !rt->starved_count.load(relaxed) &&
      !rt->stopping.load(relaxed) && !rt->world.load(relaxed) &&
      !rt->source.load(relaxed);  // the world outside may wake anybody
  return wait ? rt->m_count + runs + (rt->sysmon_on ? 1 : 0) +
                    rt->looking.load(seq_cst)
              : 0;
}

// If no thread of the host can wake anybody either, the wait is for ever. Threads
// are counted between two looks at a runtime in which nothing ran: nobody could
// start one.
bool all_dead(Runtime* rt) {
  u64 before;
  {
    Locked held(rt->lock);
    if (!all_wait(rt)) {
      return false;
    }
    before = dispatched(rt);
  }
  int all = seeded(rt) ? 0 : os::thread_count() - kToolThreads;
  Locked held(rt->lock);
  u32 ours = all_wait(rt);
  return ours && dispatched(rt) == before && all >= 0 &&
         static_cast<u32>(all) <= ours;
}

// Ends every thrum_run in progress with a deadlock verdict.
void declare_dead(Runtime* rt) {
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    if (m->run_call && !m->run_call->done.load(relaxed)) {
      m->run_call->done.store(2, relaxed);
      m->slow.fetch_or(kSlowStop, relaxed);
      if (m->idle) {
        idle_m_remove(rt, m);
        note_wake(m);
      }
    }
  }
}

// Threads that a storm of blocking calls has left over end after so long.
constexpr i64 kIdleMost = 1'000'000'000;

bool left_over(Runtime* rt, M* m) {
  return m->idle && !m->lent && owns_threads(rt) &&
         rt->watcher.load(relaxed) != m &&
         rt->idle_ms > rt->procs.load(relaxed) && !m->bound.load(relaxed);
}

// Capped at a tick: sysmon helps then in any case.
void came_late(Runtime* rt, u64 ticks) {
  u64 late = rt->wake_late.load(relaxed);
  u64 seen = min(ticks, rt->slice_ticks / 4);
  rt->wake_late.store(late - late / 4 + seen / 4, relaxed);
}

}  // namespace

// Sleeps without a P until woken with one, until the earliest timer, or, if nobody
// else does, until something comes from outside.
void sleep_idle(M* m) {
  Runtime* rt = m->rt;
  i64 until = kForever;
  i64 end = kForever;
  bool watches = false;
  {
    Locked held(rt->lock);
    if (m->idle) {
      // Beside a P that looks itself now and then, a watcher is only in its way
      // where CPUs are few.
      if (rt->source.load(relaxed) && !rt->watcher.load(relaxed) &&
          !(wakes_late(rt) && any_runs(rt))) {
        rt->watcher.store(m, release);  // pairs with watcher_noted: m is made
        watches = true;
      }
      i64 first = earliest_timer(rt);
      // Without an idle P it could do nothing when that is due, and would not
      // sleep any more: sysmon looks after the timers of busy Ps.
      if (first < rt->sleep_until.load(relaxed) &&
          rt->idle_count.load(relaxed)) {
        rt->sleeper.store(m, relaxed);
        rt->sleep_until.store(first, seq_cst);  // Dekker with timer_armed
      }
      if (rt->sleeper.load(relaxed) == m) {
        until = min(first, rt->sleep_until.load(relaxed));
      }
      if (left_over(rt, m)) {
        end = os::now_ns() + kIdleMost;
      }
    }
  }
  bool judge = rt->running.load(relaxed) && until == kForever;
  if (rt->world.load(relaxed)) {
    until = kForever;  // world_start wakes us
    judge = false;
  }
  if (rt->starved_count.load(relaxed)) {
    until = min(until, os::now_ns() + kStarvedRetry);
  } else if (judge && all_dead(rt)) {
    declare_dead(rt);
  } else if (judge && m->run_call) {
    // A thread of the host may end without waking anybody: look again.
    until = os::now_ns() + 1'000'000'000;
  }
  trace(m, rt, Event::idle, nullptr, m->id);
  u64 asleep = cpu_ticks();
  bool came = false;
  bool slept = false;  // for the timers
  if (watches) {
    came = watch(m, min(until, end));
  } else {
    idle_wait(m, min(until, end));
  }
  trace(m, rt, Event::awake, nullptr, m->id);
  feed_starved(rt, UINT32_MAX);
  P* p = nullptr;
  M* heir = nullptr;
  {
    Locked held(rt->lock);
    if (rt->sleeper.load(relaxed) == m) {
      slept = true;
      rt->sleeper.store(nullptr, relaxed);
      rt->sleep_until.store(kForever, relaxed);
    }
    if (watches) {
      rt->watcher.store(nullptr, relaxed);
    }
    if (m->idle && (came || (until != kForever && until <= os::now_ns()))) {
      p = idle_p_pop(rt);  // something is due: take any P for it
      if (p) {
        idle_m_remove(rt, m);
      }
    } else if (left_over(rt, m) && end <= os::now_ns()) {
      idle_m_remove(rt, m);
      m->slow.fetch_or(kSlowStop, relaxed);
    } else {
      p = m->next_p;
      m->next_p = nullptr;
      if (p && m->called_at) {
        came_late(rt, cpu_ticks() - m->called_at);
        m->called_at = 0;
      }
    }
    if (!p && !m->idle && !rt->sleeper.load(relaxed)) {
      heir = rt->idle_m;  // m ends: another one is to sleep for the timers
    }
  }
  note_wake(heir);
  if (p) {
    take_p(m, p);
    p->metrics.idle.add(ticks_to_ns(rt, cpu_ticks() - asleep));
    if (slept && earliest_timer(rt, p) < rt->sysmon_until.load(relaxed)) {
      sysmon_prompt(rt);  // to see to those of idle Ps while m works
    }
    if (watches && m->woken_late != kForever) {
      p->metrics.net[kNetKernel].add(static_cast<u64>(m->woken_late));
    }
  } else if (came) {
    source_poll(rt,
                nullptr);  // all Ps are busy: they find it in the global queue
  }
  if (watches || !p) {
    sysmon_prompt(rt);  // nobody may be watching now, or seeing to the timers
  }
}

}  // namespace thrum
