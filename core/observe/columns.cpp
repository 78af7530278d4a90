// SPDX-License-Identifier: MIT
#include "observe/columns.hpp"

#include "base/err.hpp"
#include "observe/record.hpp"

namespace thrum {

namespace {

template <class From, size_t kN>
void add_up(u64 (&to)[kN], const From (&from)[kN]) {
  for (size_t i = 0; i < kN; ++i) {
    to[i] += from[i];
  }
}
template <class From, size_t kN>
void add_up(u64 (&to)[kN], const Atomic<From> (&from)[kN]) {
  for (size_t i = 0; i < kN; ++i) {
    to[i] += from[i].load(relaxed);
  }
}

// A column while its owner may be counting, or beginning it anew: nothing then.
void read(const Column& c, u64 number, Stretch& to) {
  if (c.epoch.load(acquire) != number + 1) {  // pairs with column_of
    return;
  }
  Stretch s{};
  for (u32 k = 0; k < kClasses; ++k) {
    add_up(s.classes[k], c.latency[k]);
  }
  for (u32 k = 0; k < kAffinities; ++k) {
    add_up(s.latency, s.classes[k]);
  }
  add_up(s.kernel, c.kernel);
  add_up(s.causes, c.causes);
  fence(acquire);  // pairs with the fence in column_of
  if (c.epoch.load(relaxed) != number + 1) {
    return;
  }
  for (u32 k = 0; k < kClasses; ++k) {
    add_up(to.classes[k], s.classes[k]);
  }
  add_up(to.latency, s.latency);
  add_up(to.kernel, s.kernel);
  add_up(to.causes, s.causes);
}

}  // namespace

int columns_take(Runtime* rt, Columns& out) {
  Waits* w = waits_of(rt);
  if (!w) {
    return kEINVAL;
  }
  Scale scale = scale_of(rt, *rt->recorder.load(acquire));
  u64 last = (cpu_ticks() - w->ticks0) / w->column_ticks;
  out.first = last + 1 > kColumns ? last + 1 - kColumns : 0;
  out.count = static_cast<u32>(last + 1 - out.first);
  out.begin = scale.ns(w->ticks0 + out.first * w->column_ticks);
  out.width = static_cast<double>(w->column_ticks) * scale.per;
  out.at = static_cast<Stretch*>(mem::zalloc(out.count, sizeof(Stretch)));
  if (!out.at) {
    return kENOMEM;
  }
  for (const Atomic<Lane*>& at : w->lanes) {
    const Lane* lane = at.load(acquire);  // pairs with lane_of
    for (u32 i = 0; lane && i < out.count; ++i) {
      read(lane->columns[(out.first + i) % kColumns], out.first + i, out.at[i]);
    }
  }
  return 0;
}

}  // namespace thrum
