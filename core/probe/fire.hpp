// SPDX-License-Identifier: MIT
#pragma once
#include "probe/event.hpp"

namespace thrum {

// The USDT probe of an event; p and m: -1 for none.
void probe_fire(Event e, u64 g, u64 arg, i64 p, i64 m);

}  // namespace thrum
