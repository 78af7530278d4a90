// Stopping the world for a host's collector: no G runs guest code until it starts
// again, and every P keeps its state.
//
// A G is stopped when it is parked or runnable (its M waits in the loop, with its
// P), or declared blocking and outside: then its next parking call holds it. One
// that computes or blocks without a word cannot be stopped: it is named, and the
// world runs on. While the world is asked to stop no P leaves the idle list
// (idle_p_pop), and Ms look at P::attention before they run a G.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

namespace thrum {

namespace {

u64 who(M* m) {
  G* g = g_of(m);
  return g ? reinterpret_cast<u64>(g) : thread_pointer() | 1;
}

// Of an M that runs a G without a P and without a word.
bool astray(M* m) {
  u32 w = m->door.word.load(relaxed);
  return (w & (kTaken | kApart)) && !(w & kDeclared);
}

// Asks all that still run, but for `self`; returns how many. With rt->lock held.
u32 ask_all(Runtime* rt, M* self) {
  u32 running = 0;
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    P* p = rt->ps[i];
    M* m = p->m.load(acquire);  // pairs with take_p
    if (p->state.load(relaxed) != PState::running || (m && m == self)) {
      continue;
    }
    p->attention.fetch_or(kAttnWorld, relaxed);
    if (!m || !m->door.held()) {
      ++running;
    }
  }
  for (M* m = rt->ms; m; m = m->next_m) {
    if (m != self) {
      m->door.call_in();
      running += astray(m) ? 1 : 0;
    }
  }
  return running;
}

// Under rt->lock.
void run_on(Runtime* rt) {
  rt->world.store(0, release);
  rt->world_owner = 0;
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    rt->ps[i]->attention.fetch_and(~kAttnWorld, relaxed);
  }
  for (M* m = rt->ms; m; m = m->next_m) {
    m->door.let_be();
    m->slow.fetch_and(~kSlowWorld, relaxed);
  }
}

// Ms that waited for a P meanwhile get one; the idle M whose turn it is looks at
// the timers.
void wake_all(Runtime* rt) {
  rt->world_note.fetch_add(1, release);
  os::futex_wake(&rt->world_note, INT32_MAX);
  for (;;) {
    M* to;
    {
      Locked held(rt->lock);
      P* p = rt->wanting_head ? idle_p_pop(rt) : nullptr;
      to = p ? free_p(rt, p) : nullptr;
    }
    if (!to) {
      break;
    }
    note_wake(to);
  }
  M* idle;
  {
    Locked held(rt->lock);
    M* sleeper = rt->sleeper.load(relaxed);
    idle = sleeper ? sleeper : rt->idle_m;
  }
  note_wake(idle);
  wake_p(rt);
  if (!owns_threads(rt)) {
    raise_wake_fd(rt);
  }
}

void say_astray(Runtime* rt, M* self) {
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    G* g = glance(m->cur);
    if (m == self || !g || m->door.in_core.load(relaxed) || m->door.held()) {
      continue;
    }
    char place[128];
    os::symbol(m->door.site.load(relaxed), place, sizeof place);
    say("the world was not stopped: G %u is in code that calls no thrum, since "
        "it "
        "left for %s",
        g->slot, place);
  }
}

// Waits for the one that has stopped the world; 0 or why not.
int my_turn(M*& m, Runtime* rt, i64 deadline) {
  for (;;) {
    u32 seen = rt->world_note.load(acquire);
    {
      Locked held(rt->lock);
      u64 me = who(m);
      if (!rt->world_owner || rt->world_owner == me) {
        rt->world_owner = me;
        ++rt->world_depth;
        return 0;
      }
    }
    if (deadline != kForever && os::now_ns() >= deadline) {
      return deadline == kTry ? kEAGAIN : kETIMEDOUT;
    }
    if (g_of(m) && m->rt == rt) {
      leave_for_loop(m);  // and stop there, like any other
    } else {
      os::futex_wait(&rt->world_note, seen, deadline);
    }
  }
}

}  // namespace

int world_stop(M*& m, Runtime* rt, i64 deadline) {
  if (int err = my_turn(m, rt, deadline)) {
    return err;
  }
  if (rt->world.load(relaxed)) {
    return 0;  // nested
  }
  M* self = g_of(m) && m->rt == rt ? m : nullptr;
  {
    Locked held(rt->lock);
    rt->world.store(1, seq_cst);
    if (self) {
      self->slow.fetch_or(kSlowWorld, relaxed);  // if it should park after all
    }
  }
  constexpr i64 kLeast = 20'000, kMost = 1'000'000;
  for (i64 step = kLeast;; step = min(2 * step, kMost)) {
    u32 seen = rt->world_note.load(acquire);
    u32 running;
    {
      Locked held(rt->lock);
      running = ask_all(rt, self);
    }
    if (!running) {
      // Once more behind a fence: who was outside then and did not see the
      // request has been seen inside now.
      os::fence_all();
      Locked held(rt->lock);
      running = ask_all(rt, self);
    }
    if (!running) {
      all_awake(rt);
      return 0;
    }
    i64 now = os::now_ns();
    if (deadline != kForever && now >= deadline) {
      say_astray(rt, self);
      (void)world_start(m, rt);
      return deadline == kTry ? kEAGAIN : kETIMEDOUT;
    }
    os::futex_wait(&rt->world_note, seen, min(deadline, now + step));
  }
}

int world_start(M* m, Runtime* rt) {
  {
    Locked held(rt->lock);
    if (!rt->world_depth) {
      return kEPERM;
    }
    if (--rt->world_depth) {
      return 0;
    }
    run_on(rt);
  }
  (void)m;
  wake_all(rt);
  return 0;
}

// On the loop of an M, with its P: until the world runs.
void world_wait(M* m) {
  Runtime* rt = m->rt;
  P* p = m->p;
  for (;;) {
    u32 seen = rt->world_note.load(acquire);
    {
      Locked held(rt->lock);
      if (!rt->world.load(relaxed)) {
        p->attention.fetch_and(~kAttnWorld, relaxed);
        p->state.store(PState::running, relaxed);
        return;
      }
      p->state.store(PState::stopped, relaxed);
    }
    os::futex_wake(&rt->world_note, INT32_MAX);
    os::futex_wait(&rt->world_note, seen, kForever);
  }
}

void world_call(M*& m) {
  m->door.change(kWorld, 0);
  // acquire: pairs with run_on.
  if (m->rt->world.load(acquire) && m->p) {
    leave_for_loop(m);
  }
}

}  // namespace thrum
