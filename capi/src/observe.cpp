// SPDX-License-Identifier: MIT
#include "thrum/observe.h"

#include "observe/memory.hpp"
#include "observe/watchdog.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

namespace {

using TellStall = void (*)(void* arg, const thrum_stall* stall);

void show_stall(const Watch& w, const StallView& v) {
  thrum_stall s{};
  s.struct_size = sizeof s;
  s.state = static_cast<u32>(v.g.state);
  s.g = v.g.handle;
  s.name = v.g.name;
  s.lasted_ns = v.lasted;
  s.done = static_cast<u32>(v.done);
  s.frames = v.frames;
  s.pcs = v.pcs;
  s.exact = v.exact;
  reinterpret_cast<TellStall>(w.fn)(w.arg, &s);
}

}  // namespace

extern "C" {

int thrum_p_each(thrum_rt* rt,
                 void (*fn)(void* arg, const thrum_p_stats* stats), void* arg) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !fn) {
    return r ? kEINVAL : no_rt(rt);
  }
  u32 n = r->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    P* p = r->ps[i];
    mem::Tally t{};
    tally_of(p, t);
    thrum_p_stats s{sizeof s,
                    i,
                    p->dispatches.load(relaxed),
                    p->steals.load(relaxed),
                    p->spawned.load(relaxed),
                    p->parks.load(relaxed),
                    p->handoffs.load(relaxed),
                    p->retakes.load(relaxed),
                    p->preemptions.load(relaxed),
                    p->refusals.load(relaxed),
                    p->preempt_delay.load(relaxed),
                    t.allocs.load(relaxed),
                    t.frees.load(relaxed),
                    t.cross_frees.load(relaxed),
                    t.alloc_bytes.load(relaxed),
                    t.free_bytes.load(relaxed)};
    fn(arg, &s);
  }
  return 0;
}

int64_t thrum_live(thrum_rt* rt) {
  Runtime* r = rt_or_own(this_m(), rt);
  return r ? static_cast<int64_t>(live_gs(r)) : int64_t{no_rt(rt)};
}

int64_t thrum_memory_report(thrum_rt* rt, char* text, size_t size) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || (!text && size)) {
    return r ? kEINVAL : no_rt(rt);
  }
  return static_cast<int64_t>(memory_report(r, text, size));
}

int64_t thrum_high_water(thrum_rt* rt, thrum_g g) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? high_water(r, g) : int64_t{no_rt(rt)};
}

int thrum_watchdog(thrum_rt* rt, int64_t limit_ns, TellStall fn, void* arg) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  if (r->stopping.load(acquire) == 2) {
    return kECLOSED;
  }
  i64 limit = limit_ns ? max(limit_ns, i64{0}) : 100'000'000;
  return watchdog(r, limit, fn ? show_stall : nullptr,
                  reinterpret_cast<void*>(fn), arg);
}

uint64_t thrum_trace_hash(thrum_rt* rt) {
  return rt && seeded(core(rt)) && !forked(core(rt)) ? core(rt)->trace : 0;
}

}  // extern "C"
