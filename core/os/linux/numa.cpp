// Which node memory comes from: set_mempolicy(2), mbind(2), get_mempolicy(2). By
// number, so that no library is needed. Numbers of policies: linux/mempolicy.h.
// SPDX-License-Identifier: MIT
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

constexpr int kDefault = 0, kPreferred = 1, kOfAddress = 2;
constexpr unsigned long kMask = 1024;  // nodes; the kernel wants one bit more

struct NodeMask {
  u64 words[kMask / 64];
};

bool mask_of(u32 node, NodeMask& out) {
  out = NodeMask{};
  if (node >= kMask) {
    return false;
  }
  out.words[node / 64] = u64{1} << node % 64;
  return true;
}

// 0, or why it is not what was asked for.
int read_back(void* at, u32 node) {
  int mode = -1;
  NodeMask mask{};
  if (syscall(SYS_get_mempolicy, &mode, mask.words, kMask + 1, at,
              at ? kOfAddress : 0) != 0) {
    return -errno;
  }
  bool there = mask.words[node / 64] >> node % 64 & 1;
  return mode == kPreferred && there ? 0 : -ENOTSUP;
}

}  // namespace

bool memory_local() {
  ErrnoKeep keep;
  int mode = -1;
  return syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0) == 0 &&
         mode == kDefault;
}

int memory_prefer(u32 node) {
  ErrnoKeep keep;
  NodeMask mask;
  if (!mask_of(node, mask)) {
    return -EINVAL;
  }
  if (syscall(SYS_set_mempolicy, kPreferred, mask.words, kMask + 1) != 0) {
    return -errno;
  }
  return read_back(nullptr, node);
}

int vm_prefer(void* p, size_t size, u32 node) {
  ErrnoKeep keep;
  NodeMask mask;
  if (!mask_of(node, mask)) {
    return -EINVAL;
  }
  if (syscall(SYS_mbind, p, size, kPreferred, mask.words, kMask + 1, 0) != 0) {
    return -errno;
  }
  return read_back(p, node);
}

}  // namespace thrum::os
