// SPDX-License-Identifier: MIT
#include "observe/os_report.hpp"

#include <string.h>

#include "mem/heap.hpp"
#include "observe/places.hpp"
#include "observe/text.hpp"
#include "os/cgroup.hpp"
#include "os/facts.hpp"
#include "os/os.hpp"
#include "place/governor.hpp"
#include "sched/runtime.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

constexpr const char* kBounds[] = {"affinity", "quota", "cap", "limit"};

void add_error(Text& t, int error) {
  t.add("\"error\": %s%d", error ? "-" : "", error);
}

void add_cpus(Text& t) {
  CpuSet mask{};
  (void)os::affinity_get(0, mask.words, kCpuWords);
  t.add("\"affinity\": {\"cpus\": %d, \"list\": ", os::cpus_allowed());
  add_list(t, mask);
  t.add("}");
}

void path_of(const os::CpuGroups& g, const os::GroupLevel& l, char* out,
             size_t size) {
  size_t n = min(size_t{l.length}, size - 1);
  memcpy(out, g.trees[l.tree].path, n);
  out[n] = 0;
}

void add_level(Text& t, os::CpuGroups& g, os::GroupLevel& l) {
  char path[os::kGroupPath];
  path_of(g, l, path, sizeof path);
  t.add("{\"path\": ");
  t.quoted(path);
  t.add(", \"version\": %d, ", l.tree == os::kV2 ? 2 : 1);
  if (u32 milli = l.milli) {
    os::Throttled n = os::level_throttled(g, l);
    t.add("\"cpus\": %u.%03u, \"quota_us\": %lld, \"period_us\": %lld, "
          "\"periods\": %llu, \"throttled\": %llu, \"throttled_ns\": %llu, ",
          milli / 1000, milli % 1000, static_cast<long long>(l.quota_us),
          static_cast<long long>(l.period_us), Count{n.periods},
          Count{n.throttled}, Count{n.ns});
  } else {
    t.add("\"cpus\": null, ");
  }
  add_error(t, l.error);
  t.add("}");
}

void add_groups(Text& t, os::CpuGroups& g) {
  t.add("\"quota\": {\"levels\": [");
  for (u32 i = 0; i < g.count; ++i) {
    t.add("%s", i ? ", " : "");
    add_level(t, g, g.levels[i]);
  }
  t.add("], ");
  add_error(t, g.error);
  t.add("}");
}

void add_facts(Text& t, const char* root) {
  os::CpuPressure p = os::cpu_pressure(root);
  t.add("\"pressure\": {\"some_avg10\": %u.%02u, \"some_total_us\": %llu, ",
        p.avg10_centi / 100, p.avg10_centi % 100, Count{p.total_us});
  add_error(t, p.error);
  os::Autogroup a = os::autogroup(root);
  t.add("}, \"autogroup\": {\"on\": %s, \"nice\": %lld, ",
        a.on ? "true" : "false", static_cast<long long>(a.nice));
  add_error(t, a.error);
  t.add("}");
}

// What the kernel, or a filter before it, refuses this process.
void add_calls(Text& t) {
  os::OptionalCall calls[os::kOptionalCalls];
  os::optional_calls(calls);
  t.add(", \"calls\": {");
  const char* comma = "";
  for (const os::OptionalCall& c : calls) {
    t.add("%s\"%s\": %s%d", comma, c.name, c.error ? "-" : "", c.error);
    comma = ", ";
  }
  t.add("}");
}

// What delays Gs under a quota: the kernel, or thrum's own pauses before it does.
void add_pace(Text& t, Runtime* rt, const Governed& now) {
  t.add(", \"pacing\": {\"on\": %s, \"share\": 0.%03u, \"pauses\": %llu, "
        "\"paused_ns\": %llu}, \"throttled\": {\"periods\": %llu, "
        "\"throttled\": %llu, \"ns\": %llu}",
        now.pace.quota_milli ? "true" : "false", now.pace.share,
        Count{rt->pauses.load(relaxed)}, Count{rt->paused_ns.load(relaxed)},
        Count{now.throttled.periods}, Count{now.throttled.throttled},
        Count{now.throttled.ns});
}

// What the kernel's scheduler was asked for, and what it gave.
void add_threads(Text& t, Runtime* rt) {
  Locked held(rt->lock);
  if (!rt->sched_set) {
    t.add(", \"threads\": null");
    return;
  }
  t.add(", \"threads\": {\"nice\": %d, \"slice_ns\": %llu, \"got_nice\": %d, "
        "\"got_slice_ns\": %llu, \"error\": %d}",
        rt->sched.nice, Count{rt->sched.slice_ns}, rt->sched_got.nice,
        Count{rt->sched_got.slice_ns}, rt->sched_error);
}

// How the number of Ps came about.
void add_procs(Text& t, Runtime* rt, const os::CpuGroups& g) {
  const os::GroupLevel* whose;
  u32 quota = os::groups_limit(g, &whose);
  Budget b = budget_of(static_cast<u32>(os::cpus_allowed()), quota, 0);
  Governed now{};
  bool told = false;
  if (rt) {
    Governor* governor = governor_of(rt->config.govern);
    now = governor ? governed(governor) : now;
    told = rt->procs_told.load(relaxed) || !now.follows;
    b = told ? b : now.budget;
  }
  char path[os::kGroupPath], why[os::kGroupPath + 256];
  if (whose) {
    path_of(g, *whose, path, sizeof path);
  }
  budget_reason(b, whose ? path : nullptr, why, sizeof why);
  t.add("\"procs\": {\"granted\": %u, \"bound\": \"%s\", \"reason\": ", b.procs,
        kBounds[static_cast<u8>(b.bound)]);
  t.quoted(why);
  if (rt) {
    t.add(", \"now\": %u, \"by\": \"%s\", \"changes\": %u",
          rt->procs.load(relaxed), told ? "program" : "system", now.changes);
  }
  t.add("}");
  if (rt) {
    add_pace(t, rt, now);
    add_threads(t, rt);
  }
}

}  // namespace

size_t os_report(Runtime* rt, const char* root, char* out, size_t size) {
  Text t(out, size);
  auto* g = mem::make<os::CpuGroups>();
  t.add("{");
  add_cpus(t);
  t.add(", ");
  if (g) {
    os::groups_open(*g, root);
    add_groups(t, *g);
    t.add(", ");
    add_procs(t, rt, *g);
    t.add(", ");
    os::groups_close(*g);
    mem::free(g);
  }
  add_topology(t, root);
  t.add(", ");
  if (rt) {
    add_places(t, rt);
    t.add(", ");
  }
  add_facts(t, root);
  add_calls(t);
  t.add("}");
  return t.length();
}

}  // namespace thrum
