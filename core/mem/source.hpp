// Where a runtime gets what it takes for itself: the host's allocator if it gave
// one (thrum_config.allocator), else the heap and the system. The host's
// functions are called with no lock held. What grows under a lock (timers, the
// deterministic mode's list) or belongs to the process (channels, regions) comes
// from the heap.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::mem {

struct Source {
  void* arg;
  void* (*alloc)(void* arg, size_t size, size_t align);
  void (*free)(void* arg, void* p, size_t size);
  void* (*reserve)(void* arg, size_t size);
  void (*release)(void* arg, void* p, size_t size);

  void* take(size_t size, size_t align) const;  // zeroed; null: no memory
  void give(void* p, size_t size) const;        // null: nothing

  // Address space for stacks, in whole pages that read as zero.
  void* map(size_t size) const;  // null: there is none
  void unmap(void* p, size_t size) const;

  template <class T>
  T* make() const {  // of a T that is valid when all zero
    return static_cast<T*>(take(sizeof(T), alignof(T)));
  }
};

}  // namespace thrum::mem
