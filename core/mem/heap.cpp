// mimalloc behind four functions. Version 2 binds a heap to the thread that
// made it, version 3 does not; the plain calls used here are the same in both,
// so nothing else needs to know. The memory issue adds per-P heaps here.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"

#include "os/posix/errno.hpp"

#if defined(THRUM_ASAN) || defined(THRUM_TSAN)

// The sanitizers know libc's allocator and not mimalloc: here they shall see
// every block.
#include <stdlib.h>
#include <string.h>

namespace thrum::mem {

void* alloc(size_t size) {
  os::ErrnoKeep keep;
  return ::malloc(size ? size : 1);
}
void* zalloc(size_t count, size_t size) {
  os::ErrnoKeep keep;
  return ::calloc(count ? count : 1, size ? size : 1);
}
void* alloc_aligned(size_t size, size_t align) {
  void* p = nullptr;
  if (posix_memalign(&p, align, size) != 0) {
    return nullptr;
  }
  return memset(p, 0, size);
}
void* realloc(void* p, size_t size) {
  os::ErrnoKeep keep;
  return ::realloc(p, size ? size : 1);
}
void free(void* p) { ::free(p); }

}  // namespace thrum::mem

#else

#include <mimalloc.h>

#if MI_MALLOC_VERSION < 200
#error "thrum needs mimalloc 2.0 or newer"
#endif

namespace thrum::mem {

// mimalloc aligns blocks of 16 bytes and more to 16 (MI_MAX_ALIGN_SIZE), those
// below to 8; the contract promises 16 for all.
constexpr size_t kLeast = 16;

void* alloc(size_t size) {
  os::ErrnoKeep keep;
  return mi_malloc(max(size, kLeast));
}

void* zalloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return nullptr;
  }
  os::ErrnoKeep keep;
  return mi_zalloc(max(bytes, kLeast));
}

void* alloc_aligned(size_t size, size_t align) {
  os::ErrnoKeep keep;
  return mi_zalloc_aligned(size, align);
}

void* realloc(void* p, size_t size) {
  os::ErrnoKeep keep;
  return mi_realloc(p, max(size, kLeast));
}

void free(void* p) { mi_free(p); }

}  // namespace thrum::mem

#endif
