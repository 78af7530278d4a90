// An epoll descriptor over an eventfd and a timerfd: host loops poll one
// number, thrum raises or times it.
// SPDX-License-Identifier: MIT
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

int wake_fd_open(WakeFd& w) {
  ErrnoKeep keep;
  w.epoll = above_std(epoll_create1(EPOLL_CLOEXEC));
  w.event = above_std(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  w.timer =
      above_std(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  epoll_event ev{};
  ev.events = EPOLLIN;
  if (w.epoll < 0 || w.event < 0 || w.timer < 0 ||
      epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.event, &ev) < 0 ||
      epoll_ctl(w.epoll, EPOLL_CTL_ADD, w.timer, &ev) < 0) {
    int err = -errno;
    wake_fd_close(w);
    return err;
  }
  return 0;
}

void wake_fd_close(WakeFd& w) {
  ErrnoKeep keep;
  for (int* fd : {&w.epoll, &w.event, &w.timer}) {
    if (*fd >= 0) {
      close(*fd);
    }
    *fd = -1;
  }
}

void wake_fd_raise(WakeFd& w) {
  ErrnoKeep keep;
  u64 one = 1;
  ssize_t ignored = write(w.event, &one, sizeof one);
  (void)ignored;
}

void wake_fd_clear(WakeFd& w) {
  ErrnoKeep keep;
  u64 n;
  ssize_t ignored = read(w.event, &n, sizeof n);
  (void)ignored;
}

void wake_fd_at(WakeFd& w, i64 deadline) {
  ErrnoKeep keep;
  itimerspec it{};
  if (deadline != kForever) {
    i64 at = deadline > 0 ? deadline : 1;  // 0 would disarm
    it.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000);
    it.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000);
  }
  timerfd_settime(w.timer, TFD_TIMER_ABSTIME, &it, nullptr);
}

void wake_fd_watch(WakeFd& w, int fd) {
  ErrnoKeep keep;
  epoll_event ev{};
  ev.events = EPOLLIN;
  epoll_ctl(w.epoll, EPOLL_CTL_ADD, fd, &ev);
}

}  // namespace thrum::os
