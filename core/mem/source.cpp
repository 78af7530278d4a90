// SPDX-License-Identifier: MIT
#include "mem/source.hpp"

#include <string.h>

#include "mem/heap.hpp"
#include "os/os.hpp"

namespace thrum::mem {

void* Source::take(size_t size, size_t align) const {
  if (THRUM_LIKELY(!alloc)) {
    return align > 16 ? alloc_aligned(size, align) : zalloc(1, size);
  }
  void* p = alloc(arg, size, align);
  return p ? memset(p, 0, size) : nullptr;
}

void Source::give(void* p, size_t size) const {
  if (THRUM_LIKELY(!alloc)) {
    mem::free(p);
  } else if (p) {
    free(arg, p, size);
  }
}

void* Source::map(size_t size) const {
  return reserve ? reserve(arg, size) : os::vm_reserve(size);
}

void Source::unmap(void* p, size_t size) const {
  if (release) {
    release(arg, p, size);
  } else {
    os::vm_release(p, size);
  }
}

}  // namespace thrum::mem
