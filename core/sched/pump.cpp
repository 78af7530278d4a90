// Threads of the host as Ms for a time: thrum_run and thrum_pump.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"
#include "sched/source.hpp"

namespace thrum {

// A P for a lent M; false: none is free (and it may not wait).
bool lend_p(M* m, bool wait) {
  if (THRUM_UNLIKELY(forked(m))) {
    return false;
  }
  Runtime* rt = m->rt;
  P* p;
  {
    Locked held(rt->lock);
    p = idle_p_pop(rt);
  }
  if (!p && wait) {
    want_p(m);
    return true;
  }
  // An M that only looks for work will have let its P go in a moment.
  u64 until = cpu_ticks() + 4 * rt->wake_ticks;
  while (!p && rt->spinning.load(relaxed) && cpu_ticks() < until) {
    os::thread_yield();
    Locked held(rt->lock);
    p = idle_p_pop(rt);
  }
  if (p) {
    take_p(m, p);
  }
  return p != nullptr;
}

namespace {

// The thrum_run that the lender is inside of from now on; null: it was.
void run_waits(M* lender, RunCall* call) {
  Runtime* rt = lender->rt;
  Locked held(rt->lock);
  if (RunCall* was = lender->run_call; was && was->main) {
    was->main->run = nullptr;  // a deadlock: main lives on without us
  }
  lender->run_call = call;
  u32 n = rt->running.load(relaxed);
  rt->running.store(call ? n + 1 : n - 1, relaxed);
}

}  // namespace

RunCall* run_take(Runtime* rt, Ext* e) {
  Locked held(rt->lock);
  RunCall* call = e->run;
  if (call) {
    call->main = nullptr;
  }
  return call;
}

// The G of a thrum_run has ended: its lender goes home, wherever it is.
void run_ended(M* m, RunCall* call) {
  Runtime* rt = m->rt;
  M* wake = nullptr;
  {
    Locked held(rt->lock);
    M* lender = call->lender;
    lender->slow.fetch_or(kSlowStop, relaxed);
    if (lender->idle) {
      idle_m_remove(rt, lender);
      wake = lender;
    } else if (lender->locked_asleep) {
      wake = lender;
    }
    // release: pairs with the acquire in run: what main did is seen there.
    call->done.store(1, release);
  }
  if (wake) {
    note_wake(wake);
  }
}

namespace {

// Is there a G that a thread could run: the calling one, or (`any`) whichever? Also
// one that was handed over as the last budget ended: it is its P's next.
bool any_ready(Runtime* rt, bool any) {
  bool ready = between(rt) || rt->drawer.count ||
               pinned_ready(rt, any ? 0 : thread_pointer());
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    ready |= rt->ps[i]->queued() != 0;
  }
  return ready;
}

i64 wake_at(Runtime* rt, bool any) {
  Source* source = rt->source.load(acquire);
  if (source && os::fd_readable(source->fd)) {
    return os::now_ns();
  }
  if (any_ready(rt, any)) {
    return seeded(rt) ? rt->virtual_now.load(relaxed) : os::now_ns();
  }
  i64 first = earliest_timer(rt);
  return rt->starved_count.load(relaxed)
             ? min(first, os::now_ns() + kStarvedRetry)
             : first;
}

}  // namespace

void time_wake_fd(Runtime* rt) {
  if (rt->wake_fd.epoll >= 0) {
    Locked last(rt->wake_lock);  // who sets it last has looked last
    os::wake_fd_at(rt->wake_fd, wake_at(rt, true));
  }
}

int run(M* m, Runtime* rt, void (*fn)(void*), void* arg) {
  if (g_of(m)) {
    return kEPERM;
  }
  if (rt->stopping.load(acquire)) {
    return kECLOSED;
  }
  M* lender = m_lend(rt);
  if (!lender) {
    return kENOMEM;
  }
  RunCall call{lender, nullptr, {0}};
  lend_p(lender, true);
  // Without memory for even this one stack nobody should wait.
  Body* b = body_take(rt, lender->p, rt->config.stack_class);
  int err = kENOMEM;
  if (b) {
    body_put(lender, b);
    SpawnOpts opts;
    opts.run = &call;
    err = spawn(lender, rt, &opts, fn, arg, nullptr);
  }
  if (!err) {
    // Not before its G is there: until then nobody may judge that it is dead.
    run_waits(lender, &call);
    loop(lender);
    if (THRUM_UNLIKELY(forked(lender))) {
      return leave_forked(lender);
    }
  }
  if (lender->p) {
    drop_p(lender);
  }
  time_wake_fd(rt);
  if (!err) {
    run_waits(lender, nullptr);
  }
  u32 how = call.done.load(acquire);
  if (how == 2 && rt->config.report) {
    rt->config.report(rt, "deadlock: every green thread is blocked for ever");
  }
  m_unlend(lender);
  return err ? err : (how == 2 ? kEDEADLOCK : 0);
}

int pump(M* m, Runtime* rt, i64 deadline) {
  if (g_of(m)) {
    return kEPERM;
  }
  return rt->stopping.load(acquire) == 2 ? kECLOSED : pump_gs(rt, deadline);
}

int pump_gs(Runtime* rt, i64 deadline) {
  M* lender = m_lend(rt);
  if (!lender) {
    return kENOMEM;
  }
  lender->slow.fetch_or(kSlowPump, relaxed);
  lower_wake_fd(rt);
  if (!lend_p(lender, false)) {
    int busy = live_gs(rt) ? kEAGAIN : 0;
    m_unlend(lender);
    return busy;
  }
  feed_starved(rt, UINT32_MAX);
  bool more = true;
  do {
    G* g = find_runnable(lender, false);
    if (!g) {
      more = false;
      break;
    }
    execute(lender, g);
    if (THRUM_UNLIKELY(forked(lender))) {
      return leave_forked(lender);
    }
    if (!lender->p && !lend_p(lender, false)) {
      break;  // it went into a blocking call and the P is elsewhere
    }
  } while (deadline == kForever ||
           (deadline != kTry && os::now_ns() < deadline));
  if (lender->slow.load(relaxed) & kSlowPoll) {
    // What its last G wants; the flag goes with the call.
    source_poll(rt, lender);
  }
  if (more) {
    more = (lender->p && lender->p->queued()) || has_work(rt) ||
           rt->drawer.count || pinned_waits(lender);
  }
  if (lender->p) {
    drop_p(lender);
  }
  time_wake_fd(rt);
  if (more) {
    raise_wake_fd(rt);
  }
  int left = more ? 2 : (live_gs(rt) ? 1 : 0);
  m_unlend(lender);
  return left;
}

i64 next_wake(Runtime* rt) { return wake_at(rt, false); }

int wake_fd(Runtime* rt) {
  return rt->wake_fd.epoll >= 0 ? rt->wake_fd.epoll : kENOTSUP;
}

}  // namespace thrum
