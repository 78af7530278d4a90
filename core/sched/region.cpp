// The table is read in signal handlers, so it never changes: a change is a new one,
// published by one pointer. An old one is freed when no handler is reading.
// SPDX-License-Identifier: MIT
#include "sched/region.hpp"

#include <string.h>

#include "base/err.hpp"
#include "mem/heap.hpp"
#include "os/lock.hpp"
#include "os/os.hpp"

namespace thrum {

namespace {

struct Region {
  u64 lo, hi;
  u32 flags;
};

struct Regions {
  u32 count;       // const once published
  Regions* older;  // lock: replaced ones, not freed yet
  Region* list() { return reinterpret_cast<Region*>(this + 1); }
};

constinit struct {
  WordLock lock;
  Atomic<Regions*> now;  // lock writes, handlers read
  Atomic<u32> readers;   // handlers that look at some table
  Regions* replaced;     // lock
} g_regions = {};

Regions* table_of(u32 count) {
  Regions* r = static_cast<Regions*>(
      mem::alloc(sizeof(Regions) + count * sizeof(Region)));
  if (r) {
    r->count = count;
  }
  return r;
}

// With the lock held. Dekker: a reader counts itself and then takes the pointer,
// we set the pointer and then count the readers (seq_cst all).
void replace(Regions* next) {
  Regions* old = g_regions.now.exchange(next, seq_cst);
  if (old) {
    old->older = g_regions.replaced;
    g_regions.replaced = old;
  }
  if (g_regions.readers.load(seq_cst)) {
    return;  // with the next one
  }
  while (Regions* r = g_regions.replaced) {
    g_regions.replaced = r->older;
    mem::free(r);
  }
}

}  // namespace

int region_add(u64 lo, u64 hi, u32 flags) {
  Locked held(g_regions.lock);
  Regions* old = g_regions.now.load(relaxed);
  u32 n = old ? old->count : 0;
  Regions* next = table_of(n + 1);
  if (!next) {
    return kENOMEM;
  }
  if (n) {
    memcpy(next->list(), old->list(), n * sizeof(Region));
  }
  next->list()[n] = Region{lo, hi, flags};
  replace(next);
  return 0;
}

int region_drop(u64 lo, u64 hi) {
  Locked held(g_regions.lock);
  Regions* old = g_regions.now.load(relaxed);
  u32 n = old ? old->count : 0;
  u32 at = 0;
  while (at < n && !(old->list()[at].lo == lo && old->list()[at].hi == hi)) {
    ++at;
  }
  if (at == n) {
    return kENOENT;
  }
  Regions* next = n > 1 ? table_of(n - 1) : nullptr;
  if (n > 1 && !next) {
    return kENOMEM;
  }
  if (next) {
    memcpy(next->list(), old->list(), at * sizeof(Region));
    memcpy(next->list() + at, old->list() + at + 1,
           (n - 1 - at) * sizeof(Region));
  }
  replace(next);
  return 0;
}

bool region_find(u64 pc, u32& flags) {
  g_regions.readers.fetch_add(1, seq_cst);
  u32 all = UINT32_MAX;
  bool found = false;
  if (Regions* r = g_regions.now.load(seq_cst)) {
    for (u32 i = 0; i < r->count; ++i) {
      const Region& region = r->list()[i];
      if (pc >= region.lo && pc < region.hi) {
        found = true;
        all &= region.flags;
      }
    }
  }
  g_regions.readers.fetch_sub(1, release);  // pairs with replace
  flags = all;
  return found;
}

}  // namespace thrum
