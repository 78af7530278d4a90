#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "../unit.hpp"
#include "os/cpu_share.hpp"
#include "os/socket.hpp"

using namespace unit;

namespace {

bool readable(const os::WakeFd& w, int ms = 0) {
  pollfd p{w.epoll, POLLIN, 0};
  return poll(&p, 1, ms) > 0 && (p.revents & POLLIN);
}

struct Open {
  os::WakeFd w;
  Open() { REQUIRE(os::wake_fd_open(w) == 0); }
  ~Open() { os::wake_fd_close(w); }
};

}  // namespace

TEST_CASE("wake_fd: three descriptors, closed on exec, given back") {
  os::WakeFd w;
  REQUIRE(os::wake_fd_open(w) == 0);
  for (int fd : {w.epoll, w.event, w.timer}) {
    CHECK(fd >= 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC));
  }
  int fd = w.epoll;
  os::wake_fd_close(w);
  CHECK(fcntl(fd, F_GETFD) == -1);
  CHECK(w.epoll == -1);
  CHECK(w.event == -1);
  CHECK(w.timer == -1);
  os::wake_fd_close(w);  // again: nothing
}

TEST_CASE("wake_fd: readable from raise to clear") {
  Open o;
  CHECK_FALSE(readable(o.w));
  os::wake_fd_raise(o.w);
  CHECK(readable(o.w));
  CHECK(readable(o.w));
  os::wake_fd_raise(o.w);
  os::wake_fd_raise(o.w);
  os::wake_fd_clear(o.w);  // one clear for any number
  CHECK_FALSE(readable(o.w));
  os::wake_fd_clear(o.w);  // and one for none
  CHECK_FALSE(readable(o.w));
  os::wake_fd_raise(o.w);
  CHECK(readable(o.w));
}

TEST_CASE("wake_fd: readable when its timer is due") {
  Open o;
  os::wake_fd_at(o.w, os::now_ns() + 3600 * kSecond);
  CHECK_FALSE(readable(o.w));
  os::wake_fd_at(o.w, os::now_ns() - kSecond);
  CHECK(readable(o.w, 10'000));
  os::wake_fd_clear(o.w);  // the event's, not the timer's
  CHECK(readable(o.w));
  os::wake_fd_at(o.w, kForever);
  CHECK_FALSE(readable(o.w));
  os::wake_fd_at(o.w, 0);  // long past, not "none"
  CHECK(readable(o.w, 10'000));
  os::wake_fd_at(o.w, kForever);
  CHECK_FALSE(readable(o.w));

  i64 deadline = os::now_ns() + 5 * kMs;
  os::wake_fd_at(o.w, deadline);
  CHECK(readable(o.w, 20'000));
  CHECK(os::now_ns() >= deadline);
}

TEST_CASE("wake_fd: no descriptors is an answer, and leaves none behind") {
  rlimit old, tight;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
  int next = dup(0);
  REQUIRE(next >= 0);
  close(next);
  for (int room = 0; room < 3; ++room) {
    tight = old;
    tight.rlim_cur = static_cast<rlim_t>(next + room);
    os::WakeFd w;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    int err = os::wake_fd_open(w);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK(err == -EMFILE);
    CHECK(w.epoll == -1);
    CHECK(w.event == -1);
    CHECK(w.timer == -1);
    int now = dup(0);
    CHECK(now == next);
    close(now);
  }
}

TEST_CASE("wake_fd: the number of a closed standard descriptor is the host's") {
  int kept = fcntl(0, F_DUPFD_CLOEXEC, 3);
  REQUIRE(kept > 2);
  REQUIRE(close(0) == 0);
  os::WakeFd w;
  int opened = os::wake_fd_open(w);
  int share = os::share_open(os::thread_id());
  int copy = os::fd_dup(kept);
  bool left = fcntl(0, F_GETFD) < 0;  // to who opens a file now
  REQUIRE(dup2(kept, 0) == 0);
  close(kept);
  CHECK(opened == 0);
  CHECK(w.epoll > 2);
  CHECK(w.event > 2);
  CHECK(w.timer > 2);
  CHECK(share > 2);
  CHECK(copy > 2);
  CHECK(left);
  os::wake_fd_close(w);
  os::fd_close(share);
  os::fd_close(copy);
}
