// The global queue: what waits for any P. Two FIFOs that take turns, so that neither
// waits for all of the other: what woke, where a P's ring had no room for it, and
// the rest (a storm of spawns, above all).
//
// Rule: guarded by the owner's lock, but for the sizes, which anyone may read.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/list.hpp"

namespace thrum {

template <class T>
class Global {
 public:
  void push(T* t) {
    rest_.push(t);
    count();
  }
  void splice(Fifo<T>& all) {
    rest_.splice(all);
    count();
  }
  void splice_woken(Fifo<T>& all) {
    woken_.splice(all);
    count();
  }
  // Null: there is none.
  T* pop() {
    bool woken = !woken_.empty() && (rest_.empty() || ++turn_ % 2 != 0);
    T* t = (woken ? woken_ : rest_).pop();
    count();
    return t;
  }

  u32 size() const { return size_.load(relaxed); }
  u32 woken() const { return woken_size_.load(relaxed); }

 private:
  void count() {
    size_.store(rest_.count + woken_.count, relaxed);
    woken_size_.store(woken_.count, relaxed);
  }

  Fifo<T> rest_, woken_;
  u32 turn_ = 0;
  Atomic<u32> size_{0}, woken_size_{0};
};

}  // namespace thrum
