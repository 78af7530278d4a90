// Keeps errno of the calling thread across the libc calls of os.
// SPDX-License-Identifier: MIT
#pragma once
#include <errno.h>

namespace thrum::os {

class ErrnoKeep {
 public:
  ErrnoKeep() : kept_(errno) {}
  ~ErrnoKeep() {
    // Clang takes malloc for a call that leaves errno alone, and the store below
    // for one that changes nothing.
    asm volatile("" ::: "memory");
    errno = kept_;
  }
  ErrnoKeep(const ErrnoKeep&) = delete;
  ErrnoKeep& operator=(const ErrnoKeep&) = delete;

 private:
  int kept_;
};

}  // namespace thrum::os
