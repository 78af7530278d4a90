// SPDX-License-Identifier: MIT
#include "observe/columns.hpp"

#include "base/err.hpp"
#include "observe/record.hpp"

namespace thrum {

namespace {

// A column while its owner may be counting, or beginning it anew: false then.
bool read(const Column& c, u64 number, Stretch& to) {
  if (c.epoch.load(acquire) != number + 1) {  // pairs with column_of
    return false;
  }
  Stretch s;
  for (u32 i = 0; i < kRows; ++i) {
    s.latency[i] = c.latency[i].load(relaxed);
    s.kernel[i] = c.kernel[i].load(relaxed);
  }
  for (u32 i = 0; i < kCauses; ++i) {
    s.causes[i] = c.causes[i].load(relaxed);
  }
  fence(acquire);  // pairs with the fence in column_of
  if (c.epoch.load(relaxed) != number + 1) {
    return false;
  }
  for (u32 i = 0; i < kRows; ++i) {
    to.latency[i] += s.latency[i];
    to.kernel[i] += s.kernel[i];
  }
  for (u32 i = 0; i < kCauses; ++i) {
    to.causes[i] += s.causes[i];
  }
  return true;
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
