// SPDX-License-Identifier: MIT
#include "probe/usdt.hpp"

#include "probe/fire.hpp"

namespace thrum {

// .probes is where tools expect semaphores; used: notes alone may name it.
[[gnu::section(".probes"), gnu::used]] constinit Atomic<u32> g_probing{0};

void probe_fire(Event e, u64 g, u64 arg, i64 p, i64 m) {
  switch (e) {
#define THRUM_EVENT(name, number, g_text, arg_text, text) \
  case Event::name:                                       \
    THRUM_USDT(#name, g, arg, p, m);                      \
    break;
#include "probe/events.def"
#undef THRUM_EVENT
    case Event::none:
      break;
  }
}

}  // namespace thrum
