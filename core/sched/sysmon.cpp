// sysmon: a thread without a P that looks at the Ps from outside. It reads
// dispatch counters, so that no P reads a clock for it.
//
// Each tick (a quarter slice): a G that has kept its P for a slice while others
// wait gets the slice flag; due timers of a busy P are announced; an idle P is
// woken for any work there is. With every P idle it lingers 50 ms and then
// sleeps until a P is taken again: a quiescent runtime costs nothing.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

namespace thrum {

namespace {

constexpr i64 kLinger = 50'000'000;
constexpr i64 kTickLeast = 50'000;
constexpr i64 kBlockedTick = 200'000;  // a declared call with work behind it

// Returns its earliest timer; `stuck`: work waits behind one G for a tick.
i64 look_at(Runtime* rt, P* p, Look& seen, i64 now, bool& stuck) {
  u64 d = p->dispatches.load(relaxed);
  if (d != seen.dispatches) {
    seen.dispatches = d;
    seen.since = now;
  } else {
    p->mean_run.store(0, relaxed);  // the sample is of other times
    stuck |= p->queued() != 0 || p->earliest.load(relaxed) <= now;
    if (now - seen.since >= rt->config.slice_ns &&
        (p->queued() || rt->global_count.load(relaxed))) {
      p->attention.fetch_or(kAttnSlice, relaxed);
    }
  }
  i64 first = p->earliest.load(relaxed);
  if (first <= now) {
    p->attention.fetch_or(kAttnTimers, relaxed);
  }
  return first;
}

bool all_idle(Runtime* rt) {
  return rt->idle_count.load(seq_cst) >= rt->procs.load(relaxed);
}

void sysmon(void* arg) {
  Runtime* rt = static_cast<Runtime*>(arg);
  os::timer_slack(1);
  Look* looks = rt->looks;
  i64 tick = max(rt->config.slice_ns / 4, kTickLeast);
  i64 idle_since = 0;
  for (;;) {
    i64 now = os::now_ns();
    i64 next = now + tick;
    u32 n = rt->p_count.load(acquire);
    bool due = false;
    bool work = has_work(rt);
    for (u32 i = 0; i < n; ++i) {
      P* p = rt->ps[i];
      PState s = p->state.load(relaxed);
      if (s == PState::running) {
        i64 first = look_at(rt, p, looks[i], now, due);
        if (first > now) {
          next = min(next, first);
        }
      } else if (s == PState::blocking && (work || p->queued())) {
        next = min(next, now + kBlockedTick);
        u64 d = p->dispatches.load(relaxed);
        if (looks[i].dispatches != d) {
          looks[i] = Look{d, now};
        } else if (now - looks[i].since >= kBlockedTick) {
          retake_if_blocked(rt, p);
        }
      } else if (p->earliest.load(relaxed) <= now) {
        due = true;
      }
    }
    // Not at the cost of a declared call: those have had their patience above.
    if (due || (work && rt->idle_count.load(relaxed))) {
      wake_p(rt);
    }
    if (rt->starved_count.load(relaxed)) {
      feed_starved(rt, UINT32_MAX);
      next = min(next, now + kStarvedRetry);
      idle_since = now;
    }
    if (rt->wanting.load(relaxed)) {
      for (u32 i = 0; i < n; ++i) {
        rt->ps[i]->attention.fetch_or(kAttnWanted, relaxed);
      }
    }
    if (rt->fence_all) {
      next = min(next, domains_look(rt, now));
    }
    i64 until = max(next, now + kTickLeast);
    if (!all_idle(rt)) {
      idle_since = 0;
    } else if (!idle_since) {
      idle_since = now;
    } else if (now - idle_since > kLinger) {
      rt->sysmon_asleep.store(1, seq_cst);
      if (all_idle(rt)) {  // Dekker with idle_p_pop
        until = kForever;
      }
      idle_since = 0;
    }
    if (rt->sysmon_leave.load(acquire)) {
      return;
    }
    os::futex_wait(&rt->sysmon_note, 0, until);
    rt->sysmon_note.store(0, relaxed);
    rt->sysmon_asleep.store(0, relaxed);
    if (rt->sysmon_leave.load(acquire)) {
      return;
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
    rt->sysmon_on =
        os::thread_start(rt->sysmon, sysmon, rt, "thrum-sysmon") == 0;
  }
}

}  // namespace thrum
