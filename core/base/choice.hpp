// Every free choice of the scheduler (steal victim, select arm, tie of timers,
// next G of a deterministic runtime) asks here, so that one seed replays all.
// Generator: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
// number generators", OOPSLA 2014).
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

struct Choice {
  u64 state = 0;  // owner

  u64 next() {
    u64 z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, n), n > 0 (Lemire's multiply-shift; the bias at 32 of 64
  // bits is below 2^-32).
  u32 below(u32 n) { return static_cast<u32>(((next() >> 32) * n) >> 32); }
};

}  // namespace thrum
