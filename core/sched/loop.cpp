// The loop of an M, on its own stack: find a runnable G, run it, until there is
// nothing to do; then sleep. The only file that enters a G's stack (with
// switch.hpp, which goes from G to G).
//
// Where a G comes from, in this order: what another file left in next_g; Gs
// pinned to this M; due timers; every 61st time the global queue; this P's
// queues; the global queue; the world outside (source.hpp); other Ps.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"
#include "sched/rank.hpp"
#include "sched/source.hpp"

namespace thrum {

namespace {

constexpr i32 kSpinCredit = 16;  // vain looks before it is tried less often
constexpr i32 kSpinTrial = 16;   // then once in so many

// Looks for work for about as long as a wake would cost, then gives in.
bool spin(M* m) {
  Runtime* rt = m->rt;
  if (!m->spinning) {
    u32 busy = rt->procs.load(relaxed) - rt->idle_count.load(relaxed);
    if (2 * rt->spinning.load(relaxed) >= max(busy, 1u)) {
      return false;
    }
    rt->spinning.fetch_add(1, seq_cst);
    m->spinning = true;
  }
  // Where looking has found nothing for long it is tried now and then only.
  i32 credit = rt->spin_credit.load(relaxed);
  if (rt->spin_ns == 0 || unwatched(rt) ||
      (credit <= 0 && credit > -kSpinTrial)) {
    rt->spin_credit.store(credit - 1, relaxed);
    return false;
  }
  u64 until = cpu_ticks() + rt->wake_ticks;
  while (cpu_ticks() < until) {
    if (has_work(rt) || pinned_waits(m) || m->slow.load(relaxed) ||
        m->p->attention.load(relaxed)) {
      rt->spin_credit.store(kSpinCredit, relaxed);
      return true;
    }
    for (int i = 0; i < 8; ++i) {
      cpu_relax();
    }
  }
  rt->spin_credit.store(credit > 0 ? credit - 1 : 0, relaxed);
  return false;
}

constexpr i64 kSoon = 1'000'000;  // ns

// Before M sleeps, who else wants this CPU goes first: most likely they make what M
// would be woken for (a client on the same machine), and each sleep and wake costs
// more, to both, than what little it would find. Each time: where somebody sleeps, the
// others find little and sleep as well.
bool yield_first(M* m) {
  Runtime* rt = m->rt;
  i64 timer = earliest_timer(rt);
  if (timer != kForever && timer < os::now_ns() + kSoon) {
    return false;  // the kernel is more punctual
  }
  stop_spinning(m);  // it may be away for a slice of the kernel's
  os::thread_yield();
  return source_poll(rt, m) || has_work(rt) || pinned_waits(m);
}

// Found work: the next idle P may be worth waking, if it was found by looking.
void found(M* m) {
  if (m->spinning) {
    stop_spinning(m);
    maybe_wake(m->p);
  }
  // Timers of a P that will be busy now: somebody must sleep for them. When they
  // were armed it looked as if this P would (timer_armed).
  Runtime* rt = m->rt;
  i64 first = m->p->earliest.load(relaxed);
  if (first == kForever) {
    return;
  }
  if (rt->idle_count.load(relaxed) == 0) {
    sysmon_prompt(rt);
  } else if (first < rt->sleep_until.load(relaxed)) {
    timer_armed(m->p, first, true);
  }
}

// A plain G that was taken and cannot run here.
void put_back(Runtime* rt, G* g) {
  if (seeded(rt)) {
    drawer_put(rt, g);
  } else {
    push_batch(rt, &g, 1);
  }
}

// For a G that cannot begin: no memory for its stack, or no thread to pin it to.
// It stands aside, where it keeps no P busy; see feed_starved.
void starved(M* m, G* g, const char* why) {
  Runtime* rt = m->rt;
  if (!rt->said_starved.exchange(1, relaxed)) {
    say("G %u waits: no %s", g->slot, why);
  }
  Locked held(rt->lock);
  rt->starved.push(g);
  rt->starved_count.store(rt->starved.count, relaxed);
}

}  // namespace

u64 dispatched(Runtime* rt) {
  u64 n = 0;
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    n += rt->ps[i]->dispatches.load(relaxed);
  }
  return n;
}

void feed_starved(Runtime* rt, u32 most) {
  if (!rt->starved_count.load(relaxed)) {
    return;
  }
  rt->visitors.fetch_add(1, seq_cst);  // what is between two queues is not dead
  while (most-- && rt->starved_count.load(relaxed)) {
    G* g;
    {
      Locked held(rt->lock);
      g = rt->starved.pop();
      rt->starved_count.store(rt->starved.count, relaxed);
    }
    if (g) {
      route(nullptr, g, false);
    }
  }
  rt->visitors.fetch_sub(1, release);
}

void stop_spinning(M* m) {
  if (m->spinning) {
    m->spinning = false;
    m->rt->spinning.fetch_sub(1, seq_cst);
  }
}

bool has_work(Runtime* rt) {
  if (between(rt)) {
    return true;
  }
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    P* p = rt->ps[i];
    if (p->runq.size() + p->fresh.size()) {
      return true;
    }
  }
  return false;
}

void drop_p(M* m) {
  if (THRUM_UNLIKELY(forked(m))) {
    return;
  }
  Runtime* rt = m->rt;
  P* p = leave_p(m);
  stop_spinning(m);
  // With timers too: somebody must sleep until they are due.
  if (p->queued() || between(rt) ||
      (owns_threads(rt) && p->earliest.load(relaxed) != kForever)) {
    give_p(rt, p, false);
    return;
  }
  M* to;
  {
    Locked held(rt->lock);
    to = free_p(rt, p);
  }
  note_wake(to);
  // It came after we looked, and found no idle P; or who is idle has left it to this
  // P to look outside (sleep_idle).
  if (has_work(rt) || (wakes_late(rt) && unwatched(rt))) {
    wake_p(rt);
  }
}

G* find_runnable(M* m, bool may_wait) {
  Runtime* rt = m->rt;
  for (;;) {
    source_prompted(m);
    if (THRUM_UNLIKELY(m->slow.load(relaxed) & (kSlowStop | kSlowForked)) &&
        (!m->bound_n || forked(m))) {
      if (forked(m)) {
        return nullptr;
      }
      G* g;
      {
        Locked held(rt->lock);  // who wakes m may be giving it one
        g = m->next_g;
        m->next_g = nullptr;
      }
      if (g) {  // a plain one: it came from a P's queue
        put_back(rt, g);
        wake_p(rt);
      }
      return nullptr;
    }
    P* p = m->p;
    if (!p) {
      if (m->leaving.load(relaxed)) {
        return nullptr;
      }
      {
        Locked held(rt->lock);
        if ((m->slow.load(relaxed) & kSlowStop) && !m->bound_n) {
          continue;
        }
        if (!m->idle && !m->next_p) {
          if (!pinned_waits(m)) {
            idle_m_push(rt, m);
          } else {
            next_p_or_wait(rt, m);
          }
        }
        p = m->next_p;
        m->next_p = nullptr;
      }
      if (p) {
        take_p(m, p);
      } else {
        sleep_idle(m);
      }
      continue;
    }
    if (THRUM_UNLIKELY(rt->world.load(relaxed))) {
      world_wait(m);
    }
    if (G* g = m->next_g) {
      m->next_g = nullptr;
      found(m);
      return g;
    }
    if (THRUM_UNLIKELY(p->attention.load(relaxed)) && !attend(m, p)) {
      continue;
    }
    bool locked = m->slow.load(relaxed) & kSlowLocked;
    // A seed draws from pinned ones and others together.
    if (G* g = !locked && seeded(rt) ? nullptr : take_pinned(m)) {
      found(m);
      return g;
    }
    if (THRUM_UNLIKELY(locked)) {
      if (!may_wait) {
        return nullptr;
      }
      sleep_locked(m);
      continue;
    }
    if (p->earliest.load(relaxed) != kForever && !seeded(rt)) {
      run_timers(m, p, os::now_ns());
    }
    if (seeded(rt)) {
      if (G* g = draw(m)) {
        return g;
      }
      if (!may_wait) {
        return nullptr;
      }
    } else {
      if (THRUM_UNLIKELY(rank_waits(m, p))) {
        if (G* g = rank_pick(m, p)) {
          found(m);
          return g;
        }
      }
      if (--p->fair_in == 0) {
        if (G* g = pick_fair(m, p)) {
          found(m);
          return g;
        }
      }
      G* g = p->take_next();
      if (!g) {
        g = ++p->turn % 8 ? p->take_fresh() : p->take_ring();
      }
      if (!g && !(g = p->take_ring())) {
        g = p->take_fresh();
      }
      if (!g) {
        g = take_global(m, p, true);
      }
      if (!g && source_poll(rt, m)) {
        continue;
      }
      if (!g) {
        g = steal(m);
      }
      if (g) {
        found(m);
        return g;
      }
      if (!may_wait || m->leaving.load(relaxed)) {
        return nullptr;
      }
      if (give_wanted(m)) {
        continue;
      }
      if (rt->source.load(relaxed) ? yield_first(m) : spin(m)) {
        continue;
      }
    }
    if (go_idle(m)) {
      sleep_idle(m);
    }
  }
}

void execute(M* m, G* g) {
  if (THRUM_UNLIKELY(forked(m))) {
    return;  // in a hook, since g was picked
  }
  if (THRUM_UNLIKELY(g->flags & kToken)) {
    domain_run(m, g);
    return;
  }
  if (!g->body && !bind(m, g)) {
    m->next_g = nullptr;
    if (g->affinity == kPinStarted && m->lent && owns_threads(m->rt)) {
      P* p = leave_p(m);
      if (!start_m(m->rt, p, g, false, true)) {
        take_p(m, p);
        starved(m, g, "thread to pin it to");
      }
      return;
    }
    starved(m, g, "memory for its stack");
    return;
  }
  switch_from_loop(m, g);
}

void loop(M* m) {
  while (G* g = find_runnable(m, true)) {
    execute(m, g);
  }
}

}  // namespace thrum
