// Where Ms compute: stacks with counts and ns of CPU time, sampled.
//
// The onlooker looks at each M so many times a second. One that has used the CPU since
// it was asked last, and runs just now, gets the directed signal (sched/preempt.cpp); its
// handler notes the stack, and the onlooker fetches it at the next look. A sample stands
// for the CPU time that the thread has used since the one before, so what is counted is
// the kernel's figure, and only where it went is drawn. One that sleeps in the kernel is
// not asked: the signal would end its call.
//
// An M that is inside thrum tells no more than that: its stack may be changing.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "base/err.hpp"
#include "observe/onlooker.hpp"
#include "observe/profile.hpp"

namespace thrum {

namespace {

constexpr u32 kShotFree = 0, kShotAsked = 1, kShotTaken = 2;
constexpr u32 kMostMs = 512;          // that are looked at, at a time
constexpr i64 kLost = 1'000'000'000;  // it will not come any more
constexpr u32 kHandler = 16;          // frames above the place, at most

Profiler* profiler(Runtime* rt) {
  return static_cast<Profiler*>(rt->profile.load(acquire));
}

// ---- in the handler ------------------------------------------------------------------

// The walk begins in the handler, and goes over to what was stopped. The others are
// return addresses, one behind the call: so is the first then.
void walk(const Profiler* p, u64 pc, Shot& shot) {
  u64 pcs[kFrames + kHandler];
  u32 n = os::call_stack(pcs, kFrames + kHandler);
  u32 at = 0;
  while (at < n && pcs[at] != pc) {
    ++at;
  }
  n = at < n ? min(n - at, kFrames) : 0;
  memcpy(shot.pcs, pcs + at, n * sizeof *pcs);
  shot.pcs[0] = pc + 1;
  shot.frames = without_own(p, shot.pcs, max(n, 1u));
}

// ---- on the onlooker ---------------------------------------------------------------------

void fetch(Profiler* p, Shot& shot, i64 now) {
  if (shot.state.load(acquire) == kShotTaken) {  // pairs with cpu_stopped
    Met m{};
    m.kind = Kind::cpu;
    m.frames = shot.frames;
    memcpy(m.pcs, shot.pcs, shot.frames * sizeof *m.pcs);
    profile_add(p, m, 1, shot.ns);
    shot.state.store(kShotFree, relaxed);
  } else if (now - shot.asked_at > kLost) {
    u32 asked = kShotAsked;
    shot.state.compare_exchange_strong(asked, kShotFree, relaxed, relaxed);
  }
}

void ask(Profiler* p, M* m, i64 now, u64 period) {
  u32 tid = m->tid.load(relaxed);
  i64 cpu = tid && m->id < kShots ? os::thread_cpu_ns(tid) : -1;
  if (cpu < 0) {
    return;
  }
  Shot& shot = p->shots[m->id];
  fetch(p, shot, now);
  u32 epoch = p->cpu_epoch.load(relaxed);
  if (shot.tid != tid || shot.epoch != epoch) {
    shot.tid = tid;
    shot.epoch = epoch;
    shot.cpu = static_cast<u64>(cpu);
    return;
  }
  u64 used = static_cast<u64>(cpu) - shot.cpu;
  if (4 * used < period || shot.state.load(relaxed) != kShotFree ||
      !os::thread_runs(tid)) {
    return;
  }
  shot.ns = used;
  shot.asked_at = now;
  shot.state.store(kShotAsked, release);  // pairs with cpu_stopped
  if (sample_send(m)) {
    shot.cpu = static_cast<u64>(cpu);
  } else {
    shot.state.store(kShotFree, relaxed);
  }
}

void look(Onlooker* o, i64 now) {
  Profiler* p = profiler(o->rt);
  u64 period = static_cast<u64>(max(o->look_every.load(relaxed), i64{1}));
  M* ms[kMostMs];
  u32 n = 0;
  {
    Locked held(o->rt->lock);
    for (M* m = o->rt->ms; m && n < kMostMs; m = m->next_m) {
      if (!m->gone && (!m->lent || m->lent_now)) {
        ms[n++] = m;
      }
    }
  }
  for (u32 i = 0; i < n; ++i) {
    ask(p, ms[i], now, period);
  }
}

}  // namespace

void cpu_stopped(Profile* self, M* m, const os::Stopped& at) {
  auto* p = static_cast<Profiler*>(self);
  if (m->id >= kShots) {
    return;
  }
  Shot& shot = p->shots[m->id];
  if (shot.state.load(acquire) != kShotAsked) {  // pairs with ask
    return;
  }
  shot.frames = 0;
  if (m->cur && !m->door.in_core.load(relaxed)) {
    walk(p, at.pc, shot);
  }
  shot.state.store(kShotTaken, release);  // pairs with fetch
}

int cpu_rate(Profiler* p, u32 rate) {
  Onlooker* o;
  if (int err = onlooker_of(p->rt, &o)) {
    return err;
  }
  Locked held(p->cpu_setting);
  if (rate) {
    // The first walk sets up what later ones, in a handler, find done.
    u64 pc;
    (void)os::call_stack(&pc, 1);
    if (int err = sample_enable(p->rt)) {
      return err;
    }
    p->cpu_epoch.fetch_add(1, relaxed);
  }
  u32 was = p->cpu_rate.exchange(rate, relaxed);
  o->look.store(look, relaxed);
  // release: pairs with the onlooker's, whom it tells of `look`.
  o->look_every.store(rate ? 1'000'000'000 / rate : 0, release);
  onlooker_wake(o);
  if (!rate) {
    sample_disable(p->rt);
  }
  return static_cast<int>(was);
}

}  // namespace thrum
