// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

enum class Event : u8 {
  none,
#define THRUM_EVENT(name, number, g, arg, text) name = number,
#include "probe/events.def"
#undef THRUM_EVENT
};
constexpr u32 kEvents = 19;  // one past the last number

const char* event_name(Event e);  // "?" for one that is not in the list

}  // namespace thrum
