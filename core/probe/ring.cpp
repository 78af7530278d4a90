// SPDX-License-Identifier: MIT
#include "probe/ring.hpp"

namespace thrum {

const char* event_name(Event e) {
  switch (e) {
#define THRUM_EVENT(name, number, g, arg, text) \
  case Event::name:                             \
    return #name;
#include "probe/events.def"
#undef THRUM_EVENT
    case Event::none:
      break;
  }
  return "?";
}

u64 Ring::copy(Record* to, u64 from, u64* first) const {
  u64 end = head_.load(acquire);  // pairs with put: these are written
  u64 begin = max(from, end > size() ? end - size() : 0);
  for (u64 n = begin; n < end; ++n) {
    const Record& r = at_[n & mask_];
    to[n - begin] = Record{glance(r.ticks), glance(r.g), glance(r.what)};
  }
  // Pairs with the fence in put. What the owner has begun to overwrite since,
  // the record behind the last included, may be torn.
  fence(acquire);
  u64 now = head_.load(relaxed);
  u64 whole = now + 1 > size() ? now + 1 - size() : 0;
  u64 skip = whole > begin ? min(whole - begin, end - begin) : 0;
  for (u64 i = 0; skip && i + skip < end - begin; ++i) {
    to[i] = to[i + skip];
  }
  *first = begin + skip;
  return end - begin - skip;
}

}  // namespace thrum
