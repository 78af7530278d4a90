// SPDX-License-Identifier: MIT
#include "os/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/posix/quietly.hpp"
#include "os/posix/result.hpp"

namespace thrum::os {

int fd_poll(int fd, int events) {
  ErrnoKeep keep;
  pollfd p{fd, 0, 0};
  p.events =
      static_cast<short>(((events & kReadable) ? POLLIN | POLLRDHUP : 0) |
                         ((events & kWritable) ? POLLOUT : 0));
  if (poll(&p, 1, 0) < 0) {
    return errno == EINTR ? 0 : -errno;
  }
  if (p.revents & POLLNVAL) {
    return -EBADF;
  }
  if (p.revents & (POLLERR | POLLHUP)) {
    return events;
  }
  return events & (((p.revents & (POLLIN | POLLRDHUP)) ? kReadable : 0) |
                   ((p.revents & POLLOUT) ? kWritable : 0));
}

bool fd_sleep(int fd, i64 deadline) {
  ErrnoKeep keep;
  pollfd p{fd, POLLIN, 0};
  timespec left{};
  if (deadline != kForever) {
    i64 ns = max(deadline - now_ns(), i64{0});
    left.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
    left.tv_nsec = static_cast<long>(ns % 1'000'000'000);
  }
  return ppoll(&p, 1, deadline == kForever ? nullptr : &left, nullptr) > 0;
}

int epoll_edge(int epoll, int fd) {
  ErrnoKeep keep;
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
  e.data.fd = fd;  // as libuv has it
  return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e) < 0 ? -errno : 0;
}

int fd_vacate(int fd, int epoll) {
  ErrnoKeep keep;
  int other = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (other < 0) {
    return -errno;
  }
  epoll_event none{};
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &none);
  while (dup3(other, fd, O_CLOEXEC) < 0 && errno == EINTR) {}
  close(other);
  return 0;
}

StdTaken::StdTaken() {
  ErrnoKeep keep;
  for (int& fd : fds_) {
    fd = eventfd(0, EFD_CLOEXEC);
    if (fd > STDERR_FILENO) {
      close(fd);
      fd = -1;
    }
  }
}

StdTaken::~StdTaken() {
  ErrnoKeep keep;
  for (int fd : fds_) {
    if (fd >= 0) {
      close(fd);
    }
  }
}

int fd_pollable(int fd) {
  ErrnoKeep keep;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) {
    return -errno;
  }
  epoll_event e{};
  int err = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
  close(epoll);
  return err;
}

int sock_accept(int fd) {
  return result([&] {
    return accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  });
}

// The C library's are cancellation points: some 25 ns more for each in a process
// with threads. The sanitizers know them alone.
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
i64 sock_send(int fd, const void* buf, size_t n) {
  return result([&] { return send(fd, buf, n, MSG_NOSIGNAL); });
}
i64 sock_recv(int fd, void* buf, size_t n) {
  return result([&] { return recv(fd, buf, n, 0); });
}
#else
i64 sock_send(int fd, const void* buf, size_t n) {
  return result([&] {
    return syscall(SYS_sendto, fd, buf, n, MSG_NOSIGNAL, nullptr, 0);
  });
}
i64 sock_recv(int fd, void* buf, size_t n) {
  return result(
      [&] { return syscall(SYS_recvfrom, fd, buf, n, 0, nullptr, nullptr); });
}
#endif

// sendfile knows no MSG_NOSIGNAL: the signal, which is for this thread alone, is
// held back and taken.
i64 send_file(int to, int from, i64 offset, size_t n) {
  off_t at = offset;
  return quietly([&] { return sendfile(to, from, &at, n); }, n);
}

}  // namespace thrum::os
