// SPDX-License-Identifier: MIT
#include "place/governor.hpp"

#include "os/os.hpp"
#include "sched/api.hpp"
#include "sched/pace.hpp"

namespace thrum {

namespace {

constexpr i64 kEvery = 1'000'000'000;
// A runtime that lives shorter opens no file for this.
constexpr i64 kFirst = 10'000'000;
// Where the program says how many Ps, and nothing limits: no files are kept open.
constexpr i64 kSeldom = 10'000'000'000;

// The CPUs that the maker of the runtime had, until sysmon's own mask changes
// (a cpuset, taskset -a): the host may have pinned the thread that started it.
u32 cpus_now(Governor* g) {
  u32 mask = static_cast<u32>(os::cpus_allowed());
  u32 before = g->mask_cpus;
  g->mask_cpus = mask;
  return before == 0 || before == mask ? g->budget.cpus : mask;
}

// With the lock held: what the kernel has throttled, and whether to pace.
void follow_quota(Governor* g, Runtime* rt, const os::GroupLevel* whose,
                  i64 now) {
  os::Throttled t = os::groups_throttled(g->groups);
  pace_adapt(g->pace, t.throttled > g->last.throttled);
  g->last = t;
  u32 quota = g->opts.paces ? g->budget.quota_milli : 0;
  pace_set(g->pace, quota, whose ? whose->period_us * 1000 : 0,
           rt->procs.load(relaxed), now, os::cpu_ns());
}

void follow(Governor* g, Runtime* rt, i64 now) {
  u32 cpus = cpus_now(g);
  Budget b;
  {
    Locked held(g->lock);
    os::groups_reread(g->groups);
    const os::GroupLevel* whose;
    b = budget_of(cpus, os::groups_limit(g->groups, &whose), g->opts.cap);
    bool same = b.procs == g->budget.procs;
    g->budget = b;
    follow_quota(g, rt, whose, now);
    if (same || !g->opts.follows || rt->procs_told.load(relaxed)) {
      return;
    }
    ++g->changes;
  }
  (void)set_procs(nullptr, rt, b.procs);  // no memory: again when it changes
}

void open(Governor* g) {
  Locked held(g->lock);
  os::groups_open(g->groups, g->opts.root);
  const os::GroupLevel* whose;
  g->budget = budget_of(static_cast<u32>(os::cpus_allowed()),
                        os::groups_limit(g->groups, &whose), g->opts.cap);
  g->first = g->last = os::groups_throttled(g->groups);
  g->opened = true;
}

void close(Governor* g) {
  if (g->opened) {
    Locked held(g->lock);
    os::groups_close(g->groups);
    g->opened = false;
  }
}

// Returns when to look again.
i64 keep_pace(Governor* g, Runtime* rt, i64 now) {
  if (!g->pace.quota_milli) {
    return kForever;
  }
  if (now < g->pace_at) {
    return g->pace_at;
  }
  Pause pause;
  u32 busy = clocks_refresh(rt);
  {
    Locked held(g->lock);
    pause = pace_step(g->pace, now, os::cpu_ns(), busy);
  }
  if (pause.until) {
    pace_pause(rt, pause.until, pause.all);
  }
  g->pace_at = pause.next;
  return pause.next;
}

i64 look(Govern* seam, Runtime* rt, i64 now) {
  Governor* g = governor_of(seam);
  if (!g->at) {
    g->at = now + kFirst;
  }
  if (now >= g->at) {
    if (!g->opened) {
      open(g);
    }
    follow(g, rt, now);
    g->at = now + kEvery;
    if (!g->opts.follows && !g->budget.quota_milli) {
      close(g);
      g->at = now + kSeldom;
    }
  }
  return min(g->at, keep_pace(g, rt, now));
}

void free_governor(Govern* seam) {
  Governor* g = governor_of(seam);
  close(g);
  g->opts.source.give(g, sizeof *g);
}

}  // namespace

Governor* governor_make(const GovernOpts& opts) {
  auto* g = opts.source.make<Governor>();
  if (g) {
    g->seam = Govern{look, free_governor};
    g->opts = opts;
    if (opts.follows) {
      open(g);
    }
  }
  return g;
}

Governor* governor_of(Govern* g) { return reinterpret_cast<Governor*>(g); }

Governed governed(Governor* g) {
  Locked held(g->lock);
  return Governed{g->opts.follows,
                  g->changes,
                  g->budget,
                  g->pace,
                  {g->last.periods - g->first.periods,
                   g->last.throttled - g->first.throttled,
                   g->last.ns - g->first.ns}};
}

}  // namespace thrum
