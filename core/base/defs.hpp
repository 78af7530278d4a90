// Words of the machine: integer names, branch hints, the cache line.
// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

#define THRUM_LIKELY(x) __builtin_expect(!!(x), 1)
#define THRUM_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define THRUM_INLINE __attribute__((always_inline)) inline
#define THRUM_NOINLINE __attribute__((noinline))
#define THRUM_COLD __attribute__((noinline, cold))

namespace thrum {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i32 = int32_t;
using i64 = int64_t;

constexpr size_t kCacheLine = 64;
constexpr i64 kForever = INT64_MAX;  // THRUM_FOREVER
constexpr i64 kTry = 0;              // THRUM_TRY

template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

}  // namespace thrum
