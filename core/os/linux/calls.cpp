// SPDX-License-Identifier: MIT
#include "os/calls.hpp"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

struct Walk {
  u64* pcs;
  u32 n, most;
  u32 skip;
};

_Unwind_Reason_Code note(_Unwind_Context* context, void* arg) {
  auto& w = *static_cast<Walk*>(arg);
  u64 pc = _Unwind_GetIP(context);
  if (w.skip) {
    --w.skip;
  } else if (!pc || w.n == w.most) {
    return _URC_END_OF_STACK;
  } else {
    w.pcs[w.n++] = pc;
  }
  return _URC_NO_REASON;
}

struct EachText {
  void (*fn)(void*, u64, u64, u64, const char*);
  void* arg;
  char self[1024];  // the program's own name is not in the list
};

int tell(dl_phdr_info* info, size_t, void* arg) {
  auto& e = *static_cast<EachText*>(arg);
  const char* name =
      info->dlpi_name && info->dlpi_name[0] ? info->dlpi_name : e.self;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    if (h.p_type == PT_LOAD && (h.p_flags & PF_X)) {
      u64 lo = info->dlpi_addr + h.p_vaddr;
      e.fn(e.arg, lo, lo + h.p_memsz, h.p_offset, name);
    }
  }
  return 0;
}

}  // namespace

THRUM_NOINLINE u32 call_stack(u64* pcs, u32 most) {
  Walk w{pcs, 0, most, 1};  // without this function
  _Unwind_Backtrace(note, &w);
  return w.n;
}

void each_text(void (*fn)(void*, u64, u64, u64, const char*), void* arg) {
  ErrnoKeep keep;
  EachText e{fn, arg, {}};
  ssize_t n = readlink("/proc/self/exe", e.self, sizeof e.self - 1);
  e.self[n > 0 ? n : 0] = 0;
  dl_iterate_phdr(tell, &e);
}

bool function_name(u64 pc, char* out, size_t size) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(pc), &info) || !info.dli_sname) {
    return false;
  }
  snprintf(out, size, "%s", info.dli_sname);
  return true;
}

}  // namespace thrum::os
