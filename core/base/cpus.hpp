// Sets of CPUs by their numbers: CPU n is bit n % 64 of word n / 64.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

constexpr u32 kCpuWords = 16;
constexpr u32 kCpus = 64 * kCpuWords;  // who has a higher number is left out

struct CpuSet {
  u64 words[kCpuWords];

  bool has(u32 cpu) const {
    return cpu < kCpus && (words[cpu / 64] >> cpu % 64 & 1);
  }
  void add(u32 cpu) { words[cpu / 64] |= u64{1} << cpu % 64; }
  void remove(u32 cpu) { words[cpu / 64] &= ~(u64{1} << cpu % 64); }
  u32 count() const {
    u32 n = 0;
    for (u64 w : words) {
      n += static_cast<u32>(__builtin_popcountll(w));
    }
    return n;
  }
  // The lowest from `cpu` on; kCpus: none.
  u32 next(u32 cpu) const {
    while (cpu < kCpus && !has(cpu)) {
      ++cpu;
    }
    return cpu;
  }
  CpuSet operator&(const CpuSet& other) const {
    CpuSet both;
    for (u32 i = 0; i < kCpuWords; ++i) {
      both.words[i] = words[i] & other.words[i];
    }
    return both;
  }
  CpuSet without(const CpuSet& other) const {
    CpuSet rest;
    for (u32 i = 0; i < kCpuWords; ++i) {
      rest.words[i] = words[i] & ~other.words[i];
    }
    return rest;
  }
  bool operator==(const CpuSet&) const = default;
};

// For each CPU of a set, in order.
template <class F>
void each_cpu(const CpuSet& set, F f) {
  for (u32 cpu = set.next(0); cpu < kCpus; cpu = set.next(cpu + 1)) {
    f(cpu);
  }
}

}  // namespace thrum
