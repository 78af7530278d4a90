// A runtime's beginning and end, and the Ms it owns.
// SPDX-License-Identifier: MIT
#include <new>
#include <stdlib.h>

#include "mem/heap.hpp"
#include "sched/domain.hpp"
#include "sched/metrics.hpp"
#include "sched/govern.hpp"
#include "sched/ready.hpp"
#include "sched/observer.hpp"
#include "sched/profile.hpp"
#include "sched/signals.hpp"

namespace thrum {

constinit Atomic<Runtime*> g_runtimes[kTags] = {};

namespace {

u32 tag_take(Runtime* rt) {
  for (u32 tag = 1; tag < kTags; ++tag) {
    Runtime* none = nullptr;
    if (g_runtimes[tag].compare_exchange_strong(none, rt, relaxed, relaxed)) {
      return tag;
    }
  }
  return 0;
}

void tag_give(u32 tag) {
  if (tag) {
    g_runtimes[tag].store(nullptr, relaxed);
  }
}

// About what a wake costs (linux.md 9), and so how long it is worth spinning.
constexpr i64 kWakeCost = 30'000;
// A declared call that takes longer is worth another M (DESIGN 4).
constexpr i64 kLongCall = 50'000;

void destroy(Runtime* rt) {
  while (rt->visitors.load(acquire)) {  // pairs with route
    os::thread_yield();
  }
  const mem::Source from = rt->config.source;
  observer_free(rt);
  source_free(rt);
  govern_free(rt->config.govern);
  for (u32 slot = 0; slot < rt->table.end; ++slot) {
    G* g = table_g(rt->table, slot);
    if (!g || !(g->word.load(relaxed) & kLive)) {
      continue;
    }
    if (g->ext) {
      ext_free(rt, g->ext);
    }
    if (g->flags & kStarted) {  // its domain was closed
      Body* b = body_of(g);
      mem::free(b->nodes);
      note_forget(b->note);
    }
  }
  while (M* m = rt->ms) {
    rt->ms = m->next_m;
    os::signal_forget(m->signal);
    mem::heap_end(m->heap);
    from.give(m, sizeof *m);
  }
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    body_flush(rt, rt->ps[i]);
    rt->ps[i]->timers.destroy();
    from.give(rt->ps[i], sizeof(P));
  }
  domains_free(rt);
  rt->arenas.release_all();
  table_destroy(rt->table);
  rt->scan.attic.release_all();
  mem::free(rt->scan.batch);
  mem::free(rt->drawer.items);
  mem::free(rt->wakers.list);
  os::wake_fd_close(rt->wake_fd);
  tag_give(rt->tag);
  from.give(rt, sizeof *rt);
}

u32 slow_at_start(const M* m) {
  return (seeded(m->rt) ? kSlowSeeded : 0) |
         (m->rt->config.parks ? kSlowDebug : 0) | (m->locked ? kSlowLocked : 0);
}

M* m_make(Runtime* rt, bool lent) {
  M* m = rt->config.source.make<M>();
  if (!m) {
    return nullptr;
  }
  new (m) M{};
  m->rt = rt;
  m->lent = lent;
  m->door.fenced = !rt->fence_all;
  m->slow.store(slow_at_start(m), relaxed);
  Locked held(rt->lock);
  m->id = rt->m_ids++;
  m->next_m = rt->ms;
  rt->ms = m;
  return m;
}

void m_main(void* arg) {
  M* m = static_cast<M*>(arg);
  Runtime* rt = m->rt;
  set_this_m(m);
  m->door.enter();
  m->tid.store(os::thread_id(), relaxed);
  mem::heap_begin(m->heap);
  pin_at_start(m);
  m->eh = static_cast<EhGlobals*>(os::eh_globals());
  note_native(m->note0);
  if (rt->thread_start) {
    rt->thread_start(rt->thread_arg);
  }
  signals_join(m);
  P* p = m->next_p;
  m->next_p = nullptr;
  take_p(m, p);
  take_place(m, p);
  loop(m);
  if (m->p) {
    drop_p(m);
  }
  signals_leave(m);
  if (rt->thread_stop && !forked(m)) {
    rt->thread_stop(rt->thread_arg);
  }
  if (THRUM_UNLIKELY(forked(m))) {  // by a G or a hook, also by this last one
    os::process_exit(0);
  }
  set_this_m(nullptr);
  Locked held(rt->lock);
  if (!m->leaving.load(relaxed)) {
    m->gone = true;
    --rt->m_count;
    ++rt->gone_ms;
  }
}

// One whose thread has ended, to begin anew; null: there is none.
M* m_again(Runtime* rt) {
  M* m;
  {
    Locked held(rt->lock);
    m = rt->gone_ms ? rt->ms : nullptr;
    while (m && !m->gone) {
      m = m->next_m;
    }
    if (!m) {
      return nullptr;
    }
    m->gone = false;
    --rt->gone_ms;
  }
  os::thread_join(m->thread);
  m->door.word.store(0, relaxed);
  m->slow.store(slow_at_start(m), relaxed);
  m->note.store(0, relaxed);
  m->plan = m->home = 0;
  m->placed = false;
  return m;
}

// Ends and joins every M and sysmon. Every G has ended.
void join_ms(Runtime* rt) {
  for (bool creating = true; creating; os::thread_yield()) {
    Locked held(rt->lock);
    rt->closing = true;
    creating = rt->m_creating != 0;
  }
  {
    Locked held(rt->lock);
    for (M* m = rt->ms; m; m = m->next_m) {
      if (m->lent) {
        continue;
      }
      m->leaving = true;
      if (m->idle) {
        idle_m_remove(rt, m);
      }
    }
  }
  for (M* m = rt->ms; m; m = m->next_m) {  // nobody makes Ms any more
    if (!m->lent) {
      note_wake(m);
      os::thread_join(m->thread);
    }
  }
  if (rt->sysmon_on) {
    rt->sysmon_leave.store(true, release);
    sysmon_wake(rt);
    os::thread_join(rt->sysmon);
    rt->sysmon_on = false;
  }
}

void drop_token(G* g) {
  if (g->flags & kToken) {  // else a G that its domain's close has written off
    domain_token_drop(g);
  }
}

// What is left in the queues after all Gs and Ms: tokens of domains that were closed.
void drop_tokens(Runtime* rt) {
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    P* p = rt->ps[i];
    G* g;
    while ((g = p->runq.take_next()) || (g = p->runq.get())) {
      drop_token(g);
    }
  }
  while (G* g = rt->global.pop()) {
    drop_token(g);
  }
  while (rt->drawer.count) {
    drop_token(rt->drawer.items[--rt->drawer.count]);
  }
}

// One step towards no Gs: runs them (a runtime without threads of its own) or
// waits for one to end. One that it runs may fork.
void drain(M* m, Runtime* rt, i64 deadline) {
  constexpr i64 kStep = 10'000'000;
  i64 until = max(min(deadline, os::now_ns() + kStep), i64{0});
  if (!owns_threads(rt)) {
    int left = pump_gs(rt, until);
    if (left == 1 || left < 0) {  // all wait, or another thread runs them
      os::thread_sleep(min(max(until - os::now_ns(), i64{0}), i64{200'000}));
    }
    return;
  }
  if (pinned_ready(rt, thread_pointer()) &&  // Gs that only this thread may run
      pump_gs(rt, until) == kEFORKED) {
    return;
  }
  u32 seen = rt->stop_note.load(acquire);
  if (live_gs(rt)) {
    wake_p(rt);
    os::futex_wait(&rt->stop_note, seen, until);
  }
  (void)m;
}

// Whoever finds it stopped, with the lock, may free it.
void leave_stop(Runtime* rt, bool stopped) {
  Locked held(rt->stop_lock);
  rt->stop_busy = false;
  if (stopped) {
    rt->stopping.store(2, release);
  }
}

}  // namespace

int rt_new(Runtime** out, const Config& config) {
  Runtime* rt = fork_ready() ? config.source.make<Runtime>() : nullptr;
  if (!rt) {
    govern_free(config.govern);
    return kENOMEM;
  }
  rt->epoch = os::fork_epoch();
  rt->arenas.init(&rt->config.source, sizeof(Body), config.hibernate);
  rt->scan.wanted.store(config.hibernate, relaxed);
  rt->config = config;
  rt->refs.store(1, relaxed);
  rt->tag = tag_take(rt);
  rt->sleep_until.store(kForever, relaxed);
  rt->virtual_now.store(1'000'000'000, relaxed);
  rt->seeded.state = config.seed;
  rt->trace = 0xcbf29ce484222325u;
  rt->fence_all = os::fence_all_register();
  rt->wake_ticks = ticks_of(kWakeCost);
  rt->slice_ticks = rt->wake_ticks * static_cast<u64>(config.slice_ns) /
                    static_cast<u64>(kWakeCost);
  rt->long_ticks = rt->wake_ticks * kLongCall / kWakeCost;
  rt->ns_per_tick = (u64{kWakeCost} << 32) / rt->wake_ticks;
  rt->quick_ticks = 4 * rt->long_ticks;
  rt->collect_ns = 1'000'000'000;
  rt->spin_ns = os::cpus_allowed() > 1 ? kWakeCost : 0;
  rt->wake_fd.epoll = rt->wake_fd.event = rt->wake_fd.timer = -1;
  int err = rt->tag ? 0 : kEAGAIN;
  if (!err && !owns_threads(rt)) {
    err = os::wake_fd_open(rt->wake_fd);
  }
  if (Govern* g = config.govern) {
    near_set(rt, g->near);
    rt->plan.store(g->plan, relaxed);
  }
  if (!err) {
    err = min(set_procs(nullptr, rt, config.procs), 0);
  }
  if (err) {
    destroy(rt);
    return err;
  }
  *out = rt;
  return 0;
}

void rt_retain(Runtime* rt) { rt->refs.fetch_add(1, relaxed); }

void rt_release(Runtime* rt) {
  // acq_rel: the last one sees what all others did.
  if (rt->refs.fetch_sub(1, acq_rel) != 1) {
    return;
  }
  if (rt->stopping.load(acquire) != 2) {
    rt->refs.store(1, relaxed);
    if (!rt->said_unstopped.exchange(1, relaxed)) {
      say("a runtime was freed without thrum_rt_stop; it stays");
    }
    return;
  }
  destroy(rt);
}

int rt_on_thread(Runtime* rt, void (*start)(void*), void (*stop)(void*),
                 void* arg) {
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;
  }
  if (live_gs(rt) || rt->ms) {
    return kEBUSY;
  }
  rt->thread_start = start;
  rt->thread_stop = stop;
  rt->thread_arg = arg;
  return 0;
}

bool m_create(Runtime* rt, P* p, G* g, bool spinning) {
  sysmon_start(rt);  // first: if there is no M to be had, it tries again
  M* m = m_again(rt);
  if (!m && !(m = m_make(rt, false))) {
    return false;
  }
  m->next_p = p;
  m->next_g = g;
  m->spinning = spinning;
  inherit_cpus(this_m(), m);
  if (os::thread_start(m->thread, m_main, m, "thrum-m") == 0) {
    return true;
  }
  if (!rt->said_threads.exchange(1, relaxed)) {
    say("no more threads: %u run", rt->m_count - 1);
  }
  m->next_p = nullptr;
  m->next_g = nullptr;
  Locked held(rt->lock);
  m->gone = true;
  ++rt->gone_ms;
  return false;
}

// The calling thread as an M of rt. It stays: Gs pinned to it wait for the next call.
M* m_lend(Runtime* rt) {
  u64 who = thread_pointer();
  M* m = nullptr;
  {
    Locked held(rt->lock);
    for (M* x = rt->ms; x; x = x->next_m) {
      if (x->lent && x->lender == who && !x->lent_now) {
        m = x;
        break;
      }
    }
  }
  if (!m && !(m = m_make(rt, true))) {
    return nullptr;
  }
  {
    Locked held(rt->lock);
    m->lender = who;
    m->lent_now = true;
    m->slow.store(slow_at_start(m), relaxed);
  }
  if (owns_threads(rt)) {
    sysmon_start(rt);
  }
  rt->lent.fetch_add(1, seq_cst);
  m->outer = this_m();
  mem::heap_begin(m->heap);
  m->door.enter();
  m->tid.store(os::thread_id(), relaxed);
  m->eh = static_cast<EhGlobals*>(os::eh_globals());
  if (m->eh) {  // what the thread is catching is no G's
    m->outer_eh = *m->eh;
    *m->eh = EhGlobals{};
  }
  note_native(m->note0);
  set_this_m(m);
  signals_join(m);
  return m;
}

void m_unlend(M* m) {
  Runtime* rt = m->rt;
  signals_leave(m);
  if (m->eh) {
    *m->eh = m->outer_eh;
  }
  set_this_m(m->outer);
  P* p;
  {
    Locked held(rt->lock);
    if (m->idle) {
      idle_m_remove(rt, m);
    }
    wanted_remove(rt, m);
    p = m->next_p;
    if (p) {  // it came too late
      m->next_p = nullptr;
      stop_spinning(m);
      note_wake(free_p(rt, p));
    }
    m->lent_now = false;
    m->note.store(0, relaxed);
  }
  if (p && has_work(rt)) {
    wake_p(rt);  // who gave it relied on us
  }
  rt->lent.fetch_sub(1, seq_cst);  // a stop goes on from here, and rt may go
}

void exit_counted(M* m, Runtime* rt) {
  (void)m;
  rt->stop_note.fetch_add(1, release);
  if (live_gs(rt) == 0) {
    os::futex_wake(&rt->stop_note, INT32_MAX);
  }
}

int rt_stop(M* m, Runtime* rt, i64 deadline) {
  if (m && m->cur && m->rt == rt) {
    return kEDEADLOCK;
  }
  int late = deadline == kTry ? kEAGAIN : kETIMEDOUT;
  for (;;) {  // a second caller waits for the first
    {
      Locked held(rt->stop_lock);
      if (rt->stopping.load(acquire) == 2) {
        return 0;
      }
      if (!rt->stop_busy) {
        rt->stop_busy = true;
        break;
      }
    }
    if (deadline != kForever && os::now_ns() >= deadline) {
      return late;
    }
    if (pinned_ready(rt, thread_pointer()) &&  // the first cannot run them
        pump_gs(rt, kTry) == kEFORKED) {
      return kEFORKED;
    }
    os::thread_sleep(1'000'000);
  }
  u32 was = 0;
  rt->stopping.compare_exchange_strong(was, 1, seq_cst, relaxed);
  while (live_gs(rt)) {
    // Again each round: a spawn or a wait that was under way may have missed it.
    cancel_all(m, rt);
    drain(m, rt, deadline);
    if (THRUM_UNLIKELY(forked(rt))) {
      return kEFORKED;
    }
    if (live_gs(rt) && deadline != kForever && os::now_ns() >= deadline) {
      if (rt->config.report && deadline != kTry) {  // who polls knows
        rt->config.report(rt, "still stopping; these green threads go on");
      }
      leave_stop(rt, false);
      return late;
    }
  }
  while (rt->lent.load(seq_cst)) {  // threads inside run and pump go home
    os::thread_sleep(100'000);
    if (deadline != kForever && os::now_ns() >= deadline) {
      leave_stop(rt, false);
      return late;
    }
  }
  source_stop(rt);
  observer_stop(rt);
  join_ms(rt);
  preempt_disable(rt);
  sample_disable(rt);
  overflow_disable(rt);
  drop_tokens(rt);
  leave_stop(rt, true);
  return 0;
}

}  // namespace thrum
