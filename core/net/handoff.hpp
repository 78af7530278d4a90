// A call of the system that may block, from a G: declared, outside the core, so
// that its P may go on with others.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/enter.hpp"

namespace thrum {

THRUM_INLINE bool handoff_begin() {
  EnterParking e;
  if (!g_of(e.m)) {
    return false;  // a thread of the host just blocks
  }
  enter_blocking(e.m, THRUM_SITE());
  return true;
}

inline void handoff_end() {
  EnterParking e;
  exit_blocking(e.m);
}

// Not to be called inside the core.
template <class Call>
THRUM_INLINE auto handed_off(Call call) {
  bool declared = handoff_begin();
  auto result = call();
  if (declared) {
    handoff_end();
  }
  return result;
}

}  // namespace thrum
