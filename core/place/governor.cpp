// SPDX-License-Identifier: MIT
#include "place/governor.hpp"

#include <string.h>

#include "mem/heap.hpp"
#include "os/os.hpp"
#include "sched/api.hpp"
#include "sched/pace.hpp"

namespace thrum {

namespace {

constexpr i64 kEvery = 1'000'000'000;
// A runtime that lives shorter opens no file for this.
constexpr i64 kFirst = 10'000'000;
// To open the files takes a tenth of a millisecond, to look at the machine's shape
// half of one: both are put off for so long while Gs wait for sysmon.
constexpr i64 kPatience = 100'000'000;
// Looks without throttling, after which fewer ask for it.
constexpr u32 kSmooth = 8;
// Where the program says how many Ps, and nothing limits: no files are kept open.
constexpr i64 kSeldom = 10'000'000'000;

// Sysmon's own mask. True: it is another than at the last look (a cpuset, taskset
// -a). Compared, and counted only then: to count takes longer than to ask for it.
bool mask_moved(Governor* g) {
  CpuSet own;
  u32 before = g->mask_cpus;
  int rc = os::affinity_get(0, own.words, kCpuWords);
  if (rc == -EINVAL) {  // a machine too large for a set
    g->mask_cpus = static_cast<u32>(os::cpus_allowed());
    return before && g->mask_cpus != before;
  }
  if (rc != 0) {  // a filter that came later refuses it
    return false;
  }
  if (before && own == g->own) {
    return false;
  }
  g->own = own;
  g->mask_cpus = own.count();
  return before != 0;
}

// The set that Ms may have: as thrum_pin_threads says, as far as there are such.
CpuSet allowed(Governor* g, Runtime* rt) {
  if (rt) {
    Locked held(rt->lock);
    CpuSet told{};
    for (u32 i = 0; i < kCpuWords; ++i) {
      told.words[i] = rt->cpus_set ? rt->cpus[i] : 0;
    }
    told = told & g->mask;
    if (told.count()) {
      return told;
    }
  }
  return g->mask;
}

// The same shape as one before, if there is one: whoever looks at that may do so
// to the end.
const Near* keep_shape(Governor* g, const Near& near) {
  for (Shape* s = g->shapes; s; s = s->older) {
    if (memcmp(&s->near, &near, sizeof near) == 0) {
      return &s->near;
    }
    // Numbers of nodes are in use: others would mean other memory.
    if (memcmp(s->near.id, near.id, sizeof near.id) != 0) {
      return nullptr;
    }
  }
  auto* s = mem::make<Shape>();  // under a lock: not the host's
  if (!s) {
    return nullptr;
  }
  *s = Shape{g->shapes, near};
  g->shapes = s;
  return &s->near;
}

// With the lock held: what is in force from now on. rt null: it is being made.
void apply_shape(Governor* g, Runtime* rt, const os::Topology& t,
                 const Near& near) {
  CpuSet cpus = allowed(g, rt);
  const Near* shape = keep_shape(g, near);
  if (!shape || !cpus.count()) {
    return;  // as before
  }
  g->near = shape;
  cpu_order(t, cpus, g->order);
  bool pins = g->opts.pins != Pins::none;
  const Near* use = pins || near_matters(*shape, cpus) ? shape : nullptr;
  if (rt) {
    near_set(rt, use);
    if (pins) {
      rt->plan.fetch_add(1, release);  // pairs with plan_for: near, order
    }
    near_again(rt);
  } else {
    g->seam.near = use;
    g->seam.plan = pins ? 1 : 0;
  }
}

// Reads the machine's shape. Without the lock, for it may take a millisecond.
void look_around(Governor* g, Runtime* rt) {
  struct Room {
    os::Topology topology;
    Near near;
  };
  auto* room = g->opts.source.make<Room>();
  if (!room) {
    return;
  }
  os::topology_read(room->topology, g->opts.root);
  near_make(room->topology, g->ours, room->near);
  {
    Locked held(g->lock);
    apply_shape(g, rt, room->topology, room->near);
  }
  g->opts.source.give(room, sizeof *room);
}

// Once a second. Returns when it wants to look again, for want of calm.
i64 follow_shape(Governor* g, Runtime* rt, bool moved, i64 now, bool calm) {
  if (g->opts.flat) {
    return kForever;
  }
  if (moved) {
    Locked held(g->lock);
    g->mask = g->own;
  }
  if (!moved && !g->seen && !calm && now < g->patience) {
    return g->patience;
  }
  if (moved || !g->seen) {
    g->seen = true;
    look_around(g, rt);
  } else if (g->opts.pins == Pins::none && rt->near.load(relaxed)) {
    near_again(rt);
  }
  return kForever;
}

u8 home(Govern* seam, u32 p, CpuSet* cpus) {
  Governor* g = governor_of(seam);
  Locked held(g->lock);
  return cpus_of_p(*g->near, g->order, g->opts.pins, p, cpus);
}

u64 grown(u64 now, u64 before) { return now - min(now, before); }

// With the lock held: what the kernel has throttled since it was read last. same: the
// groups and their quotas are those of that time; else their counts begin anew.
void read_throttled(Governor* g, bool same) {
  os::Throttled t = os::groups_throttled(g->groups);
  if (same) {
    g->since.periods += grown(t.periods, g->last.periods);
    g->since.throttled += grown(t.throttled, g->last.throttled);
    g->since.ns += grown(t.ns, g->last.ns);
  }
  bool throttled = same && t.throttled > g->last.throttled;
  g->smooth = same && !throttled ? g->smooth + 1 : 0;
  g->last = t;
  pace_adapt(g->pace, throttled);
}

// With the lock held: what was throttled, and whether to pace. What was not throttled
// for long is asked at every second look: no other file is as dear. procs: from now on.
void follow_quota(Governor* g, const os::GroupLevel* whose, bool same,
                  u32 procs, i64 now) {
  g->rests = same && g->smooth >= kSmooth && !g->rests;
  if (!g->rests) {
    read_throttled(g, same);
  }
  u32 quota = g->opts.paces ? g->budget.quota_milli : 0;
  bool begins = quota && !g->pace.quota_milli;
  pace_set(g->pace, quota, whose ? whose->period_us * 1000 : 0, procs, now,
           begins ? os::cpu_ns() : 0);
}

// moved: to another cpuset, so perhaps to another group as well. Until then the CPUs
// are those of the runtime's maker: the host may have pinned who started sysmon.
void follow(Governor* g, Runtime* rt, bool moved, i64 now) {
  u32 cpus = moved ? g->mask_cpus : g->budget.cpus;
  Budget b;
  {
    Locked held(g->lock);
    bool changed = os::groups_reread(g->groups, moved);
    const os::GroupLevel* whose;
    b = budget_of(cpus, os::groups_limit(g->groups, &whose), g->opts.cap);
    bool sets = b.procs != g->budget.procs && g->opts.follows &&
                !rt->procs_told.load(relaxed);
    g->budget = b;
    follow_quota(g, whose, !changed, sets ? b.procs : rt->procs.load(relaxed),
                 now);
    if (!sets) {
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
  g->last = os::groups_throttled(g->groups);
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

i64 look(Govern* seam, Runtime* rt, i64 now, bool calm) {
  Governor* g = governor_of(seam);
  if (!g->at) {
    // Under a quota that is known at once: the kernel's period has begun.
    g->at = g->budget.quota_milli ? now : now + kFirst;
    g->patience = now + kFirst + kPatience;
  }
  bool waits =
      !g->opened && !calm && !g->budget.quota_milli && now < g->patience;
  if (now >= g->at && !waits) {
    if (!g->opened) {
      open(g);
    }
    bool moved = mask_moved(g);
    follow(g, rt, moved, now);
    i64 shape_at = follow_shape(g, rt, moved, now, calm);
    g->at = min(now + kEvery, shape_at);
    if (!g->opts.follows && !g->budget.quota_milli && !rt->near.load(relaxed)) {
      close(g);
      g->at = min(now + kSeldom, shape_at);
    }
  }
  return min(waits ? g->patience : g->at, keep_pace(g, rt, now));
}

void free_governor(Govern* seam) {
  Governor* g = governor_of(seam);
  close(g);
  while (Shape* s = g->shapes) {
    g->shapes = s->older;
    mem::free(s);
  }
  g->opts.source.give(g, sizeof *g);
}

}  // namespace

Governor* governor_make(const GovernOpts& opts) {
  auto* g = opts.source.make<Governor>();
  if (g) {
    g->seam = Govern{look, free_governor, home, nullptr, 0};
    g->opts = opts;
    (void)os::affinity_get(0, g->mask.words, kCpuWords);
    if (opts.follows) {
      open(g);
    }
    g->ours = os::memory_local();
    if (opts.pins != Pins::none) {
      g->seen = true;
      look_around(g, nullptr);
    }
  }
  return g;
}

Governor* governor_of(Govern* g) { return reinterpret_cast<Governor*>(g); }

void governor_told(Governor* g, Runtime* rt) {
  if (!g->opts.flat) {
    look_around(g, rt);
  }
}

Governed governed(Governor* g) {
  Locked held(g->lock);
  return Governed{g->opts.follows, g->changes, g->budget,
                  g->pace,         g->since,   g->opts.pins};
}

}  // namespace thrum
