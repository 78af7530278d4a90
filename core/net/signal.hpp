// Signals of the process, delivered to channels.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/api.hpp"

namespace thrum {

struct Chan;

// Each arrival sends its number (4 bytes) into ch, which drops what it has no room
// for. kEINVAL: not a signal that can be caught.
int signal_notify(M* m, Runtime* rt, int signo, Chan* ch);
// No more into ch. Returns how many signals that were.
int signal_stop(M* m, Runtime* rt, const Chan* ch);

}  // namespace thrum
