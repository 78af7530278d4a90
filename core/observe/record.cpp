// SPDX-License-Identifier: MIT
#include "observe/record.hpp"

#include <stdlib.h>

#include "base/err.hpp"

namespace thrum {

namespace {

struct Gather {
  const Scale& scale;
  i64 from;
  Recording& out;
  u64 most;  // that out.at has room for
  Record* copy;
};

void gather(Gather& g, const Ring& ring, i32 p) {
  u64 first;
  u64 n = ring.copy(g.copy, 0, &first);
  g.out.lost += first;
  for (u64 i = 0; i < n && g.out.count < g.most; ++i) {
    const Record& r = g.copy[i];
    i64 ns = g.scale.ns(r.ticks);
    if (ns >= g.from) {
      g.out.at[g.out.count++] = Seen{ns, r.g, r.arg(), first + i, p, r.event()};
    }
  }
}

int by_time(const void* a, const void* b) {
  auto* x = static_cast<const Seen*>(a);
  auto* y = static_cast<const Seen*>(b);
  if (x->ns != y->ns) {
    return x->ns < y->ns ? -1 : 1;
  }
  if (x->p != y->p) {
    return x->p < y->p ? -1 : 1;
  }
  return x->order < y->order ? -1 : 1;
}

// What the rings can hold. (Of a P that gets its ring in this very moment there may
// be no room.)
u64 most_of(const Recorder& r) {
  u64 most = r.size;
  for (const Atomic<Ring*>& ring : r.rings) {
    most += ring.load(relaxed) ? r.size : 0;
  }
  return most;
}

}  // namespace

Scale scale_of(const Runtime* rt, const Recorder& r) {
  i64 ns = os::now_ns() - r.ns0;
  u64 ticks = cpu_ticks() - r.ticks0;
  // Too short to be measured: what was measured at the start.
  double per = ns > 10'000'000
                   ? static_cast<double>(ns) / static_cast<double>(ticks)
                   : 50'000.0 / static_cast<double>(rt->long_ticks);
  return Scale{r.ticks0, r.ns0, per};
}

int recording_take(Runtime* rt, i64 last, Recording& out) {
  Recorder* r = rt->recorder.load(acquire);
  if (!r) {
    return kEINVAL;
  }
  out = Recording{};
  u64 most = most_of(*r);
  out.at = static_cast<Seen*>(mem::alloc(most * sizeof(Seen)));
  auto* copy = static_cast<Record*>(mem::alloc(r->size * sizeof(Record)));
  if (!out.at || !copy) {
    mem::free(out.at);
    mem::free(copy);
    out.at = nullptr;
    return kENOMEM;
  }
  Scale scale = scale_of(rt, *r);
  out.end = os::now_ns();
  Gather g{scale, last == kForever ? 0 : out.end - last, out, most, copy};
  {
    Locked held(r->outside_lock);
    gather(g, *r->outside, -1);
  }
  for (u32 p = 0; p < kMaxProcs; ++p) {
    Ring* ring = r->rings[p].load(acquire);  // pairs with ring_first
    if (ring) {
      gather(g, *ring, static_cast<i32>(p));
    }
  }
  mem::free(copy);
  out.lost += r->refused.load(relaxed);
  qsort(out.at, out.count, sizeof(Seen), by_time);
  out.begin = out.count ? out.at[0].ns : out.end;
  if (out.count) {  // Ps went on while the rings before theirs were copied
    out.end = max(out.end, out.at[out.count - 1].ns);
  }
  return 0;
}

}  // namespace thrum
