// SPDX-License-Identifier: MIT
#include "net/foreign.hpp"

namespace thrum {

int foreign_new(Runtime* rt, int fd, ForeignFd** out) {
  *out = nullptr;
  if (int err = os::fd_pollable(fd)) {
    return err;
  }
  int own = os::fd_dup(fd);
  if (own < 0) {
    return own;
  }
  int err = fd_new(rt, own, false, sizeof(ForeignFd),
                   reinterpret_cast<PollFd**>(out));
  if (err) {
    os::fd_close(own);
  } else {
    (*out)->fd.foreign = true;
  }
  return err;
}

int foreign_wait(M*& m, ForeignFd* f, int events, i64 deadline) {
  PollFd* fd = &f->fd;
  int result = call_begin(fd);
  if (result) {
    return result;
  }
  Dir d = events == os::kReadable   ? Dir::read
          : events == os::kWritable ? Dir::write
                                    : Dir::either;
  for (;;) {
    u32 seen = fd_events(fd);
    result = os::fd_poll(fd->fd, events);
    if (result || (result = fd_wait(m, fd, d, deadline, &seen))) {
      break;
    }
  }
  call_end(m, fd);
  return result;
}

int foreign_poll(M*& m, Runtime* rt, int fd, int events, i64 deadline) {
  ForeignFd* f;
  if (int err = foreign_new(rt, fd, &f)) {
    return err;
  }
  int result = foreign_wait(m, f, events, deadline);
  fd_release(m, &f->fd);
  return result;
}

}  // namespace thrum
