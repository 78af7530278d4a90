// SPDX-License-Identifier: MIT
#include "observe/profile.hpp"

#include <new>
#include <string.h>

#include "base/err.hpp"
#include "os/socket.hpp"
#include "sched/probes.hpp"

namespace thrum {

namespace {

constexpr i64 kMayThrottle =
    1'000'000;  // a wait that a quota may have made longer
constexpr u32 kThin = 4;

Profiler* of(Profile* p) { return static_cast<Profiler*>(p); }

// Draws one in `rate`, by the low bits of a clock that nobody can foresee.
bool drawn(u32 rate) {
  return rate == 1 || ((cpu_ticks() * 0x9e3779b97f4a7c15u) >> 33) % rate == 0;
}

u32 rate_now(const Profiler* p, u32 rate) {
  return rate * max(p->thinned.load(relaxed), 1u);
}

// Was a quota used up in the last ns? Of many waits that end when the group may go on,
// one sees the figure grow; the others had begun by then. With the lock held.
bool was_throttled(Profiler* p, i64 ns) {
  if (ns < kMayThrottle) {
    return false;
  }
  (void)os::groups_reread(p->groups);
  i64 now = os::now_ns();
  u64 throttled = os::groups_throttled(p->groups).ns;
  if (throttled > p->throttled) {
    p->bitten = now;
  }
  p->throttled = throttled;
  bool overlaps = now - ns < p->bitten;
  p->thinned.store(overlaps ? kThin : 1, relaxed);
  return overlaps;
}

u64 hash_of(const Met& m) {
  u64 h = static_cast<u64>(m.kind) << 8 | static_cast<u64>(m.why) << 1 |
          m.throttled;
  for (u32 i = 0; i < m.frames; ++i) {
    h = (h ^ m.pcs[i]) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h ? h : 1;
}

// With the lock held.
void add(Profiler* p, Met& m, u64 count, u64 ns) {
  m.hash = hash_of(m);
  for (u32 i = 0; i < 64; ++i) {
    Met& at = p->met[(m.hash + i) % kStacks];
    if (!at.hash) {
      at = m;
      at.count = at.ns = 0;
    }
    if (at.hash == m.hash) {
      at.count += count;
      at.ns += ns;
      return;
    }
  }
  p->dropped += count;
}

// Where the guest called thrum: our own frames tell nothing.
void stack_of(const Profiler* p, Met& m) {
  u64 pcs[kFrames + 16];
  u32 n = os::call_stack(pcs, kFrames + 16);
  u32 skip = 0;
  while (skip < n && pcs[skip] >= p->own_lo && pcs[skip] < p->own_hi) {
    ++skip;
  }
  n = skip + without_own(p, pcs + skip, n - skip);
  m.frames = min(n - skip, kFrames);
  memcpy(m.pcs, pcs + skip, m.frames * sizeof *pcs);
}

THRUM_NOINLINE void unlocked(Profile* at, M*, i64 ns) {
  Profiler* p = of(at);
  u32 rate = rate_now(p, p->mutex_rate.load(relaxed));
  if (!rate || !drawn(rate)) {
    return;
  }
  Met m{};
  m.kind = Kind::mutex;
  m.why = Why::mutex;
  stack_of(p, m);
  Locked held(p->lock);
  m.throttled = was_throttled(p, ns);
  add(p, m, rate, static_cast<u64>(max(ns, i64{0})) * rate);
}

// ---- waits: as the recorder's second lens ------------------------------------------

Pending& pending_of(Profiler* p, const G* g) {
  return p->pending[g->slot % kPendings];
}

u64 handle(const Profiler* p, const G* g) {
  return handle_of(p->rt->tag, g->slot, g->word.load(relaxed));
}

THRUM_NOINLINE void parks(Profiler* p, G* g, u64 ticks, u64 why) {
  u32 rate = rate_now(p, p->block_rate.load(relaxed));
  if (!rate || !drawn(rate)) {
    return;
  }
  Met m{};
  m.kind = Kind::block;
  m.why = static_cast<Why>(why);
  m.count = rate;
  stack_of(p, m);
  Locked held(p->lock);
  Pending& at = pending_of(p, g);
  at.met = m;  // one that goes on in the same place is a sample less
  at.since = os::now_ns();
  at.ticks = ticks;
  at.g.store(handle(p, g), relaxed);
}

void goes_on(Profiler* p, G* g) {
  Pending& at = pending_of(p, g);
  u64 own = handle(p, g);
  if (THRUM_LIKELY(at.g.load(relaxed) != own)) {
    return;
  }
  Locked held(p->lock);
  if (at.g.load(relaxed) == own) {
    at.g.store(0, relaxed);
    if (at.ticks < p->rt->recorder.load(relaxed)->since.load(relaxed)) {
      return;  // the recorder was off meanwhile: it may have ended long ago
    }
    i64 ns = max(os::now_ns() - at.since, i64{0});
    at.met.throttled = was_throttled(p, ns);
    add(p, at.met, at.met.count, static_cast<u64>(ns) * at.met.count);
  }
}

void see(Lens* lens, M*, P*, u64 ticks, Event e, G* g, u64 arg) {
  auto* p = static_cast<Profiler*>(lens);
  if (e == Event::park && g && p->block_rate.load(relaxed)) {
    parks(p, g, ticks, arg);
  } else if (e == Event::run && g) {
    goes_on(p, g);
  }
}

// ---- beginning and end -------------------------------------------------------------

void no_end(Lens*) {}  // the profile ends

void end(Profile* at) {
  Profiler* p = of(at);
  os::groups_close(p->groups);
  mem::free(p->met);
  mem::free(p->pending);
  if (p->shots) {
    os::vm_release(p->shots, kShots * sizeof(Shot));
  }
  mem::free(p);
}

struct Own {
  u64 pc, lo, hi;
  bool first = true;
};
void find_own(void* arg, u64 lo, u64 hi, u64, const char*) {
  Own& own = *static_cast<Own*>(arg);
  // The first is the program: linked into it, thrum's code is not to be told apart.
  if (!own.first && own.pc >= lo && own.pc < hi) {
    own.lo = lo;
    own.hi = hi;
  }
  own.first = false;
}

void open_throttle(void* arg) {
  auto* p = static_cast<Profiler*>(arg);
  os::groups_open(p->groups, "");
  p->throttled = os::groups_throttled(p->groups).ns;
}

Profiler* make(Runtime* rt) {
  auto* p = static_cast<Profiler*>(mem::zalloc(1, sizeof(Profiler)));
  if (!p) {
    return nullptr;
  }
  new (p) Profiler{};
  p->rt = rt;
  p->met = static_cast<Met*>(mem::zalloc(kStacks, sizeof(Met)));
  p->pending = static_cast<Pending*>(mem::zalloc(kPendings, sizeof(Pending)));
  p->shots = static_cast<Shot*>(os::vm_reserve(kShots * sizeof(Shot)));
  p->unlocked = unlocked;
  p->stopped = cpu_stopped;
  p->Profile::end = end;
  p->see = see;
  p->Lens::end = no_end;
  if (!p->met || !p->pending || !p->shots) {
    end(p);
    return nullptr;
  }
  Own own{reinterpret_cast<u64>(&stack_of), 0, 0};
  os::each_text(find_own, &own);
  p->own_lo = own.lo;
  p->own_hi = own.hi;
  os::Thread thread;  // it takes more stack than a G may have
  if (os::thread_start(thread, open_throttle, p, "thrum-look") == 0) {
    os::thread_join(thread);
  }
  return p;
}

int profiler_of(Runtime* rt, Profiler** out) {
  Profile* at = rt->profile.load(acquire);
  if (!at) {
    Profiler* made = make(rt);
    if (!made) {
      return kENOMEM;
    }
    // release: pairs with the acquires of who finds it.
    if (!rt->profile.compare_exchange_strong(at, made, acq_rel, acquire)) {
      end(made);
    } else {
      at = made;
    }
  }
  *out = of(at);
  return 0;
}

}  // namespace

int profile_rate(Runtime* rt, Kind kind, u32 rate) {
  Profiler* p;
  if (int err = profiler_of(rt, &p)) {
    return err;
  }
  if (kind == Kind::cpu) {
    return cpu_rate(p, rate);
  }
  if (kind == Kind::mutex) {
    return static_cast<int>(p->mutex_rate.exchange(rate, relaxed));
  }
  if (rate) {
    if (int err = recorder_start(rt, 0, kByHost)) {
      return err;
    }
    Recorder* r = rt->recorder.load(acquire);
    recorder_look(r, kProfileLens, p);  // or it is there already
  }
  return static_cast<int>(p->block_rate.exchange(rate, relaxed));
}

void profile_add(Profiler* p, Met& m, u64 count, u64 ns) {
  Locked held(p->lock);
  add(p, m, count, ns);
}

u32 without_own(const Profiler* p, const u64* pcs, u32 n) {
  while (n > 1 && pcs[n - 1] >= p->own_lo && pcs[n - 1] < p->own_hi) {
    --n;
  }
  return n;
}

int profile_copy(Runtime* rt, Kind kind, Met** out, u32* n) {
  Profile* at = rt->profile.load(acquire);
  if (!at) {
    return kEINVAL;
  }
  *n = 0;
  *out = static_cast<Met*>(mem::alloc(kStacks * sizeof(Met)));
  if (!*out) {
    return kENOMEM;
  }
  Profiler* p = of(at);
  Locked held(p->lock);
  for (u32 i = 0; i < kStacks; ++i) {
    if (p->met[i].hash && p->met[i].kind == kind) {
      (*out)[(*n)++] = p->met[i];
    }
  }
  return 0;
}

}  // namespace thrum
