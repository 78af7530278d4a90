// SPDX-License-Identifier: MIT
#include "observe/places.hpp"

#include "mem/heap.hpp"
#include "observe/text.hpp"
#include "place/governor.hpp"
#include "sched/runtime.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

void add_nodes(Text& t, const os::Topology& top) {
  t.add("\"nodes\": [");
  for (u32 i = 0; i < top.nodes; ++i) {
    const os::Node& n = top.node[i];
    t.add("%s{\"node\": %u, \"cpus\": ", i ? ", " : "", n.id);
    add_list(t, n.cpus);
    t.add(", \"memory\": %s, \"distances\": [", n.memory ? "true" : "false");
    for (u32 to = 0; to < top.nodes; ++to) {
      t.add("%s%u", to ? ", " : "", n.distance[to]);
    }
    t.add("]}");
  }
  t.add("]");
}

// The sets of CPUs that `of` gives the same number, of `least` CPUs and more.
void add_groups(Text& t, const char* name, const os::Topology& top,
                const u16* of, u32 least) {
  t.add(", \"%s\": [", name);
  const char* comma = "";
  each_cpu(top.online, [&](u32 first) {
    CpuSet group{};
    if (of[first] != first) {
      return;
    }
    each_cpu(top.online, [&](u32 cpu) {
      if (of[cpu] == first) {
        group.add(cpu);
      }
    });
    if (group.count() >= least) {
      t.add("%s", comma);
      add_list(t, group);
      comma = ", ";
    }
  });
  t.add("]");
}

void add_p(Text& t, Runtime* rt, const Near* near, P* p) {
  u8 node = near ? near->node[p->place.load(relaxed)] : 0;
  t.add("{\"p\": %u, \"node\": ", p->id);
  if (node) {
    t.add("%u", near->id[node]);
  } else {
    t.add("null");
  }
  if (rt->plan.load(acquire)) {
    CpuSet cpus;
    (void)rt->config.govern->home(rt->config.govern, p->id, &cpus);
    t.add(", \"cpus\": ");
    add_list(t, cpus);
  }
  t.add("}");
}

void add_pins(Text& t, Runtime* rt, Pins pins) {
  PinCounts n;
  {
    Locked held(rt->lock);
    n = rt->pins;
  }
  mem::ArenaCounts stacks = rt->arenas.counts(0);
  t.add(
      "\"pin\": {\"to\": %s, \"pinned\": %u, \"refused\": %u, \"error\": %d}, "
      "\"memory\": {\"stacks\": %u, \"stacks_refused\": %u, "
      "\"stacks_error\": %d, \"heaps_refused\": %u, \"heaps_error\": %d}",
      pins == Pins::cpu    ? "\"cpu\""
      : pins == Pins::node ? "\"node\""
                           : "null",
      n.pinned, n.refused, n.error, stacks.placed, stacks.unplaced,
      stacks.place_error, n.memory_refused, n.memory_error);
}

}  // namespace

void add_list(Text& t, const CpuSet& set) {
  t.add("\"");
  const char* comma = "";
  for (u32 cpu = set.next(0); cpu < kCpus; cpu = set.next(cpu)) {
    u32 last = cpu;
    while (set.has(last + 1)) {
      ++last;
    }
    t.add(last == cpu ? "%s%u" : "%s%u-%u", comma, cpu, last);
    comma = ",";
    cpu = last + 1;
  }
  t.add("\"");
}

void add_topology(Text& t, const char* root) {
  auto* top = mem::make<os::Topology>();
  t.add("\"topology\": ");
  if (!top) {
    t.add("null");
    return;
  }
  os::topology_read(*top, root);
  t.add("{");
  add_nodes(t, *top);
  add_groups(t, "caches", *top, top->cache_of, 1);
  add_groups(t, "cores", *top, top->core_of, 2);
  t.add(", \"error\": %d}", -top->error);
  mem::free(top);
}

void add_places(Text& t, Runtime* rt) {
  const Near* near = rt->near.load(acquire);
  Governor* governor = governor_of(rt->config.govern);
  u32 procs = min(rt->procs.load(relaxed), rt->p_count.load(acquire));
  u64 steals = 0;
  u64 far = 0;
  t.add("\"places\": {\"distances\": %s, \"ps\": [",
        near && near->rings > 1 ? "true" : "false");
  for (u32 i = 0; i < procs; ++i) {
    t.add("%s", i ? ", " : "");
    add_p(t, rt, near, rt->ps[i]);
  }
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    steals += rt->ps[i]->steals.load(relaxed);
    far += rt->ps[i]->steals_far.load(relaxed);
  }
  t.add("], \"steals\": %llu, \"steals_far\": %llu, ", Count{steals},
        Count{far});
  add_pins(t, rt, governor ? governed(governor).pins : Pins::none);
  t.add("}");
}

}  // namespace thrum
