// Error codes inside the library: `int`, 0 or more is success, below zero is
// one of these. They are the numbers of the C header (kEINVAL ==
// THRUM_EINVAL), so a code crosses every floor unchanged.
// SPDX-License-Identifier: MIT
#pragma once

namespace thrum {

using Err = int;

constexpr Err kOk = 0;

#define THRUM_ERR(NAME, NUMBER, TEXT) constexpr Err k##NAME = NUMBER;
#include "base/err.def"
#undef THRUM_ERR

}  // namespace thrum
