// From the shape of the machine to what is near what, and to the CPUs of each P.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/topology.hpp"
#include "sched/near.hpp"

namespace thrum {

// Places are the last-level caches of nodes; or the nodes, where no two cores share
// one, or there are too many. `ours`: memory may be asked of nodes.
void near_make(const os::Topology& t, bool ours, Near& out);
// Are these CPUs in more than one place?
bool near_matters(const Near& near, const CpuSet& cpus);

// What Ms are pinned to.
enum class Pins : u8 { none, cpu, node };

// CPUs in the order in which Ps get them: first one thread of each core, node by
// node and cache by cache, then the second ones.
struct CpuOrder {
  u32 count;
  u16 cpus[kCpus];
};
void cpu_order(const os::Topology& t, const CpuSet& allowed, CpuOrder& out);
// The CPUs of P number p; there is one in `order`. Returns its place.
u8 cpus_of_p(const Near& near, const CpuOrder& order, Pins pins, u32 p,
             CpuSet* cpus);

}  // namespace thrum
