// Parking: the only file besides exit.cpp that leaves a G's stack.
//
// Order of a park, and why no wake-up is lost: the waiter links its node under
// the object's lock and keeps the lock; it switches away; the next context, with
// the waiter's registers saved, publishes the phase (commit_park) and only then
// releases the lock. A peer needs the lock to find the node, so it finds a G
// that may be resumed. Cancel and unpark need no lock: they set a bit in the same
// word, and commit_park's RMW returns it.
// SPDX-License-Identifier: MIT
#include "sched/enter.hpp"
#include "sched/rank.hpp"

namespace thrum {

namespace {

constexpr const char* kWhyNames[] = {
#define X(name) #name,
    THRUM_WAIT_REASONS(X)
#undef X
};

// What an answer takes away: nothing while the runtime stops, for then the
// request stays for good.
u64 consumed(Runtime* rt) { return rt->stopping.load(relaxed) ? 0 : kCancel; }

// Consumes a cancel request of the calling G, if it may.
bool take_cancel(M* m, G* g) {
  u64 v = g->word.load(relaxed);
  if (THRUM_LIKELY(!(v & kCancel)) || g->body->shield > 0) {
    return false;
  }
  u64 clear = consumed(m->rt);
  while (!g->word.compare_exchange_weak(v, (v & ~clear) | kCancelled, relaxed,
                                        relaxed)) {}
  return true;
}

// Ends the wait of g as its own claimer, if it still waits the wait that
// `phase` describes. The word carries the generation: g may have run on, ended
// and been spawned anew since.
void claim_self(M* m, G* g, u64 gen, u64 need, u64 clear, u64 set, int result) {
  u64 v = g->word.load(relaxed);
  for (;;) {
    if (THRUM_UNLIKELY(frozen(v))) {
      v = thawed(g->word);
    }
    if ((v & kGenMask) != gen || (v & need) != need || !(v & kPhase) ||
        (v & kLost)) {
      return;
    }
    if (g->word.compare_exchange_weak(v, (v & ~(kWaitBits | clear)) | set,
                                      acq_rel, relaxed)) {
      break;
    }
  }
  body_of(g)->wake.result = result;
  trace_ready(m, g);
  ready_behind(m, g);
}

}  // namespace

u64 thawed(const Atomic<u64>& word) {
  u64 v = word.load(relaxed);
  for (u32 i = 0; frozen(v); v = word.load(relaxed)) {
    if (++i % 256) {
      cpu_relax();
    } else {
      os::thread_yield();
    }
  }
  return v;
}

void disarm(Body* b) {
  // acquire: pairs with TimerHeap::disarm: whoever fired it is done with us.
  if (b->timer.id.load(acquire) == Timer::kIdle) {
    return;
  }
  P* home = b->timer_home;
  Locked held(home->timer_lock);
  if (b->timer.id.load(relaxed) != Timer::kIdle) {
    home->timers.disarm(&b->timer);
    home->earliest.store(home->timers.earliest(), relaxed);
  }
}

int wait_as_thread(Wake* party, const Wait& w, const Unlock& unlock) {
  auto* wake = static_cast<ThreadWake*>(party);
  wake->note.store(0, relaxed);
  wake->own.store(kWaitHard, relaxed);  // published by the unlock
  unlock.go();
  // acquire: pairs with the release store in ready().
  while (!wake->note.load(acquire)) {
    os::futex_wait(&wake->note, 0, w.deadline);
    if (w.deadline != kForever && !wake->note.load(acquire) &&
        os::now_ns() >= w.deadline) {
      if (claim(wake)) {
        return kETIMEDOUT;
      }
      while (!wake->note.load(acquire)) {  // the claimer is on its way
        os::futex_wait(&wake->note, 0, kForever);
      }
    }
  }
  return wake->result;
}

const char* why_name(Why why) { return kWhyNames[static_cast<u8>(why)]; }

int wait_begin_slow(M* m, Wait& w) {
  if (w.deadline == kTry) {
    return kEAGAIN;
  }
  G* g = g_of(m);
  if (!g) {
    // A G of the parent cannot park. (What it joins is a G of this process, see
    // capi, and will end: there it waits as a thread.)
    if (w.why != Why::join && was_g()) {
      return kEFORKED;
    }
    return w.deadline != kForever && w.deadline <= os::now_ns() ? kETIMEDOUT
                                                                : 0;
  }
  Body* b = g->body;
  // No store but then: it is read together with its neighbour in a moment, and a
  // byte just stored is not forwarded to a load of two.
  if (THRUM_UNLIKELY(b->shield > 0)) {
    w.hard = true;
  }
  if (!w.hard && b->limit < w.deadline) {
    w.deadline = b->limit;
  }
  if (THRUM_UNLIKELY(w.deadline != kForever)) {
    if (w.deadline <= (w.now ? w.now : now_of(m))) {
      return kETIMEDOUT;
    }
    P* p = m->p;
    if (THRUM_UNLIKELY(!p->timers.has_room())) {
      Locked held(p->timer_lock);
      if (!p->timers.reserve()) {
        return kENOMEM;
      }
    }
  }
  return !w.hard && take_cancel(m, g) ? kECANCELED : 0;
}

void commit_timed(M* m, const After& a) {
  G* g = a.g;
  Body* b = g->body;
  P* p = m->p;
  u64 old;
  bool first;
  {
    // Phase and timer become visible together: firing and disarming take this
    // lock, so neither meets a half-parked G.
    Locked held(p->timer_lock);
    b->timer_home = p;
    u32 tie = seeded(p->rt) ? p->rt->seeded.below(1u << 31) : p->timer_tie++;
    first = p->timers.arm(&b->timer, a.deadline, tie);
    if (first) {
      p->earliest.store(a.deadline, seq_cst);  // Dekker with sleep_until
    }
    old = g->word.fetch_add(phase_of(a), acq_rel);
  }
  if (first) {
    timer_armed(p, a.deadline, m->cur != nullptr);
  }
  a.unlock.go();  // from here on g may be anywhere
  if (THRUM_UNLIKELY(old & (kCancel | kPermit))) {
    commit_late(m, a, old);
  }
}

// A request came before the phase was there to be claimed.
void commit_late(M* m, const After& a, u64 old) {
  u64 gen = old & kGenMask;
  if ((old & kPermit) && a.parked) {
    claim_self(m, a.g, gen, kParked | kPermit, kPermit, 0, 0);
  } else if ((old & kCancel) && !a.hard) {
    claim_self(m, a.g, gen, kWait | kCancel, consumed(m->rt),
               kCancelled | kAnswering, kECANCELED);
  }
}

void leave_for_loop(M*& m) {
  G* g = m->cur;
  g->state.store(State::runnable, relaxed);
  m->after.kind =
      g->flags & kRouted || rank_now(g) ? AfterKind::route : AfterKind::yield;
  m->after.g = g;
  m = switch_away(m, g->body);
}

// The parts of yield that few take: a cancel, or a class that queues elsewhere.
int yield_slow(M*& m, G* g) {
  if (take_cancel(m, g)) {
    return kECANCELED;
  }
  leave_for_loop(m);
  return 0;
}

AfterKind slice_end(M* m, G* g) {
  return g->flags & kRouted || rank_now(g) ? AfterKind::route
         : m->rt->global.size()            ? AfterKind::behind
                                           : AfterKind::yield;
}

int check(M*& m) {
  G* g = m->cur;
  u32 bits = m->p ? m->p->attention.load(relaxed) : 0;
  if (THRUM_UNLIKELY((bits & kAttnSlice) &&
                     !(g->word.load(relaxed) & kCancel))) {
    g->state.store(State::runnable, relaxed);
    m->after = After{.kind = slice_end(m, g), .g = g};
    m = switch_to_loop(m, g->body);
    return 0;
  }
  if (THRUM_UNLIKELY(bits)) {
    return yield(m);
  }
  return take_cancel(m, g) ? kECANCELED : 0;
}

int check_slow() {
  EnterParking e;
  return check(e.m);
}

int park(M*& m, const char* reason, i64 deadline) {
  G* g = m->cur;
  if (g->word.load(relaxed) & kPermit) {
    // acquire: pairs with the RMW of unpark.
    g->word.fetch_and(~kPermit, acq_rel);
    return 0;
  }
  Wait w{deadline, Why::park, false, true, reason};
  int err = wait_begin(m, w);
  return err ? err : wait(m, &g->body->wake, w, Unlock{});
}

}  // namespace thrum
