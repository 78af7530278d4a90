// Doors as one is tempted to write them, each wrong in one place: for door.cpp,
// which must find what is wrong. What is not said here is Door's.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/door.hpp"

namespace thrum {

// The owner looks and stores, where a CAS must decide who was faster.
struct NoWithdrawCas : Door {
  u32 settle(bool* kept) {
    u32 w = word.load(acquire);
    *kept = w & kAsked;
    if (w & (kAsked | kWatched)) {
      w &= ~(kAsked | kWatched);
      word.store(w, release);
    }
    return w;
  }
};

// The owner clears the word without a look at what is in it.
struct UnconditionalClear : Door {
  u32 settle(bool* kept) {
    *kept = true;
    word.store(0, release);
    return 0;
  }
};

// The asker clears its request, or takes, whatever became of it meanwhile.
struct UnconditionalTake : Door {
  template <class Fence, class Still>
  bool take(u32 bit, Fence fence_all, Still still) {
    u32 w = word.load(relaxed);
    if ((w & (kAsked | bit)) || in_core.load(relaxed) ||
        !word.compare_exchange_strong(w, w | kAsked, relaxed, relaxed)) {
      return false;
    }
    fence_all();
    bool go = !in_core.load(acquire) && still();
    word.store(go ? w | bit : w, release);
    return go;
  }
};

// What the owner did to its P may come after it has left.
struct RelaxedExit : Door {
  void leave(u32, u64) { in_core.store(0, relaxed); }
};

// The owner's two stores and looks have no order, with nobody's fence to help.
struct NoEntryFence : Door {
  u32 enter() {
    in_core.store(1, relaxed);
    return 0;
  }
};
struct NoAskersFence : Door {
  template <class Fence, class Still>
  bool take(u32 bit, Fence, Still still) {
    return Door::take(
        bit, [] {}, still);
  }
};

// The asker looks whether the M is inside, and then asks.
struct LookFirst : Door {
  template <class Fence, class Still>
  bool take(u32 bit, Fence fence_all, Still still) {
    u32 w = word.load(relaxed);
    bool inside = in_core.load(acquire);
    if ((w & (kAsked | bit)) || inside ||
        !word.compare_exchange_strong(w, w | kAsked, relaxed, relaxed)) {
      return false;
    }
    fence_all();
    bool go = still();
    w |= kAsked;
    return go && word.compare_exchange_strong(w, (w & ~kAsked) | bit, release,
                                              relaxed);
  }
};

// The owner stores a request again that it happened to load.
struct StoresRequests : Door {
  void change(u32 off, u32 on) {
    word.store((word.load(relaxed) & ~off) | on, relaxed);
  }
};

// The asker gives up when anybody else has changed the word.
struct OneTry : Door {
  template <class Fence, class Still>
  bool take(u32 bit, Fence fence_all, Still still) {
    u32 w = word.load(relaxed);
    if ((w & (kAsked | bit)) || in_core.load(relaxed) ||
        !word.compare_exchange_strong(w, w | kAsked, relaxed, relaxed)) {
      return false;
    }
    fence_all();
    w |= kAsked;
    bool go = !in_core.load(acquire) && still();
    u32 to = go ? (w & ~(kAsked | kWatched)) | bit : w & ~kAsked;
    return word.compare_exchange_strong(w, to, release, relaxed) && go;
  }
};

// world_stop reads the word of one time, and whether the M is in of a later one.
struct WordFirst : Door {
  bool held() const {
    u32 w = word.load(relaxed);
    return (w & kDeclared) && (w & kWorld) && !in_core.load(acquire);
  }
};

}  // namespace thrum
