// Looking at every G: what hosts enumerate and reports print.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

struct GView {
  u64 handle;
  State state;
  Why why;
  const char* reason;  // thrum_park's text, else the wait reason's name
  const char* name;    // "" if it has none
  Domain* domain;
  void* arg;
  i64 since;
  void* stack_lo;
  void* stack_hi;
  void* sp;
};

// One slot; false: no G lives there. The view's name is in `name`.
bool view_g(Runtime* rt, u32 slot, GView& view, char (&name)[48]);
// A host's name for a terminal: nothing that moves a cursor or forges a line.
void plain_text(const char* from, char* to, u32 size);

// Calls fn for each live G, one at a time; the view's strings are valid during
// the call, in which no lock is held. Gs go on meanwhile: a view is of its
// moment.
void each_g(Runtime* rt, void (*fn)(void* arg, const GView& view), void* arg);

// Of a G that waits: what os::stack_calls finds, innermost first. 0: it does not
// wait any more, or hibernates.
u32 stack_of(Runtime* rt, u64 handle, u64* pcs, u32 most);
// Says on stderr: a line for each.
void say_frames(const u64* pcs, u32 n);

// Says on stderr: the title, then a line for each live G (at most 64)
// and below it where it waits.
void report_gs(Runtime* rt, const char* title);

}  // namespace thrum
