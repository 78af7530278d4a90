// SPDX-License-Identifier: MIT
#include "thrum/observe.h"

#include "observe/heatmap.hpp"
#include "observe/memory.hpp"
#include "observe/metrics.hpp"
#include "observe/onlooker.hpp"
#include "observe/profile.hpp"
#include "observe/schedtrace.hpp"
#include "observe/server.hpp"
#include "observe/timeline.hpp"
#include "chan/chan.hpp"
#include "observe/memory.hpp"
#include "observe/stuck.hpp"
#include "observe/wait_graph.hpp"
#include "observe/watchdog.hpp"
#include "sched/recorder.hpp"
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

void quantiles(const Sums& s, uint64_t& p50, uint64_t& p90, uint64_t& p99) {
  p50 = s.quantile(0.5);
  p90 = s.quantile(0.9);
  p99 = s.quantile(0.99);
}

bool is_profile(u32 profile) {
  return profile == THRUM_PROFILE_MUTEX || profile == THRUM_PROFILE_BLOCK ||
         profile == THRUM_PROFILE_CPU;
}
Kind kind(u32 profile) {
  return profile == THRUM_PROFILE_MUTEX   ? Kind::mutex
         : profile == THRUM_PROFILE_BLOCK ? Kind::block
                                          : Kind::cpu;
}
u32 rate_most(u32 profile) {
  return profile == THRUM_PROFILE_CPU ? 1000 : 1'000'000;
}

struct Report {
  u32 report, format;
  int (*write)(Runtime* rt, Text& out);
};
constexpr Report kReports[] = {
    {THRUM_REPORT_METRICS, THRUM_FORMAT_JSON, metrics_json},
    {THRUM_REPORT_METRICS, THRUM_FORMAT_PROMETHEUS, metrics_prometheus},
    {THRUM_REPORT_HEATMAP, THRUM_FORMAT_JSON, heatmap_json},
    {THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV, heatmap_csv},
    {THRUM_REPORT_HEATMAP, THRUM_FORMAT_TEXT, heatmap_ansi},
    {THRUM_REPORT_WAITS, THRUM_FORMAT_JSON, blame_json},
    {THRUM_REPORT_WAITS, THRUM_FORMAT_TEXT, blame_text},
};

using TellStuck = void (*)(void* arg, const thrum_stuck* stuck);
struct StuckTeller {
  TellStuck fn;
  void* arg;
};

void show_stuck(void* arg, const StuckView& v) {
  auto* teller = static_cast<StuckTeller*>(arg);
  thrum_stuck s{};
  s.struct_size = sizeof s;
  s.kind = static_cast<u32>(v.kind);
  s.g = v.g.handle;
  s.name = v.g.name;
  s.reason = v.g.reason;
  s.object = v.object;
  s.on = v.on;
  s.frames = v.frames;
  s.pcs = v.pcs;
  teller->fn(teller->arg, &s);
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
                    p->parks(),
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

int thrum_stats_get(thrum_rt* rt, thrum_stats* out) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !out || out->struct_size < 8) {
    return r ? kEINVAL : no_rt(rt);
  }
  Numbers n;
  numbers_of(r, n);
  thrum_stats s{};
  s.struct_size = min(out->struct_size, u32{sizeof s});
  s.procs = n.procs;
  s.procs_idle = n.procs_idle;
  s.threads = n.threads;
  s.threads_idle = n.threads_idle;
  s.threads_spinning = n.threads_spinning;
  s.gs = n.gs;
  s.queued_global = n.queued_global;
  s.dispatches = n.dispatches;
  s.parks = n.parks;
  s.yields = n.yields;
  s.exits = n.exits;
  s.spawns = n.spawns;
  s.steals = n.steals;
  s.handoffs = n.handoffs;
  s.retakes = n.retakes;
  s.preemptions = n.preemptions;
  quantiles(n.ready_all(), s.ready_p50_ns, s.ready_p90_ns, s.ready_p99_ns);
  quantiles(n.mutex, s.mutex_p50_ns, s.mutex_p90_ns, s.mutex_p99_ns);
  quantiles(n.timer, s.timer_p50_ns, s.timer_p90_ns, s.timer_p99_ns);
  quantiles(n.net[kNetKernel], s.net_kernel_p50_ns, s.net_kernel_p90_ns,
            s.net_kernel_p99_ns);
  quantiles(n.net[kNetPoll], s.net_poll_p50_ns, s.net_poll_p90_ns,
            s.net_poll_p99_ns);
  quantiles(n.net[kNetQueue], s.net_queue_p50_ns, s.net_queue_p90_ns,
            s.net_queue_p99_ns);
  quantiles(n.net[kNetDispatch], s.net_dispatch_p50_ns, s.net_dispatch_p90_ns,
            s.net_dispatch_p99_ns);
  memcpy(static_cast<void*>(out), &s, s.struct_size);
  return 0;
}

int64_t thrum_report(thrum_rt* rt, uint32_t report, uint32_t format, char* text,
                     size_t size) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || (!text && size)) {
    return r ? kEINVAL : no_rt(rt);
  }
  for (const Report& known : kReports) {
    if (known.report == report && known.format == format) {
      Text out(text, size);
      int err = known.write(r, out);
      return err ? err : static_cast<int64_t>(out.length());
    }
  }
  return kEINVAL;
}

int thrum_schedtrace(thrum_rt* rt, int64_t every_ns) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || every_ns < 0 || (every_ns && every_ns < 1'000'000)) {
    return r ? kEINVAL : no_rt(rt);
  }
  return schedtrace_every(r, every_ns);
}

int thrum_debug_socket(thrum_rt* rt, const char* path) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? serve(r, path) : no_rt(rt);
}

int thrum_trace_start(thrum_rt* rt, uint64_t events) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return r->stopping.load(acquire) == 2 ? kECLOSED
                                        : recorder_start(r, events, kByHost);
}

int thrum_trace_stop(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  recorder_stop(r, kByHost);
  return 0;
}

int64_t thrum_trace_write(thrum_rt* rt, int64_t last_ns, thrum_write_fn write,
                          void* arg) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !write || last_ns < 0) {
    return r ? kEINVAL : no_rt(rt);
  }
  Text out(write, arg);
  return timeline(r, last_ns, out);
}

int thrum_waits_start(thrum_rt* rt, int64_t column_ns) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || (column_ns && (column_ns < 1000 || column_ns > 1'000'000'000))) {
    return r ? kEINVAL : no_rt(rt);
  }
  return r->stopping.load(acquire) == 2
             ? kECLOSED
             : waits_start(r, column_ns ? column_ns : 10'000'000, kByHost);
}

int thrum_waits_get(thrum_rt* rt, thrum_g g, thrum_waits* out) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !out || out->struct_size < 8) {
    return r ? kEINVAL : no_rt(rt);
  }
  u64 ns[kCauses] = {};
  int err = waits_of_g(r, g, ns);
  if (err && (err != kESTALE || !g_lives(r, g))) {
    return err;  // else nothing has happened to it yet
  }
  thrum_waits w{min(out->struct_size, u32{sizeof w}),
                0,
                ns[0],
                ns[1],
                ns[2],
                ns[3],
                ns[4]};
  memcpy(static_cast<void*>(out), &w, w.struct_size);
  return 0;
}

int thrum_profile_rate(thrum_rt* rt, uint32_t profile, uint32_t rate) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || !is_profile(profile) || rate > rate_most(profile)) {
    return r ? kEINVAL : no_rt(rt);
  }
  return r->stopping.load(acquire) == 2 ? kECLOSED
                                        : profile_rate(r, kind(profile), rate);
}

int64_t thrum_profile_write(thrum_rt* rt, uint32_t profile, uint32_t format,
                            thrum_write_fn write, void* arg) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r || !write || !is_profile(profile)) {
    return r ? kEINVAL : no_rt(rt);
  }
  Text out(write, arg);
  return format == THRUM_FORMAT_PPROF    ? profile_pprof(r, kind(profile), out)
         : format == THRUM_FORMAT_FOLDED ? profile_folded(r, kind(profile), out)
                                         : kEINVAL;
}

int thrum_trace_on_stall(thrum_rt* rt, const char* path, int64_t last_ns) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || last_ns < 0) {
    return r ? kEINVAL : no_rt(rt);
  }
  return on_stall(r, path, last_ns);
}

int64_t thrum_stuck_each(thrum_rt* rt, TellStuck fn, void* arg) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  StuckTeller teller{fn, arg};
  return r ? stuck_each(r, fn ? show_stuck : nullptr, &teller)
           : int64_t{no_rt(rt)};
}

int64_t thrum_stuck_report(thrum_rt* rt) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? stuck_each(r, stuck_tell, nullptr) : int64_t{no_rt(rt)};
}

int thrum_chan_counted(thrum_chan* ch) {
  if (!ch) {
    return kEINVAL;
  }
  reinterpret_cast<Chan*>(ch)->counted.store(true, relaxed);
  return 0;
}

int thrum_waker_add(thrum_rt* rt, const void* object, thrum_g g) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || !object || handle_tag(g) != r->tag) {
    return r ? kEINVAL : no_rt(rt);
  }
  return waker_add(r, object, g);
}

int thrum_waker_remove(thrum_rt* rt, const void* object, thrum_g g) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r || !object || (g && handle_tag(g) != r->tag)) {
    return r ? kEINVAL : no_rt(rt);
  }
  waker_remove(r, object, g);
  return 0;
}

uint64_t thrum_trace_hash(thrum_rt* rt) {
  return rt && seeded(core(rt)) && !forked(core(rt)) ? core(rt)->trace : 0;
}

}  // extern "C"
