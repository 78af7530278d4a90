// Opt-in preemption of code that the host has declared (DESIGN 4.3).
//
// sysmon sends a signal; its handler, on the M's alternate stack, decides (judge)
// and at most makes the G go on at thrum_preempt_entry (arch), which saves all
// registers on the G's own stack and calls `preempted`. From there on it is a call
// like any other: through the door into the core, and off to the loop.
//
// A G that was stopped so is bound to its M until it has run on: it may hold the
// address of a thread-local in a register. Only where all its region's code says
// MIGRATE does it queue like the others. A bound G waits among those pinned to its
// M, and `bound` tells the two apart.
//
// The handler reads fields of its own thread only, and only when it is outside: the
// guest then runs, and nobody else writes them. Compiler fences are enough.
// SPDX-License-Identifier: MIT
#include "sched/preempt.hpp"

#include "arch/preempt.hpp"
#include "sched/domain.hpp"
#include "sched/profile.hpp"
#include "sched/region.hpp"
#include "sched/signals.hpp"

namespace thrum {

namespace {

// Of the G's stack, for what `preempted` calls before it has left it: the door, at
// worst with a wait for a P that has to start a thread.
constexpr size_t kRoom = kFibreNotes ? size_t{12} << 10 : size_t{4} << 10;

// What the entry needs; written before the first signal.
Atomic<u32> g_entry_bytes;

// Would the G wait on this M for ever, or against the word of another's?
bool cannot_bind(const M* m, const G* g) {
  u32 slow = m->slow.load(relaxed);
  // A thread that pumps goes home when its time is over.
  return (slow & kSlowPump) || ((slow & kSlowLocked) && m->locked != g);
}

// ---- in the signal handler -----------------------------------------------------

Refusal judge_code(M* m, G* g, const os::Stopped& at) {
  Body* b = g->body;
  u32 flags;
  if (b->rare()->hold) {
    return Refusal::held;
  }
  if (!region_find(at.pc, flags)) {
    return Refusal::code;
  }
  if (!at.bytes) {
    return Refusal::state;
  }
  u64 lo = reinterpret_cast<u64>(b->stack.lo());
  u64 hi = reinterpret_cast<u64>(b->stack.hi);
  u64 need = at.bytes + g_entry_bytes.load(relaxed) + kRoom;
  if (at.sp <= lo + need || at.sp > hi) {
    return Refusal::stack;
  }
  b->rare()->stopped_at = at.pc;
  b->rare()->migrates = flags & kRegionMigrate;
  if (b->rare()->migrates) {
    return Refusal::none;
  }
  if (inside_domain(g)) {
    return Refusal::domain;  // its next turn may be on another M
  }
  return !b->pin && cannot_bind(m, g) ? Refusal::thread : Refusal::none;
}

// What speaks against it at the door. Not that the P is gone: the G comes in as in
// any parking call then, and waits for one.
constexpr u32 kNotNow = kAsked | kDomainTaken | kDeclared | kWorld;

bool on_stop(void* arg, const os::Stopped& at) {
  M* m = static_cast<M*>(arg);
  compiler_fence();
  u32 asks = m->asks.exchange(0, relaxed);
  if (asks & kAskSample) {
    Profile* p = m->rt->profile.load(acquire);  // pairs with who makes it
    p->stopped(p, m, at);
  }
  if (!(asks & kAskPreempt)) {
    return false;
  }
  Refusal why = Refusal::core;
  if (!m->door.in_core.load(relaxed) && m->cur) {
    if (m->door.word.load(relaxed) & kNotNow) {
      why = Refusal::blocked;
    } else if (inside_domain(m->cur) && domain_preempt(m->cur)) {
      return false;  // it was asked in its own way
    } else {
      why = judge_code(m, m->cur, at);
    }
  }
  if (why == Refusal::none) {
    return true;
  }
  m->last_refusal.store(why, relaxed);
  m->refusals.fetch_add(1, relaxed);
  if (P* p = m->p) {  // perhaps another's by now, but never freed
    p->refusals.fetch_add(1, relaxed);
  }
  return false;
}

// ---- on the G's stack ------------------------------------------------------------

// Before the door: a P that was taken away meanwhile must not send this G elsewhere.
void bind_here(M* m, G* g) {
  Body* b = g->body;
  if (b->pin) {
    return;  // bound for another reason
  }
  b->pin = m;
  b->bound = true;
  g->flags |= kRouted;
  ++m->bound_n;
}

void unbind(M* m, G* g) {
  Body* b = g->body;
  if (!b->bound) {
    return;
  }
  b->bound = false;
  b->pin = nullptr;
  unroute(m->rt, g);
  --m->bound_n;
}

// What a yield does, but through the loop, whose stack is its own; and the time of
// the next dispatch is noted for sysmon: it knows then when that slice ends.
void go_behind(M*& m, G* g) {
  P* p = m->p;
  i64 now = os::now_ns();
  trace(m, m->rt, Event::preempt, g);
  bump(p->preemptions);
  p->preempt_delay.store(now - m->asked_at.load(relaxed), relaxed);
  p->stamp.store(now, relaxed);
  // release: pairs with the acquire in preempt_look.
  p->stamped.store(p->dispatches.load(relaxed) + 1, release);
  if (g->body->bound) {
    m->bound_wait = min(p->queued() + m->rt->global.size(), kRing);
  }
  g->state.store(State::runnable, relaxed);
  m->after = After{.kind = slice_end(m, g), .g = g};
  m = switch_to_loop(m, g->body);
}

// As a parking call comes in and goes out; where the G was stopped is its site.
THRUM_NOINLINE void preempt_here() {
  M* m = this_m();
  G* g = m->cur;
  u64 site = g->body->rare()->stopped_at;
  if (!g->body->rare()->migrates) {
    bind_here(m, g);
  }
  u32 was = m->door.enter();
  if (THRUM_UNLIKELY(m->door.called())) {
    enter_slow(m, true);
  }
  go_behind(m, g);
  unbind(m, g);
  m->door.leave(was, site);
}

// Called by thrum_preempt_entry. The G was perhaps about to read errno.
void preempted(void* frame) {
  int kept = os::errno_get();
  preempt_here();
  os::errno_set(kept);
  os::detour_end(frame);
}

}  // namespace

// ---- on and off --------------------------------------------------------------------

namespace {

// For one of its two users, of which each counts once.
int signal_on(Runtime* rt, Atomic<u32>& on, int signo) {
  Locked held(rt->signals_lock);
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;
  }
  int got = os::signal_open(signo, on_stop, thrum_preempt_entry);
  if (got < 0) {
    return got;
  }
  if (on.exchange(1, relaxed)) {
    os::signal_close();  // it was on: still one user
  }
  signals_changed(rt);
  return got;
}

void signal_off(Runtime* rt, Atomic<u32>& on) {
  Locked held(rt->signals_lock);
  if (on.exchange(0, relaxed)) {
    os::signal_close();
    signals_changed(rt);
  }
}

}  // namespace

int preempt_enable(Runtime* rt, int signo) {
  // Without an observer nobody would ask; and a seed could not replay it.
  if (!owns_threads(rt) || kSignalsLate) {
    return kENOTSUP;
  }
  size_t bytes = preempt_prepare(preempted);
  if (!bytes) {
    return kENOTSUP;
  }
  g_entry_bytes.store(static_cast<u32>(bytes), relaxed);
  return signal_on(rt, rt->preempt_on, signo);
}

int preempt_disable(Runtime* rt) {
  signal_off(rt, rt->preempt_on);
  return 0;
}

int sample_enable(Runtime* rt) {
  if (!owns_threads(rt) || kSignalsLate) {
    return kENOTSUP;
  }
  return min(signal_on(rt, rt->sample_on, 0), 0);
}

void sample_disable(Runtime* rt) { signal_off(rt, rt->sample_on); }

void preempt_join(M* m) {
  if (m->rt->preempt_on.load(relaxed) | m->rt->sample_on.load(relaxed)) {
    // An M that cannot be asked is none the worse for it.
    (void)os::signal_join(m->signal, m);
  }
}

void preempt_leave(M* m) { os::signal_leave(m->signal); }

int preempt_region(u64 lo, u64 hi, u32 flags) {
  // Our own code counts on not being stopped between two instructions while
  // in_core is 0, and the C library holds locks.
  u64 own = reinterpret_cast<u64>(&thrum_preempt_entry);
  if (lo >= hi || (flags & ~kRegionMigrate) || (own >= lo && own < hi) ||
      os::holds_libc(lo, hi)) {
    return kEINVAL;
  }
  return region_add(lo, hi, flags);
}

int preempt_forget(u64 lo, u64 hi) { return region_drop(lo, hi); }

// ---- sysmon ------------------------------------------------------------------------

bool preempt_send(M* m) {
  if (!m->rt->preempt_on.load(relaxed)) {
    return false;
  }
  i64 before = m->asked_at.load(relaxed);
  m->asked_at.store(os::now_ns(), relaxed);  // it may come to m at once
  m->asks.fetch_or(kAskPreempt, relaxed);
  int sent = os::signal_send(m->signal);
  if (sent > 0) {
    m->asked_at.store(before, relaxed);
  } else if (sent < 0) {
    m->asks.fetch_and(~kAskPreempt, relaxed);
  }
  return sent >= 0;
}

bool sample_send(M* m) {
  m->asks.fetch_or(kAskSample, relaxed);
  return os::signal_send(m->signal) >= 0;
}

bool preempt_waits(M* m) {
  Domain* d = peek(m->domain);  // never freed before its runtime
  return pinned_waits(m) || (d && domain_waits(d));
}

namespace {

constexpr i64 kLooksPerSlice = 8;
constexpr i64 kLookLeast = 50'000;
constexpr i64 kPatience = 4;  // a part of the slice; then it is a retake's turn
constexpr i64 kGapMost = 4;   // slices between two signals to one that refuses
constexpr i64 kApartGapMost = 64;
constexpr i64 kSampleLasts = 3'000'000;

// Has m used a CPU lately, or would it like to? One that sleeps in the kernel is not
// to be asked: the signal would end its call with EINTR, and its P can be retaken.
bool computes(M* m, Look& seen, i64 now, bool due) {
  u32 tid = m->tid.load(relaxed);
  i64 cpu = os::thread_cpu_ns(tid);
  i64 since = now - seen.cpu_at;
  bool known = seen.m == m && since <= kSampleLasts;
  bool yes =
      (known && 4 * (cpu - seen.cpu) >= since) || (due && os::thread_runs(tid));
  seen.m = m;
  seen.cpu = cpu;
  seen.cpu_at = now;
  return yes;
}

// `gap`: until it may be asked again. False: it cannot be.
bool ask(P* p, M* m, Look& seen, i64 now, i64 gap) {
  seen.asked = seen.dispatches;
  seen.asked_at = now;
  seen.ask_again = now + gap;
  seen.refusals = m->refusals.load(relaxed);
  // Once more: it may have come to a call since.
  return p->dispatches.load(relaxed) == seen.dispatches &&
         !m->door.in_core.load(relaxed) && preempt_send(m);
}

// The slice of a G that computes outside is over.
bool tries(P* p, M* m, Look& seen, i64 now, i64 slice) {
  if (seen.asked != seen.dispatches) {
    return ask(p, m, seen, now, slice);
  }
  if (m->refusals.load(relaxed) == seen.refusals &&
      now - seen.asked_at < slice / kPatience) {
    return true;
  }
  // It is here because no thread is to be had that could take its P.
  if (now >= seen.ask_again) {
    ask(p, m, seen, now,
        min(2 * (seen.ask_again - seen.asked_at), kGapMost * slice));
  }
  return false;
}

}  // namespace

// Those that run without a P, since it was taken: they are as many threads too many,
// and Gs that are bound to them wait.
i64 preempt_apart(Runtime* rt, i64 now) {
  if (!rt->blocking.load(relaxed)) {
    return kForever;
  }
  M* due[16];
  u32 n = 0;
  i64 next = kForever;
  {
    Locked held(rt->lock);
    for (M* m = rt->ms; m && n < 16; m = m->next_m) {
      u32 w = m->door.word.load(relaxed);
      if (!(w & (kTaken | kApart)) || (w & kNotNow) ||
          m->door.in_core.load(relaxed) || !m->signal.id.load(relaxed)) {
        continue;
      }
      if (now >= m->ask_again) {
        due[n++] = m;
      } else {
        next = min(next, m->ask_again);
      }
    }
  }
  i64 slice = rt->config.slice_ns;
  for (u32 i = 0; i < n; ++i) {
    M* m = due[i];
    u32 refusals = m->refusals.load(relaxed);
    m->ask_gap = refusals == m->ask_refusals
                     ? slice
                     : min(2 * m->ask_gap, kApartGapMost * slice);
    m->ask_refusals = refusals;
    m->ask_again = now + m->ask_gap;
    next = min(next, m->ask_again);
    if (os::thread_runs(m->tid.load(relaxed))) {
      preempt_send(m);
    }
  }
  return next;
}

bool preempt_look(P* p, M* m, Look& seen, i64 now, i64* next) {
  if (!m->signal.id.load(relaxed)) {
    p->attention.fetch_or(kAttnSignals, relaxed);
    return false;
  }
  u64 stamped = p->stamped.load(acquire);
  if (stamped && stamped == seen.dispatches) {
    seen.since = p->stamp.load(relaxed);
  }
  i64 slice = p->rt->config.slice_ns;
  i64 tick = max(slice / kLooksPerSlice, kLookLeast);
  i64 end = seen.since + slice;
  *next = min(*next, now < end ? min(end, now + tick) : now + tick);
  bool due = now >= end && !m->door.in_core.load(relaxed) &&
             !(m->door.word.load(relaxed) & kDeclared);
  if (!computes(m, seen, now, due) || !due) {
    return false;
  }
  bool first = seen.asked != seen.dispatches;
  bool trying = tries(p, m, seen, now, slice);
  if (first) {
    *next = now + kLookLeast;  // the next one to compute has begun soon after
  }
  return trying;
}

}  // namespace thrum
