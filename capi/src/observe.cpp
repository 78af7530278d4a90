// SPDX-License-Identifier: MIT
#include "thrum/observe.h"

#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

extern "C" {

int thrum_p_each(thrum_rt* rt,
                 void (*fn)(void* arg, const thrum_p_stats* stats), void* arg) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !fn) {
    return kEINVAL;
  }
  u32 n = r->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    P* p = r->ps[i];
    thrum_p_stats s{sizeof s,
                    i,
                    p->dispatches.load(relaxed),
                    p->steals.load(relaxed),
                    p->spawned.load(relaxed),
                    p->parks.load(relaxed),
                    p->handoffs.load(relaxed),
                    p->retakes.load(relaxed)};
    fn(arg, &s);
  }
  return 0;
}

int64_t thrum_live(thrum_rt* rt) {
  Runtime* r = rt_or_own(this_m(), rt);
  return r ? static_cast<int64_t>(live_gs(r)) : int64_t{kEINVAL};
}

uint64_t thrum_trace_hash(thrum_rt* rt) {
  return rt && seeded(core(rt)) ? core(rt)->trace : 0;
}

}  // extern "C"
