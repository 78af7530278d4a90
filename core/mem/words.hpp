// Words in less space: what a stack that waits looks like. Most of its words are
// what they are on another stack that waits at the same place (the pattern), or
// zero, small, pointers into itself or into a few regions.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::mem {

constexpr u32 kMostWords = 2048;
// What `n` words take at most.
constexpr size_t packed_most(u32 n) { return n * 9 + 64; }

// What the words are expected to be: these, and those that are addresses up to
// 64 KiB below its end as far below the other's. null: zeroes.
struct Pattern {
  const u64* words;
  u64 end;
};

// `end`: many words may be addresses up to 64 KiB below it. Returns how many bytes
// it wrote to `out`, which has room for packed_most. n <= kMostWords.
size_t pack_words(const u64* words, u32 n, u64 end, const Pattern& like,
                  u8* out);
// The inverse. Returns how many bytes it read.
size_t unpack_words(const u8* in, u64* words, u32 n, u64 end,
                    const Pattern& like);

}  // namespace thrum::mem
