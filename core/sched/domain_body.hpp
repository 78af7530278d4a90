// What a domain is made of, for domain.cpp, where the states of its hold stand, and
// domain_life.cpp alone.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

enum class Hold : u8 { idle, queued, held };

struct Domain {
  Atomic<u32> refs;  // atomic
  Atomic<u32> gs;    // atomic: its Gs alive
  Runtime* rt;       // const; retained
  DomainOps ops;     // const
  void* arg;         // const
  WordLock lock;
  Fifo<G> queue;         // lock
  Hold hold;             // lock
  Atomic<bool> closed;   // lock writes
  M* holder;             // lock
  Atomic<u64> switches;  // holder writes, sysmon reads
  u64 seen;              // sysmon
  i64 since;             // sysmon
  Domain* next;          // Runtime.lock: all domains
  G token;               // in a run queue while `queued`
  os::WakeFd wake;       // const; pumped ones
  bool raised;           // lock: by us, and so `wake` is readable
};

inline bool pumped(const Domain* d) { return d->ops.flags & kDomainPumped; }

}  // namespace thrum
