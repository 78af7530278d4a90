// Descriptors of the host's: waited for, never read or written here.
//
// thrum watches a duplicate, so the host's number is the host's alone, and leaves
// the file's flags as they are. What is ready is asked of the kernel before each
// wait: the host may have read since the last event.
// SPDX-License-Identifier: MIT
#pragma once
#include "net/pollfd.hpp"

namespace thrum {

struct ForeignFd {  // thrum_fd
  PollFd fd;
};

// kEPERM: what epoll refuses (files, directories).
int foreign_new(Runtime* rt, int fd, ForeignFd** out);
// Which of `events` (os::kReadable, os::kWritable) are there, or an error.
int foreign_wait(M*& m, ForeignFd* f, int events, i64 deadline);
int foreign_poll(M*& m, Runtime* rt, int fd, int events, i64 deadline);

}  // namespace thrum
