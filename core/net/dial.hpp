// SPDX-License-Identifier: MIT
#pragma once
#include "net/stream.hpp"

namespace thrum {

// Connects to the first of these that answers (Happy Eyeballs, RFC 8305).
int dial_any(M*& m, Runtime* rt, os::Address* to, u32 n, Stream** out,
             i64 deadline);

}  // namespace thrum
