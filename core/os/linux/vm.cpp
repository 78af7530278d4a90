// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/linux/mman.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {
// One call for many where the kernel lets a process advise itself (6.13).
int advise_all(const Span* spans, u32 n, int advice) {
  constexpr u32 kMost = 1024;  // IOV_MAX
  u32 done = 0;
  while (n - done > 1) {
    u32 some = min(n - done, kMost);
    size_t bytes = 0;
    for (u32 i = 0; i < some; ++i) {
      bytes += spans[done + i].bytes;
    }
    long rc =
        syscall(SYS_process_madvise, kPidfdSelf, spans + done, some, advice, 0);
    if (rc < 0 || static_cast<size_t>(rc) != bytes) {
      break;
    }
    done += some;
  }
  for (; done < n; ++done) {
    if (madvise(spans[done].p, spans[done].bytes, advice) != 0) {
      return -errno;
    }
  }
  return 0;
}
}  // namespace

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

void* vm_reserve(size_t size) {
  ErrnoKeep keep;
  void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

char* vm_reserve_aligned(size_t size, size_t align) {
  char* raw = static_cast<char*>(vm_reserve(size + align));
  if (!raw) {
    return nullptr;
  }
  size_t over = reinterpret_cast<uintptr_t>(raw) % align;
  char* at = raw + (over ? align - over : 0);
  if (at > raw) {
    vm_release(raw, static_cast<size_t>(at - raw));
  }
  char* end = at + size;
  if (raw + size + align > end) {
    vm_release(end, static_cast<size_t>(raw + size + align - end));
  }
  return at;
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

int vm_drop_all(const Span* spans, u32 n) {
  ErrnoKeep keep;
  return advise_all(spans, n, MADV_DONTNEED);
}

// A guard over a page that is there would flush the TLB page by page.
int vm_guard_all(const Span* spans, u32 n) {
  ErrnoKeep keep;
  return advise_all(spans, n, kGuardInstall);
}

void vm_unguard(void* p, size_t size) {
  ErrnoKeep keep;
  madvise(p, size, kGuardRemove);
}

size_t vm_resident(void* p, size_t size, char** lowest) {
  ErrnoKeep keep;
  unsigned char map[512];
  size_t page = page_size();
  size_t found = 0;
  char* at = static_cast<char*>(p);
  char* end = at + size;
  *lowest = end;
  while (at < end) {
    size_t bytes = min(static_cast<size_t>(end - at), sizeof map * page);
    if (mincore(at, bytes, map) != 0) {
      break;
    }
    for (size_t i = 0; i * page < bytes; ++i) {
      if (map[i] & 1) {
        *lowest = min(*lowest, at + i * page);
        found += page;
      }
    }
    at += bytes;
  }
  return found;
}

void memory_of_process(u64* rss, u64* page_tables) {
  ErrnoKeep keep;
  char text[4096];
  bool known = read_text("/proc/self/status", text, sizeof text);
  auto kib = [&](const char* key) {
    const char* at = known ? strstr(text, key) : nullptr;
    return at ? strtoull(at + strlen(key), nullptr, 10) * 1024 : 0;
  };
  *rss = kib("\nVmRSS:");
  *page_tables = kib("\nVmPTE:");
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
