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

}  // extern "C"
