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

THRUM_INLINE void handoff_end() {
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

// The same inside the core, for calls that may park.
template <class Call>
auto handed_off(M*& m, Call call) {
  if (!g_of(m)) {
    return call();
  }
  decltype(call()) result;
  enter_blocking(m, THRUM_SITE());
  call_guest(m, [&] { result = call(); });
  exit_blocking(m);
  return result;
}

}  // namespace thrum
