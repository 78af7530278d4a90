// Keeps errno of the calling thread across the libc calls of os.
// SPDX-License-Identifier: MIT
#pragma once
#include <errno.h>

namespace thrum::os {

// Of the calling thread. Finding it is a call of some 2 ns.
inline int* errno_place() { return &errno; }

// Clang takes malloc for a call that leaves errno alone, and a store after it for one
// that changes nothing.
inline void errno_restore(int* place, int kept) {
  asm volatile("" ::: "memory");
  *place = kept;
}

class ErrnoKeep {
 public:
  ErrnoKeep() : ErrnoKeep(errno_place()) {}
  explicit ErrnoKeep(int* place) : place_(place), kept_(*place) {}
  ~ErrnoKeep() { errno_restore(place_, kept_); }
  ErrnoKeep(const ErrnoKeep&) = delete;
  ErrnoKeep& operator=(const ErrnoKeep&) = delete;

 private:
  int* place_;
  int kept_;
};

}  // namespace thrum::os
