// SPDX-License-Identifier: MIT
#include "os/linux/file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

namespace thrum::os {

int above_std(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) {
    return fd;
  }
  int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int err = errno == EINVAL ? EMFILE : errno;  // no number above is allowed
  close(fd);
  errno = err;
  return above;
}

bool read_text(const char* path, char* buf, size_t size) {
  int fd = above_std(open(path, O_RDONLY | O_CLOEXEC));
  if (fd < 0) {
    return false;
  }
  size_t n = 0;
  while (n + 1 < size) {
    ssize_t r = read(fd, buf + n, size - 1 - n);
    if (r <= 0) {
      break;
    }
    n += static_cast<size_t>(r);
  }
  buf[n] = 0;
  close(fd);
  return n > 0;
}

bool read_thread(u32 tid, const char* name, char* buf, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%u/%s", tid, name);
  return read_text(path, buf, size);
}

}  // namespace thrum::os
