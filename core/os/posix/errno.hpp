// Keeps errno of the calling thread across the libc calls of os.
// SPDX-License-Identifier: MIT
#pragma once
#include <errno.h>

namespace thrum::os {

// Of the calling thread. Finding it is a call of some 2 ns.
inline int* errno_place() { return &errno; }

class ErrnoKeep {
 public:
  ErrnoKeep() : ErrnoKeep(errno_place()) {}
  explicit ErrnoKeep(int* place) : place_(place), kept_(*place) {}
  ~ErrnoKeep() {
    // Clang takes malloc for a call that leaves errno alone, and the store below
    // for one that changes nothing.
    asm volatile("" ::: "memory");
    *place_ = kept_;
  }
  ErrnoKeep(const ErrnoKeep&) = delete;
  ErrnoKeep& operator=(const ErrnoKeep&) = delete;

 private:
  int* place_;
  int kept_;
};

}  // namespace thrum::os
