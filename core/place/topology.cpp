// SPDX-License-Identifier: MIT
#include "place/topology.hpp"

#include <string.h>

#include "mem/stack.hpp"

namespace thrum {

namespace {

static_assert(os::kNodes == kPlaceNodes && kPlaceNodes < mem::kStackNodes);

// A cache that only one core has, in a virtual machine as a rule, does not bring
// anybody nearer to anybody.
bool caches_shared(const os::Topology& t) {
  bool shared = false;
  each_cpu(t.online, [&](u32 cpu) {
    u16 first = t.cache_of[cpu];
    shared |= first != os::kNoCache && t.core_of[first] != t.core_of[cpu];
  });
  return shared;
}

// What the CPUs of a place have in common.
u32 key_of(const os::Topology& t, u32 cpu, bool by_cache) {
  u32 cache = by_cache ? t.cache_of[cpu] : os::kNoCache;
  return u32{t.node_of[cpu]} << 16 | cache;
}

// Numbers the places. False: there are too many.
bool places_make(const os::Topology& t, bool by_cache, u8* node, Near& out) {
  u32 keys[kPlaces];
  bool fits = true;
  out.places = 0;
  each_cpu(t.online, [&](u32 cpu) {
    u32 key = key_of(t, cpu, by_cache);
    u32 at = 0;
    while (at < out.places && keys[at] != key) {
      ++at;
    }
    if (at == kPlaces) {
      fits = false;
      return;
    }
    if (at == out.places) {
      keys[at] = key;
      node[at] = t.node_of[cpu];
      ++out.places;
    }
    out.of_cpu[cpu] = static_cast<u8>(at);
  });
  return fits;
}

// 0: the same place, then the same node, then by distance.
u32 distance(const os::Topology& t, const u8* node, u32 from, u32 to) {
  return from == to               ? 0
         : node[from] == node[to] ? 1
                                  : 2 + t.node[node[from]].distance[node[to]];
}

void rings_make(const os::Topology& t, const u8* node, Near& out) {
  for (u32 from = 0; from < out.places; ++from) {
    u32 seen[2 + os::kNodes];  // distances, the shortest first
    u32 n = 0;
    for (u32 to = 0; to < out.places; ++to) {
      u32 d = distance(t, node, from, to);
      u32 at = 0;
      while (at < n && seen[at] < d) {
        ++at;
      }
      if (at == n || seen[at] != d) {
        memmove(seen + at + 1, seen + at, (n++ - at) * sizeof *seen);
        seen[at] = d;
      }
    }
    for (u32 to = 0; to < out.places; ++to) {
      u8 ring = 0;
      while (seen[ring] != distance(t, node, from, to)) {
        ++ring;
      }
      out.ring[from][to] = ring;
    }
    out.rings = max(out.rings, n);
  }
}

// The one with memory that is nearest to a node; os::kNodes: none has any.
u32 memory_of(const os::Topology& t, u32 node) {
  u32 best = os::kNodes;
  for (u32 i = 0; i < t.nodes; ++i) {
    const u16* far = t.node[node].distance;
    if (t.node[i].memory && (best == os::kNodes || far[i] < far[best])) {
      best = i;
    }
  }
  return best;
}

}  // namespace

void near_make(const os::Topology& t, bool ours, Near& out) {
  out = Near{};
  u8 node[kPlaces];
  if (!caches_shared(t) || !places_make(t, true, node, out)) {
    places_make(t, false, node, out);
  }
  rings_make(t, node, out);
  for (i32& m : out.memory) {
    m = -1;
  }
  for (u32 i = 0; i < t.nodes; ++i) {
    out.nodes += t.node[i].cpus.count() != 0;
  }
  if (out.nodes < 2) {
    return;
  }
  for (u32 i = 0; i < t.nodes; ++i) {
    u32 memory = memory_of(t, i);
    out.id[i + 1] = t.node[i].id;
    if (ours && memory < os::kNodes) {
      out.memory[i + 1] = static_cast<i32>(t.node[memory].id);
    }
  }
  for (u32 i = 0; i < out.places; ++i) {
    out.node[i] = static_cast<u8>(node[i] + 1);
  }
}

bool near_matters(const Near& near, const CpuSet& cpus) {
  bool matters = false;
  u8 first = near.of_cpu[min(cpus.next(0), kCpus - 1)];
  each_cpu(cpus, [&](u32 cpu) { matters |= near.of_cpu[cpu] != first; });
  return matters;
}

void cpu_order(const os::Topology& t, const CpuSet& allowed, CpuOrder& out) {
  out.count = 0;
  auto give = [&](u32 cpu) { out.cpus[out.count++] = static_cast<u16>(cpu); };
  CpuSet left = allowed & t.online;
  while (left.next(0) < kCpus) {
    CpuSet cores{};  // that have had their turn
    for (u32 i = 0; i < t.nodes; ++i) {
      CpuSet rest = left & t.node[i].cpus;
      for (u32 first; (first = rest.next(0)) < kCpus;) {
        each_cpu(rest, [&](u32 cpu) {
          if (t.cache_of[cpu] != t.cache_of[first]) {
            return;
          }
          rest.remove(cpu);
          if (!cores.has(t.core_of[cpu])) {
            cores.add(t.core_of[cpu]);
            left.remove(cpu);
            give(cpu);
          }
        });
      }
    }
  }
  each_cpu(allowed.without(t.online), give);  // they came since
}

u8 cpus_of_p(const Near& near, const CpuOrder& order, Pins pins, u32 p,
             CpuSet* cpus) {
  u32 cpu = order.cpus[p % order.count];
  u8 place = near.of_cpu[cpu];
  *cpus = CpuSet{};
  if (pins == Pins::cpu) {
    cpus->add(cpu);
    return place;
  }
  for (u32 i = 0; i < order.count; ++i) {
    if (near.node[near.of_cpu[order.cpus[i]]] == near.node[place]) {
      cpus->add(order.cpus[i]);
    }
  }
  return place;
}

}  // namespace thrum
