// The allocator: the only door to mimalloc. Never throws, never parks.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::mem {

void* alloc(size_t size);  // 16-byte aligned; null: out of memory
void* zalloc(size_t count, size_t size);  // zeroed; null also on overflow
void* alloc_aligned(size_t size, size_t align);  // zeroed
void* realloc(void* p, size_t size);
void free(void* p);  // any thread

template <class T>
T* make() {  // zeroed storage of a T that is valid when all zero
  return static_cast<T*>(zalloc(1, sizeof(T)));
}

}  // namespace thrum::mem
