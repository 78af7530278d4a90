// Where another thread of this process is, without stopping it.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

// The text segments of all loaded objects, looked up once per walk.
struct Texts {
  struct Range {
    u64 lo, hi;
  } ranges[256];
  u32 count;
};

int add_texts(dl_phdr_info* info, size_t, void* arg) {
  Texts& t = *static_cast<Texts*>(arg);
  for (int i = 0; i < info->dlpi_phnum && t.count < 256; ++i) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    if (h.p_type == PT_LOAD && (h.p_flags & PF_X) && (h.p_flags & PF_R)) {
      u64 lo = info->dlpi_addr + h.p_vaddr;
      t.ranges[t.count++] = {lo, lo + h.p_memsz};
    }
  }
  return 0;
}

// Is pc what a call leaves behind?
bool behind_call(const Texts& t, u64 pc) {
  for (u32 i = 0; i < t.count; ++i) {
    if (pc < t.ranges[i].lo + 8 || pc >= t.ranges[i].hi) {
      continue;
    }
    const u8* at = reinterpret_cast<const u8*>(pc);
#if defined(__x86_64__)
    return at[-5] == 0xe8 || (at[-2] == 0xff && (at[-1] & 0x38) == 0x10) ||
           (at[-3] == 0xff && (at[-2] & 0x38) == 0x10) ||
           (at[-6] == 0xff && (at[-5] & 0x38) == 0x10) ||
           (at[-7] == 0xff && (at[-6] & 0x38) == 0x10);
#else
    u32 op;
    memcpy(&op, at - 4, sizeof op);
    return (op & 0xfc000000) == 0x94000000 || (op & 0xfffffc1f) == 0xd63f0000;
#endif
  }
  return false;
}

}  // namespace

bool thread_where(u32 tid, u64* pc, u64* sp) {
  ErrnoKeep keep;
  char text[256];
  if (!read_thread(tid, "syscall", text, sizeof text)) {
    return false;
  }
  // "nr a0 a1 a2 a3 a4 a5 sp pc", "-1 sp pc", or "running".
  char* last = strrchr(text, ' ');
  if (!last) {
    return false;
  }
  *pc = strtoull(last, nullptr, 16);
  *last = 0;
  last = strrchr(text, ' ');
  if (!last) {
    return false;
  }
  *sp = strtoull(last, nullptr, 16);
  return *sp != 0;
}

__attribute__((no_sanitize("thread", "address"))) void
stack_copy(u64 from, u64* to, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    to[i] = reinterpret_cast<const volatile u64*>(from)[i];
  }
}

// The stack is another thread's, which may write it meanwhile.
__attribute__((no_sanitize("thread", "address"))) u32
stack_calls(u64 sp, u64 hi, u64* pcs, u32 most) {
  ErrnoKeep keep;
  Texts* t = static_cast<Texts*>(calloc(1, sizeof(Texts)));
  if (!t) {
    return 0;
  }
  dl_iterate_phdr(add_texts, t);
  u32 n = 0;
  for (u64 at = (sp + 7) & ~u64{7}; at + 8 <= hi && n < most; at += 8) {
    u64 word =
        __atomic_load_n(reinterpret_cast<const u64*>(at), __ATOMIC_RELAXED);
    if (behind_call(*t, word)) {
      pcs[n++] = word;
    }
  }
  free(t);
  return n;
}

}  // namespace thrum::os
