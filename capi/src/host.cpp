// SPDX-License-Identifier: MIT
#include "thrum/host.h"

#include "observe/each.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

namespace {

Domain* core(thrum_domain* d) { return reinterpret_cast<Domain*>(d); }

// The domains of a runtime of the parent's.
bool left_behind(thrum_domain* d) { return forked(domain_rt(core(d))); }
int no_domain(thrum_domain* d) {
  return !d ? kEINVAL : left_behind(d) ? kEFORKED : 0;
}

struct Each {
  void (*fn)(void*, const thrum_g_info*);
  void* arg;
};

void show(void* arg, const GView& v) {
  const Each& each = *static_cast<const Each*>(arg);
  thrum_g_info info{};
  info.struct_size = sizeof info;
  info.state = static_cast<u32>(v.state);
  info.g = v.handle;
  info.domain = reinterpret_cast<thrum_domain*>(v.domain);
  info.name = v.name;
  info.reason = v.reason;
  info.since_ns = v.since;
  info.arg = v.arg;
  info.stack_lo = v.stack_lo;
  info.stack_hi = v.stack_hi;
  info.sp = v.sp;
  each.fn(each.arg, &info);
}

}  // namespace

extern "C" {

int thrum_domain_new(thrum_rt* rt, const thrum_domain_ops* ops, void* arg,
                     thrum_domain** out) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || !ops || !out) {
    return r ? kEINVAL : no_rt(rt);
  }
  *out = nullptr;
  thrum_domain_ops in;
  if (int err = read_struct(in, ops)) {
    return err;
  }
  if (in.flags & ~(THRUM_DOMAIN_HOST_LOCK | THRUM_DOMAIN_PUMPED) ||
      in.handover_ns < 0) {
    return kEINVAL;
  }
  DomainOps o{in.flags,   in.handover_ns, in.acquire,
              in.release, in.switch_to,   in.preempt};
  return domain_new(r, o, arg, reinterpret_cast<Domain**>(out));
}

void thrum_domain_retain(thrum_domain* d) {
  if (d && !left_behind(d)) {
    domain_retain(core(d));
  }
}

void thrum_domain_release(thrum_domain* d) {
  if (d && !left_behind(d)) {
    domain_release(core(d));
  }
}

int thrum_domain_leave(void) {
  EnterParking e;
  return g_of(e.m) ? domain_leave(e.m) : no_g();
}

int thrum_domain_enter(void) {
  EnterParking e;
  return g_of(e.m) ? domain_enter(e.m) : no_g();
}

int thrum_domain_pump(thrum_domain* d, int64_t deadline_ns) {
  if (int err = no_domain(d)) {
    return err;
  }
  EnterParking e;
  return domain_pump(e.m, core(d), deadline_ns);
}

int thrum_domain_wake_fd(thrum_domain* d) {
  int err = no_domain(d);
  return err ? err : domain_wake_fd(core(d));
}

int thrum_domain_close(thrum_domain* d) {
  if (int err = no_domain(d)) {
    return err;
  }
  Enter e;
  return domain_close(e.m, core(d));
}

int thrum_park(const char* reason, int64_t deadline_ns) {
  EnterParking e(deadline_ns);
  return g_of(e.m) ? park(e.m, reason, deadline_ns) : no_g();
}

int thrum_unpark(thrum_rt* rt, thrum_g g) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? unpark(e.m, r, g) : no_rt(rt);
}

int thrum_local_new(void (*drop)(void* value), uint32_t* out) {
  return out ? local_new(drop, out) : kEINVAL;
}

int thrum_local_set(uint32_t key, void* value) {
  Enter e;
  return g_of(e.m) ? local_set(e.m, key, value) : no_g();
}

void* thrum_local_get(uint32_t key) { return local_get(this_m(), key); }

int thrum_g_each(thrum_rt* rt, void (*fn)(void* arg, const thrum_g_info* info),
                 void* arg) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || !fn) {
    return r ? kEINVAL : no_rt(rt);
  }
  if (r->stopping.load(acquire) == 2) {
    return kECLOSED;
  }
  Each each{fn, arg};
  each_g(r, show, &each);
  return forked(r) ? kEFORKED : 0;
}

int thrum_stack(void** lo, void** hi) {
  G* g = g_of(this_m());
  if (!g) {
    return no_g();
  }
  if (lo) {
    *lo = g->body->stack.lo();
  }
  if (hi) {
    *hi = g->body->stack.hi;
  }
  return 0;
}

int thrum_trim(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || r->stopping.load(acquire) == 2) {
    return r ? kECLOSED : no_rt(rt);
  }
  trim(e.m, r);
  return 0;
}

int thrum_world_stop(thrum_rt* rt, int64_t deadline_ns) {
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return r->stopping.load(acquire) == 2 ? kECLOSED
                                        : world_stop(e.m, r, deadline_ns);
}

int thrum_world_start(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return r->stopping.load(acquire) == 2 ? kECLOSED : world_start(e.m, r);
}

int thrum_on_thread(thrum_rt* rt, void (*start)(void* arg),
                    void (*stop)(void* arg), void* arg) {
  Runtime* r = rt_or_own(this_m(), rt);
  return r ? rt_on_thread(r, start, stop, arg) : no_rt(rt);
}

int thrum_preempt_enable(thrum_rt* rt, int signo) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? preempt_enable(r, signo) : no_rt(rt);
}

int thrum_preempt_disable(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? preempt_disable(r) : no_rt(rt);
}

int thrum_overflow_enable(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? overflow_enable(r) : no_rt(rt);
}

int thrum_overflow_disable(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? overflow_disable(r) : no_rt(rt);
}

int thrum_preempt_region(const void* lo, const void* hi, uint32_t flags) {
  Enter e;
  return preempt_region(reinterpret_cast<u64>(lo), reinterpret_cast<u64>(hi),
                        flags);
}

int thrum_preempt_forget(const void* lo, const void* hi) {
  Enter e;
  return preempt_forget(reinterpret_cast<u64>(lo), reinterpret_cast<u64>(hi));
}

int thrum_preempt_hold(int32_t delta) {
  G* g = g_of(this_m());
  if (!g) {
    return no_g();
  }
  Body* b = g->body;
  if ((delta != 1 && delta != -1) || b->rare()->hold + delta < 0) {
    return kEINVAL;
  }
  compiler_fence();  // what is held stands between the two calls
  b->rare()->hold += delta;
  compiler_fence();
  return 0;
}

}  // extern "C"
