// mimalloc behind four functions. Version 2 binds a heap to the thread that
// made it, version 3 does not; the plain calls used here are the same in both,
// so nothing else needs to know. The memory issue adds per-P heaps here.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"

#include <mimalloc.h>

#if MI_MALLOC_VERSION < 200
#error "thrum needs mimalloc 2.0 or newer"
#endif

namespace thrum::mem {

// mimalloc aligns blocks of 16 bytes and more to 16 (MI_MAX_ALIGN_SIZE), those
// below to 8; the contract promises 16 for all.
constexpr size_t kLeast = 16;

void* alloc(size_t size) { return mi_malloc(max(size, kLeast)); }

void* zalloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return nullptr;
  }
  return mi_zalloc(max(bytes, kLeast));
}

void* alloc_aligned(size_t size, size_t align) {
  return mi_zalloc_aligned(size, align);
}

void* realloc(void* p, size_t size) { return mi_realloc(p, max(size, kLeast)); }

void free(void* p) { mi_free(p); }

}  // namespace thrum::mem
