// Words in less space: what a stack that waits looks like. Most of its words are
// zero, small, pointers into itself or into a few regions, or the same as the one
// below.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::mem {

// What `n` words take at most.
constexpr size_t packed_most(u32 n) { return n * 9 + 64; }

// `end`: many words may be addresses up to 64 KiB below it. Returns how many bytes
// it wrote to `out`, which has room for packed_most.
size_t pack_words(const u64* words, u32 n, u64 end, u8* out);
// The inverse. Returns how many bytes it read.
size_t unpack_words(const u8* in, u64* words, u32 n, u64 end);

}  // namespace thrum::mem
