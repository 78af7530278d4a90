// For the debug mode: pthread mutexes that a thread holds, as far as they can be
// found. glibc keeps the owner's thread id in a mutex; one is looked for where the
// caller points, behind pointers that lie there, and in the data of the program.
// SPDX-License-Identifier: MIT
#include <link.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

#if defined(__GLIBC__)

namespace {

__attribute__((no_sanitize("thread", "address"))) bool
held(const pthread_mutex_t& m, u32 tid) {
  return m.__data.__owner == static_cast<int>(tid) &&
         (m.__data.__lock == 1 || m.__data.__lock == 2) &&
         m.__data.__nusers >= 1 && m.__data.__nusers < 1000 &&
         m.__data.__kind >= 0 && m.__data.__kind <= 3;
}

struct Hunt {
  u32 tid;
  void** out;
  u32 count, most;
  size_t left;  // bytes of data segments still to be looked at

  void found(const void* at) {
    for (u32 i = 0; i < count; ++i) {
      if (out[i] == at) {
        return;
      }
    }
    if (count < most) {
      out[count++] = const_cast<void*>(at);
    }
  }
};

// The memory belongs to others, who may write it meanwhile.
__attribute__((no_sanitize("thread", "address"))) void look(Hunt& h, u64 lo,
                                                            u64 hi) {
  for (u64 at = (lo + 7) & ~u64{7}; at + sizeof(pthread_mutex_t) <= hi;
       at += 8) {
    auto* m = reinterpret_cast<const pthread_mutex_t*>(at);
    if (held(*m, h.tid)) {
      h.found(m);
    }
  }
}

// A word may be no address at all: the kernel is asked.
__attribute__((no_sanitize("thread", "address"))) void follow(Hunt& h, u64 lo,
                                                              u64 hi) {
  for (u64 at = (lo + 7) & ~u64{7}; at + 8 <= hi; at += 8) {
    u64 word = *reinterpret_cast<const u64*>(at);
    if (word % 8 || word < 4096 || (word >= lo && word < hi)) {
      continue;
    }
    pthread_mutex_t copy;
    iovec to{&copy, sizeof copy};
    iovec from{reinterpret_cast<void*>(word), sizeof copy};
    if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) ==
            static_cast<ssize_t>(sizeof copy) &&
        held(copy, h.tid)) {
      h.found(reinterpret_cast<void*>(word));
    }
  }
}

int look_at_data(dl_phdr_info* info, size_t, void* arg) {
  Hunt& h = *static_cast<Hunt*>(arg);
  if (info->dlpi_name && info->dlpi_name[0]) {
    return 0;  // the program's own data only
  }
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& p = info->dlpi_phdr[i];
    if (p.p_type == PT_LOAD && (p.p_flags & PF_W)) {
      size_t size = min(size_t{p.p_memsz}, h.left);
      u64 lo = info->dlpi_addr + p.p_vaddr;
      look(h, lo, lo + size);
      h.left -= size;
    }
  }
  return 0;
}

}  // namespace

u32 held_mutexes(u32 tid, u64 lo, u64 hi, void** out, u32 most) {
  ErrnoKeep keep;
  Hunt h{tid, out, 0, most, size_t{4} << 20};
  look(h, lo, hi);
  follow(h, lo, hi);
  dl_iterate_phdr(look_at_data, &h);
  return h.count;
}

#else

u32 held_mutexes(u32, u64, u64, void**, u32) { return 0; }

#endif

}  // namespace thrum::os
