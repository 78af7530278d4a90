// Translation between the C header and the core: handles, struct versions, the
// runtime that NULL means, the one that a fork has left behind. Nothing here
// loops, locks or waits.
// SPDX-License-Identifier: MIT
#pragma once
#include <string.h>

#include "sched/enter.hpp"
#include "thrum/thrum.h"

namespace thrum::capi {

inline Runtime* core(thrum_rt* rt) { return reinterpret_cast<Runtime*>(rt); }
inline thrum_rt* face(Runtime* rt) { return reinterpret_cast<thrum_rt*>(rt); }

// rt NULL: the calling G's runtime. Null: outside a G, or the runtime is the
// parent's (see no_rt). An M's own is never: a child has no M of its parent's.
inline Runtime* rt_or_own(M* m, thrum_rt* rt) {
  if (THRUM_LIKELY(!rt)) {
    return g_of(m) ? m->rt : nullptr;
  }
  return THRUM_LIKELY(m && m->rt == core(rt)) || !forked(core(rt)) ? core(rt)
                                                                   : nullptr;
}

// Reads a caller's struct by the rule of copy_struct_from_user (Linux): shorter
// ones mean defaults for the rest, longer ones must be zero there.
template <class T>
int read_struct(T& out, const T* in) {
  memset(static_cast<void*>(&out), 0, sizeof out);
  u32 size = in->struct_size;
  if (size < sizeof in->struct_size) {
    return kEINVAL;
  }
  const char* bytes = reinterpret_cast<const char*>(in);
  for (size_t i = sizeof out; i < size; ++i) {
    if (bytes[i]) {
      return kE2BIG;
    }
  }
  memcpy(static_cast<void*>(&out), in, min(size_t{size}, sizeof out));
  return 0;
}

}  // namespace thrum::capi
