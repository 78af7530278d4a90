// The composition root: the only file that knows all rooms.
// SPDX-License-Identifier: MIT
#include <stdlib.h>

#include "base/die.hpp"
#include "net/handoff.hpp"
#include "observe/each.hpp"
#include "observe/held_lock.hpp"
#include "observe/schedtrace.hpp"
#include "observe/server.hpp"
#include "os/os.hpp"
#include "place/governor.hpp"
#include "time/sleep.hpp"
#include "thrum/place.h"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

namespace {

constexpr u32 kKnownFlags =
    THRUM_RT_DETERMINISTIC | THRUM_RT_HOSTED | THRUM_RT_HIBERNATE;

constexpr u32 kPins = THRUM_PLACE_PIN_CPU | THRUM_PLACE_PIN_NODE;
constexpr u32 kKnownPlace =
    THRUM_PLACE_ONCE | THRUM_PLACE_UNPACED | THRUM_PLACE_FLAT | kPins;

// One of them at most.
bool known_place(u32 place) {
  u32 one = place & (kPins | THRUM_PLACE_FLAT);
  return !(place & ~kKnownPlace) && !(one & (one - 1));
}

constexpr i64 kMostUs = 3'600'000'000;  // an hour
constexpr i64 kMostMs = 3'600'000;

// A whole number in these bounds from the environment, else `otherwise`.
i64 env_number(const char* name, i64 least, i64 most, i64 otherwise) {
  if (const char* text = os::env(name)) {
    char* end;
    long long n = strtoll(text, &end, 10);
    if (end != text && *end == 0 && n >= least && n <= most) {
      return n;
    }
  }
  return otherwise;
}

// Of $THRUM_DEBUG, wishes with commas between: 1 for a bare `name`, the number
// behind `name=`, else 0.
i64 debug_wish(const char* name) {
  size_t n = strlen(name);
  for (const char* at = os::env("THRUM_DEBUG"); at && *at;) {
    size_t length = strcspn(at, ",");
    if (length >= n && memcmp(at, name, n) == 0) {
      if (length == n) {
        return 1;
      }
      char* end;
      long long value = at[n] == '=' ? strtoll(at + n + 1, &end, 10) : 0;
      if (value > 0 && end == at + length) {
        return value;
      }
    }
    at += length + (at[length] == ',');
  }
  return 0;
}

// What the environment asks for, of a runtime that may have threads for it.
void grant_wishes(Runtime* rt) {
  if (i64 ms = debug_wish("schedtrace"); ms && ms <= kMostMs) {
    (void)schedtrace_every(rt, ms * 1'000'000);
  }
  const char* path = os::env("THRUM_DEBUG_SOCKET");
  int err = path && owns_threads(rt) ? serve(rt, path) : 0;
  if (err) {
    say("THRUM_DEBUG_SOCKET=%s: %s", path, thrum_strerror(err));
  }
}

// The number of Ps, and who keeps an eye on it afterwards.
int to_place(Config& out, const thrum_config& in) {
  i64 told = in.procs ? in.procs : env_number("THRUM_PROCS", 1, kMaxProcs, 0);
  if (out.deterministic) {
    told = 1;
  }
  bool follows = !told && !(in.place & THRUM_PLACE_ONCE);
  bool paces = !(in.place & THRUM_PLACE_UNPACED);
  out.procs = told ? static_cast<u32>(told) : 0;
  if (out.hosted || out.deterministic) {  // no sysmon, nobody to look later
    out.procs = told ? out.procs : budget_now(in.max_procs).procs;
    return 0;
  }
  GovernOpts opts;
  opts.source = out.source;
  opts.follows = follows;
  opts.paces = paces;
  opts.flat = in.place & THRUM_PLACE_FLAT;
  opts.pins = in.place & THRUM_PLACE_PIN_CPU    ? Pins::cpu
              : in.place & THRUM_PLACE_PIN_NODE ? Pins::node
                                                : Pins::none;
  opts.cap = in.max_procs;
  Governor* g = governor_make(opts);
  if (!g) {
    return kENOMEM;
  }
  out.govern = &g->seam;
  if (!told) {
    out.procs = follows ? g->budget.procs : budget_now(in.max_procs).procs;
  }
  return 0;
}

// Functions come in pairs: memory goes back to where it came from.
int to_source(mem::Source& out, const thrum_allocator* in) {
  thrum_allocator a{};
  if (in) {
    if (int err = read_struct(a, in)) {
      return err;
    }
  }
  if (a.reserved || !a.alloc != !a.free || !a.reserve != !a.release) {
    return kEINVAL;
  }
  out = mem::Source{a.arg, a.alloc, a.free, a.reserve, a.release};
  return 0;
}

int to_config(Config& out, const thrum_config& in) {
  if ((in.flags & ~kKnownFlags) || in.procs > kMaxProcs || in.slice_ns < 0 ||
      in.sysmon_ns < 0 || in.idle_ns < 0 || !known_place(in.place)) {
    return kEINVAL;
  }
  out = Config{};
  if (int err = to_source(out.source, in.allocator)) {
    return err;
  }
  out.deterministic = in.flags & THRUM_RT_DETERMINISTIC;
  out.hosted = in.flags & THRUM_RT_HOSTED;
  out.max_threads = in.max_threads ? in.max_threads : 10000;
  out.stack_class =
      mem::stack_class(in.stack_size ? in.stack_size : size_t{256} << 10);
  out.slice_ns = in.slice_ns
                     ? in.slice_ns
                     : env_number("THRUM_SLICE_US", 1, kMostUs, 10'000) * 1000;
  out.sysmon_ns = in.sysmon_ns
                      ? in.sysmon_ns
                      : env_number("THRUM_SYSMON_US", 1, kMostUs, 0) * 1000;
  out.seed = in.seed;
  out.idle_ns = in.idle_ns;
  out.hibernate = in.flags & THRUM_RT_HIBERNATE;
  out.report = report_gs;
  if (debug_wish("1") == 1) {
    out.parks = check_held_locks;
  }
  return out.stack_class < mem::kStackClasses ? to_place(out, in) : kEINVAL;
}

bool stopped(Runtime* rt) { return rt->stopping.load(acquire) == 2; }

}  // namespace

extern "C" {

void thrum_config_init(thrum_config* config, uint32_t struct_size) {
  if (config && struct_size >= sizeof struct_size) {
    memset(config, 0, struct_size);
    config->struct_size = struct_size;
  }
}

int thrum_rt_new(thrum_rt** out, const thrum_config* config) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  thrum_config given{};
  if (config) {
    if (int err = read_struct(given, config)) {
      return err;
    }
  }
  Config c;
  if (int err = to_config(c, given)) {
    return err;
  }
  Runtime* rt;
  int err = rt_new(&rt, c);
  if (!err) {
    grant_wishes(rt);
    *out = face(rt);
  }
  return err;
}

int thrum_rt_stop(thrum_rt* rt, int64_t deadline_ns) {
  Runtime* r;
  {
    EnterParking e;
    r = rt_or_own(e.m, rt);
    if (!r || !g_of(e.m) || e.m->rt == r) {
      return r ? rt_stop(e.m, r, deadline_ns) : no_rt(rt);
    }
  }
  // From a G of another runtime: it blocks its thread, and nobody else.
  (void)handoff_begin();
  int err = rt_stop(nullptr, r, deadline_ns);
  if (!forked(r)) {
    handoff_end();
  }
  return err;
}

void thrum_rt_retain(thrum_rt* rt) {
  if (rt && !forked(core(rt))) {
    rt_retain(core(rt));
  }
}

void thrum_rt_free(thrum_rt* rt) {
  if (rt && !forked(core(rt))) {
    rt_release(core(rt));
  }
}

thrum_rt* thrum_rt_current(void) {
  M* m = this_m();
  return g_of(m) ? face(m->rt) : nullptr;
}

int thrum_run(thrum_rt* rt, thrum_fn fn, void* arg) {
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return fn ? run(e.m, r, fn, arg) : kEINVAL;
}

int thrum_pump(thrum_rt* rt, int64_t deadline_ns) {
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? pump(e.m, r, deadline_ns) : no_rt(rt);
}

int64_t thrum_next_wake(thrum_rt* rt) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r) {
    return no_rt(rt);
  }
  return stopped(r) ? int64_t{kECLOSED} : next_wake(r);
}

int thrum_wake_fd(thrum_rt* rt) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r) {
    return no_rt(rt);
  }
  return stopped(r) ? kECLOSED : wake_fd(r);
}

int thrum_procs(thrum_rt* rt) {
  Runtime* r = rt_or_own(this_m(), rt);
  if (!r) {
    return no_rt(rt);
  }
  return stopped(r) ? kECLOSED : static_cast<int>(r->procs.load(relaxed));
}

int thrum_set_procs(thrum_rt* rt, uint32_t n) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  if (n == 0 || n > kMaxProcs) {
    return kEINVAL;
  }
  if (stopped(r)) {
    return kECLOSED;
  }
  if (seeded(r) && n != 1) {
    return kEINVAL;
  }
  r->procs_told.store(true, relaxed);
  return set_procs(e.m, r, n);
}

int thrum_available_procs(void) {
  return static_cast<int>(budget_now(0).procs);
}

int64_t thrum_now(void) {
  M* m = this_m();
  return now_of(g_of(m) ? m : nullptr);
}

int64_t thrum_after(int64_t ns) {
  M* m = this_m();
  return later(now_of(g_of(m) ? m : nullptr), ns);
}

}  // extern "C"
