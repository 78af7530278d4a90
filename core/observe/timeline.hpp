// The recorder's events as a timeline that Perfetto and chrome://tracing show: what
// each P and each M ran, what each G did, and arrows from ready to run.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/text.hpp"
#include "sched/runtime.hpp"

namespace thrum {

// Of the last `last` ns (kForever: all there is). Returns the number of events, or
// kEINVAL (never traced), kENOMEM, kECANCELED (the text was refused).
i64 timeline(Runtime* rt, i64 last, Text& out);

}  // namespace thrum
