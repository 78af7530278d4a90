// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"
#include "place/governor.hpp"
#include "sched/tls.hpp"
#include "time/sleep.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

namespace {

int to_opts(M* m, Runtime* rt, SpawnOpts& out, const thrum_spawn_opts* opts) {
  thrum_spawn_opts in;
  if (int err = read_struct(in, opts)) {
    return err;
  }
  Domain* domain = reinterpret_cast<Domain*>(in.domain);
  if (in.affinity > THRUM_PIN_M || in.priority > THRUM_PRIO_LOW ||
      (in.flags & ~THRUM_G_HIBERNATE) || (domain && domain_rt(domain) != rt)) {
    return kEINVAL;
  }
  if (in.affinity == THRUM_PIN_M && !(g_of(m) && m->rt == rt)) {
    return kENOTG;
  }
  if (in.stack_size) {
    out.stack_class = mem::stack_class(in.stack_size);
    if (out.stack_class == mem::kStackClasses) {
      return kEINVAL;
    }
  }
  out.name = in.name;
  out.drop = in.drop;
  out.domain = domain;
  out.affinity = static_cast<u8>(in.affinity);
  out.priority = static_cast<u8>(in.priority);
  out.flags = in.flags & THRUM_G_HIBERNATE ? kHibernate : u8{0};
  return 0;
}

}  // namespace

extern "C" {

int thrum_spawn(thrum_rt* rt, const thrum_spawn_opts* opts, thrum_fn fn,
                void* arg, thrum_g* out) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (THRUM_UNLIKELY(!r || !fn)) {
    return r ? kEINVAL : no_rt(rt);
  }
  if (THRUM_LIKELY(!opts)) {
    return spawn(e.m, r, nullptr, fn, arg, out);
  }
  SpawnOpts o;
  int err = to_opts(e.m, r, o, opts);
  return err ? err : spawn(e.m, r, &o, fn, arg, out);
}

int thrum_join(thrum_rt* rt, thrum_g g, int64_t deadline_ns) {
  EnterParking e(deadline_ns);
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return join(e.m, r, g, deadline_ns);
}

int thrum_cancel(thrum_rt* rt, thrum_g g) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? cancel(e.m, r, g) : no_rt(rt);
}

int thrum_cancelled(void) {
  M* m = this_m();
  G* g = g_of(m);
  if (!g) {
    return no_g();
  }
  return g->word.load(relaxed) & (kCancel | kCancelled) ? 1
         : m->rt->stopping.load(relaxed)                ? 1
                                                        : 0;
}

int thrum_cancel_clear(void) {
  M* m = this_m();
  G* g = g_of(m);
  if (!g) {
    return no_g();
  }
  constexpr u64 both = kCancel | kCancelled;
  if (m->rt->stopping.load(relaxed)) {
    return 1;  // the one of a stopping runtime stays
  }
  return g->word.fetch_and(~both, relaxed) & both ? 1 : 0;
}

int thrum_shield(int32_t delta) {
  G* g = g_of(this_m());
  if (!g) {
    return no_g();
  }
  Body* b = g->body;
  if ((delta != 1 && delta != -1) || b->shield + delta < 0) {
    return kEINVAL;
  }
  b->shield += delta;
  return 0;
}

int64_t thrum_limit(int64_t deadline_ns) {
  G* g = g_of(this_m());
  if (!g) {
    return no_g();
  }
  int64_t former = g->body->limit;
  g->body->limit = max(deadline_ns, int64_t{0});
  return former;
}

thrum_g thrum_self(void) { return self(this_m()); }

int thrum_yield(void) {
  EnterParking e;
  return g_of(e.m) ? yield(e.m) : no_g();
}

int thrum_sleep(int64_t ns) {
  EnterParking e;
  return sleep_for(e.m, ns);
}

THRUM_NOINLINE int thrum_check(void) { return check_here(); }

int thrum_enter_blocking(void) {
  Enter e;
  return g_of(e.m) ? enter_blocking(e.m, THRUM_SITE()) : no_g();
}

int thrum_exit_blocking(void) {
  Enter e;
  if (!g_of(e.m)) {
    return no_g();
  }
  return exit_blocking(e.m);
}

int thrum_lock_thread(void) {
  Enter e;
  return g_of(e.m) ? lock_thread(e.m) : no_g();
}

int thrum_unlock_thread(void) {
  Enter e;
  return g_of(e.m) ? unlock_thread(e.m) : no_g();
}

int thrum_pin_cpu(const uint64_t* mask, uint32_t words) {
  Enter e;
  return g_of(e.m) ? pin_cpu(e.m, mask, words) : no_g();
}

int thrum_pin_threads(thrum_rt* rt, const uint64_t* mask, uint32_t words) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  if (r->stopping.load(acquire) == 2) {
    return kECLOSED;
  }
  int err = pin_threads(r, mask, words);
  if (!err && r->config.govern) {
    governor_told(governor_of(r->config.govern), r);
  }
  return err;
}

int thrum_cpus(uint64_t* mask, uint32_t words) {
  u64 cpus[kCpuWords];
  if (!mask && words) {
    return kEINVAL;
  }
  if (int err = os::affinity_get(0, cpus, kCpuWords)) {
    return err;
  }
  int n = 0;
  for (u32 i = 0; i < max(words, kCpuWords); ++i) {
    u64 w = i < kCpuWords ? cpus[i] : 0;
    n += __builtin_popcountll(w);
    if (i < words) {
      mask[i] = w;
    }
  }
  return n;
}

}  // extern "C"
