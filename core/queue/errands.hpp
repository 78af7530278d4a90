// Errands: a lock that nobody waits for. Whoever wants something done by its
// holder puts a node on a list and takes the lock if it is free; who lets go looks
// at the list once more. So a wish is served by its maker or by whoever is in
// there, and never left (the combining of Hendler et al., Flat Combining, 2010,
// without its records).
//
// T has `Atomic<u32> wants`, bits of what is to be done, 0 while it is on no list,
// and `T* next`, the list's.
//
// Rules: `next` is written by who turns `wants` from 0, until the push, and read by
// the holder that has taken the list, before it turns `wants` to 0. The upper bit
// of `wants` says that the holder is at it, and will look again. The fences are
// a Dekker: push, fence, look at `held`; release `held`, fence, look at the list.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

template <class T>
class Errands {
 public:
  // Then the caller tries to hold.
  void want(T* node, u32 what) {
    // acq_rel: what the node is in is seen by who serves it.
    if (node->wants.fetch_or(what, acq_rel)) {
      return;  // it is on the list, and who takes it sees this too
    }
    T* first = first_.load(relaxed);
    do {
      node->next = first;
      // release: pairs with the acquire in take.
    } while (!first_.compare_exchange_weak(first, node, release, relaxed));
    fence(seq_cst);
  }

  bool try_hold() {
    // acquire: pairs with the release in let_go.
    return !held_.load(relaxed) && !held_.exchange(1, acquire);
  }

  // True: somebody has asked meanwhile, and may have found it held: to be tried
  // again.
  bool let_go() {
    held_.store(0, release);
    fence(seq_cst);
    return first_.load(relaxed) != nullptr;
  }

  // Holder: calls serve(node, wants) for each node on the list, newest first, and
  // again if more is wanted of it meanwhile. True: that was its end.
  template <class Serve>
  void take(Serve serve) {
    for (T* node = first_.exchange(nullptr, acquire); node;) {
      T* next = node->next;
      u32 none;
      do {
        if (serve(node, node->wants.exchange(kServed, acq_rel) & ~kServed)) {
          break;
        }
        none = kServed;
      } while (!node->wants.compare_exchange_strong(none, 0, acq_rel, relaxed));
      node = next;
    }
  }

  // Is it on the list, or being served?
  bool wanted(const T* node) const { return node->wants.load(acquire); }

 private:
  static constexpr u32 kServed = u32{1} << 31;  // who wants more does not push

  Atomic<u32> held_{0};
  Atomic<T*> first_{nullptr};
};

}  // namespace thrum
