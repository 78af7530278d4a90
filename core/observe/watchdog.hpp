// The watchdog's reports: a G that has not come to a scheduling point for long, told
// to the host or on stderr.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/each.hpp"

namespace thrum {

struct StallView {
  GView g;
  i64 lasted;
  Done done;
  u32 frames;
  const u64* pcs;  // innermost first
  bool exact;      // the first is where it is; else where it left thrum
};
using ShowStall = void (*)(const Watch& w, const StallView& stall);

// limit: ns, 0 off. show null: on stderr; it finds fn and arg in the Watch. When it returns nobody is being told
// any more as it was before. kENOTSUP: the runtime has no sysmon; kEPERM: from tell.
int watchdog(Runtime* rt, i64 limit, ShowStall show, void* fn, void* arg);

}  // namespace thrum
