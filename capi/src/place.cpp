// SPDX-License-Identifier: MIT
#include "thrum/place.h"

#include "observe/os_report.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

extern "C" {

int64_t thrum_os_report(thrum_rt* rt, char* text, size_t size) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (rt && !r) {
    return no_rt(rt);
  }
  return text || !size ? static_cast<int64_t>(os_report(r, "", text, size))
                       : int64_t{kEINVAL};
}

int thrum_sched_threads(thrum_rt* rt, int32_t nice, int64_t slice_ns) {
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  if (nice < -20 || nice > 19 || slice_ns < 0) {
    return kEINVAL;
  }
  if (!owns_threads(r)) {
    return kENOTSUP;
  }
  return r->stopping.load(acquire) == 2
             ? kECLOSED
             : sched_threads(r, nice, static_cast<u64>(slice_ns));
}

}  // extern "C"
