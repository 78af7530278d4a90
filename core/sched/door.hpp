// The door between a guest and the core, one per M (DESIGN 4): what makes it
// possible to take the P of an M that blocks or computes in the guest's code,
// without a signal and without a lock on the way in.
//
// The M passes it with two plain stores. Who would take something from it (the
// asker: sysmon and nobody else) leaves a request in `word`, makes every CPU pass a
// fence, and looks whether the M is inside. Either the asker sees in_core = 1 and
// withdraws, or the M sees the request when it enters; then one CAS decides
// between them. tests/model/door.cpp runs this file under an explorer,
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
constexpr u32 kDeclared = 16;    // owner: inside thrum_enter_blocking
constexpr u32 kApart = 32;       // owner: runs its G without a P
constexpr u32 kWorld = 64;       // world_stop: come in and stay

struct Door {
  Atomic<u32> in_core;  // owner writes, others read
  // The asker's bits: CAS. The owner's: plain stores, inside only (change), which
  // may wipe out a request, a mark or a kWorld, but never a kTaken: nobody sets
  // one while the owner is inside. kWorld: RMWs, at any time.
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
  // The same, bit by bit, for who goes on if there is no kWorld: acquire, pairs
  // with let_be.
  u32 calls() const { return word.load(acquire); }

  // Owner: out, to the guest's code at `at`. Nothing of the P is touched after.
  THRUM_INLINE void leave(u32 was, u64 at) {
    site.store(at, relaxed);
    // A store of what was loaded would tie this call to the last one.
    if (THRUM_LIKELY(was == 0)) {
      in_core.store(0, release);  // pairs with the acquires in take and held
    }
  }

  // Owner, inside: ends requests and marks; what is left stays until the owner
  // changes it. `kept`: there was a request, and the owner was faster.
  u32 settle(bool* kept) {
    // acquire: pairs with the asker's last CAS. Who sees a kTaken sees what the
    // asker had done before (Runtime::blocking).
    u32 w = word.load(acquire);
    *kept = false;
    while (w & (kAsked | kWatched)) {
      u32 to = w & ~(kAsked | kWatched);
      if (word.compare_exchange_weak(w, to, acquire, acquire)) {
        *kept = w & kAsked;
        return to;
      }
    }
    return w;
  }

  // Owner, inside. Requests and marks end with it: one that was loaded and stored
  // again would be a request of nobody, which keeps the P for good.
  void change(u32 off, u32 on) {
    // acquire: pairs with let_be, which the store hides from calls.
    u32 w = word.load(acquire) & ~(off | kAsked | kWatched);
    word.store(w | on, relaxed);
  }

  // Asker: `bit` (kTaken or kDomainTaken) if the M is outside, and `still` holds
  // while it is sure to stay there. fence_all: os::fence_all.
  template <class Fence, class Still>
  bool take(u32 bit, Fence fence_all, Still still) {
    u32 w = word.load(relaxed);
    if ((w & (kAsked | bit)) || in_core.load(relaxed) ||
        !word.compare_exchange_strong(w, w | kAsked, relaxed, relaxed)) {
      return false;
    }
    fence_all();  // pairs with enter
    w |= kAsked;
    // acquire: pairs with leave: what the owner did to its P is done.
    bool go = !in_core.load(acquire) && still();
    // As long as the request is there the owner has not come in; the word may
    // change all the same, by a kWorld.
    while (w & kAsked) {
      u32 to = go ? (w & ~(kAsked | kWatched)) | bit : w & ~kAsked;
      // release: pairs with settle.
      if (word.compare_exchange_weak(w, to, release, relaxed)) {
        return go;
      }
    }
    return false;
  }

  // world_stop, which passes a fence_all between this and a held it believes.
  void call_in() { word.fetch_or(kWorld, relaxed); }
  // The end of it: what was done to a stopped world is seen by whoever comes back.
  void let_be() { word.fetch_and(~kWorld, release); }

  // world_stop: outside in a declared block, and sure to be held when it comes
  // back. in_core first: a word from before the M came in and left says nothing.
  bool held() const {
    constexpr u32 both = kDeclared | kWorld;
    // acquire: pairs with leave.
    return !in_core.load(acquire) && (word.load(relaxed) & both) == both;
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
