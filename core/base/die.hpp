// The end of the process, said clearly. THRUM_CHECK guards invariants whose
// breach would corrupt a guest; it stays on in release builds.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

// Writes "thrum: fatal: <what> (<file>:<line>)" to stderr and aborts.
[[noreturn]] THRUM_COLD void die(const char* what, const char* file, int line);

// A line on stderr, prefixed by "thrum: ". Never allocates.
THRUM_COLD void say(const char* format, ...)
    __attribute__((format(printf, 1, 2)));

}  // namespace thrum

#define THRUM_DIE(what) ::thrum::die(what, __FILE__, __LINE__)
#define THRUM_CHECK(cond)          \
  do {                             \
    if (THRUM_UNLIKELY(!(cond))) { \
      THRUM_DIE("broken: " #cond); \
    }                              \
  } while (0)
