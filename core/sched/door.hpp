// The door between a guest and the core, one per M (DESIGN 4): what makes it
// possible to take the P of an M that blocks or computes in the guest's code,
// without a signal and without a lock on the way in.
//
// The M passes it with two plain stores. Who would take something from it (the
// asker, one at a time: Runtime.asking) leaves a request in `word`, makes every
// CPU pass a fence, and looks whether the M is inside. Either the asker sees
// in_core = 1 and withdraws, or the M sees the request when it enters; then one
// CAS decides between them. tests/model/door.cpp runs this file under an explorer,
// tests/model/retake.pml is the same with what may not be left out.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

// Bits of Door::word.
constexpr u32 kAsked = 1;  // asker: a request is under way
constexpr u32 kTaken = 2;  // asker: the P is gone; the M does not know yet
constexpr u32 kDomainTaken = 4;  // asker: another M may enter its domain
constexpr u32 kWatched = 8;      // sysmon: outside since then, if still set
constexpr u32 kDeclared = 16;  // owner: inside thrum_enter_blocking, has its P
constexpr u32 kApart = 32;     // owner: runs its G without a P
constexpr u32 kWorld = 64;     // world_stop: come in and stay

struct Door {
  Atomic<u32> in_core;  // owner writes, others read
  // The asker's bits: CAS. The owner's: plain stores, inside only, which may wipe
  // out a request or a mark (both are then void), but never a kTaken: nobody sets
  // one while the owner is inside.
  Atomic<u32> word;
  Atomic<u64> site;  // owner writes: where in the guest's code it went out
  bool fenced;  // const: no membarrier here, so entering takes a true fence

  // Owner: in. Returns what leave wants to have back.
  THRUM_INLINE u32 enter() {
    u32 was = in_core.load(relaxed);
    in_core.store(1, relaxed);
    if (THRUM_UNLIKELY(fenced)) {
      fence(seq_cst);  // pairs with the asker's, as its fence_all does
    } else {
      compiler_fence();
    }
    return was;
  }

  THRUM_INLINE bool called() const { return word.load(relaxed) != 0; }

  // Owner: out, to the guest's code at `at`. Nothing of the P is touched after.
  THRUM_INLINE void leave(u32 was, u64 at) {
    site.store(at, relaxed);
    // A store of what was loaded would tie this call to the last one.
    if (THRUM_LIKELY(was == 0)) {
      in_core.store(0, release);  // pairs with the acquire in take
    } else {
      in_core.store(was, release);
    }
  }

  // Owner, inside: ends requests and marks; what is left stays until the owner
  // changes it. `kept`: there was a request, and the owner was faster.
  u32 settle(bool* kept) {
    // acquire: pairs with the asker's last CAS.
    u32 w = word.load(acquire);
    *kept = false;
    while (w & (kAsked | kWatched)) {
      u32 to = w & ~(kAsked | kWatched);
      if (word.compare_exchange_weak(w, to, acq_rel, acquire)) {
        *kept = w & kAsked;
        return to;
      }
    }
    return w;
  }

  // Asker: `bit` (kTaken or kDomainTaken) if the M is outside, and `still` holds
  // while it is sure to stay there. fence_all: os::fence_all.
  template <class Fence, class Still>
  bool take(u32 bit, Fence fence_all, Still still) {
    u32 w = word.load(relaxed);
    if ((w & (kAsked | kTaken | bit)) || in_core.load(relaxed) ||
        !word.compare_exchange_strong(w, w | kAsked, seq_cst, relaxed)) {
      return false;
    }
    fence_all();
    w |= kAsked;
    // acquire: pairs with leave: what the owner did to its P is done.
    bool go = !in_core.load(acquire) && still();
    u32 to = go ? (w & ~(kAsked | kWatched)) | bit : w & ~kAsked;
    return word.compare_exchange_strong(w, to, acq_rel, relaxed) && go;
  }

  // sysmon: has the M been outside since the last mark?
  bool marked() const { return word.load(relaxed) & kWatched; }

  // sysmon: a mark, which the M's next call removes.
  void mark() {
    u32 w = word.load(relaxed);
    if (!in_core.load(relaxed) && !(w & kWatched)) {
      word.compare_exchange_strong(w, w | kWatched, relaxed, relaxed);
    }
  }
};

}  // namespace thrum
