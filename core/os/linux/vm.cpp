// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {
// linux/mman.h of Debian 12 is older than the call (6.13).
constexpr int kGuardInstall = 102;
}  // namespace

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* vm_reserve(size_t size) {
  ErrnoKeep keep;
  void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void vm_release(void* p, size_t size) {
  ErrnoKeep keep;
  munmap(p, size);
}

int vm_guard(void* p, size_t size, bool may_split) {
  ErrnoKeep keep;
  if (madvise(p, size, kGuardInstall) == 0) {
    return 0;
  }
  return may_split && mprotect(p, size, PROT_NONE) == 0 ? 1 : -errno;
}

u32 map_limit() {
  ErrnoKeep keep;
  char text[32];
  bool known = read_text("/proc/sys/vm/max_map_count", text, sizeof text);
  return known ? static_cast<u32>(strtoul(text, nullptr, 10)) : 65530;
}

void vm_drop(void* p, size_t size) {
  ErrnoKeep keep;
  madvise(p, size, MADV_DONTNEED);
}

void vm_huge(void* p, size_t size, bool on) {
  ErrnoKeep keep;
  madvise(p, size, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

}  // namespace thrum::os
