// A descriptor's word: marks, turns, what cannot be armed; and the poller that
// tells of events.
#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

#include "../objects.hpp"
#include "net/poller.hpp"

using namespace unit;

namespace {

// libuv opens two descriptors with the first loop of a process, and keeps them.
const int kWarm = [] {
  uv_loop_t loop;
  return uv_loop_init(&loop) || uv_loop_close(&loop);
}();

Runtime* own() { return this_m()->rt; }

PollFd* watch_fd(int fd, bool stream = true) {
  Enter e;
  PollFd* f = nullptr;
  int err = fd_new(own(), fd, stream, sizeof(PollFd), &f);
  CHECK(err == 0);
  return f;
}
void let_go_of(PollFd* f) {
  Enter e;
  fd_release(e.m, f);
}
int close_fd(PollFd* f) {
  Enter e;
  return fd_close(e.m, f);
}
int wait_for(PollFd* f, Dir d, i64 deadline) {
  EnterParking e(deadline);
  return fd_wait(e.m, f, d, deadline);
}
int take_turn(PollFd* f, Dir d, i64 deadline = kForever) {
  EnterParking e(deadline);
  return turn_take(e.m, f, d, deadline);
}
void give_turn(PollFd* f, Dir d) {
  Enter e;
  turn_give(e.m, f, d);
}

struct Pair {
  int a = -1, b = -1;
  Pair() {
    int fds[2];
    int err = os::sock_pair(fds);
    CHECK(err == 0);
    a = fds[0];
    b = fds[1];
  }
};
void say(int fd) { CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1); }

}  // namespace

TEST_CASE("poller: libuv has a loop") { CHECK(kWarm == 0); }

TEST_CASE("pollfd: an event without a waiter leaves its mark, once") {
  for (const Config& c : {still(), config(2), hosted()}) {
    in_g(c, [] {
      Pair p;
      PollFd* f = watch_fd(p.a);
      int rc = wait_for(f, Dir::read, in_ns(kMs));
      CHECK(rc == kETIMEDOUT);
      // What comes between libuv's adding and the edge trigger is told of twice.
      say(p.b);
      rc = wait_for(f, Dir::read, soon());
      CHECK(rc == 0);
      while (wait_for(f, Dir::read, in_ns(20 * kMs)) == 0) {}
      for (int i = 0; i < 3; ++i) {
        say(p.b);
        rc = wait_for(f, Dir::read, soon());
        CHECK(rc == 0);
        rc = wait_for(f, Dir::read, in_ns(kMs));  // nothing new
        CHECK(rc == kETIMEDOUT);
      }
      let_go_of(f);
      os::fd_close(p.b);
    });
  }
}

TEST_CASE(
    "pollfd: a thousand arrivals that nobody waits for are marks, no work") {
  in_g(config(2), [] {
    Pair p;
    PollFd* f = watch_fd(p.a);
    int rc = wait_for(f, Dir::read, in_ns(kMs));
    CHECK(rc == kETIMEDOUT);
    u32 before = fd_events(f);
    for (int i = 0; i < 1000; ++i) {
      say(p.b);
      char c;
      CHECK(recv(p.a, &c, 1, MSG_DONTWAIT) == 1);  // as a host might
      if (i % 50 == 0) {
        (void)sleep_ns(50'000);  // an M looks
      }
    }
    say(p.b);  // and one that stays
    rc = wait_for(f, Dir::read, soon());
    CHECK(rc == 0);
    rc = wait_for(f, Dir::read, in_ns(kMs));
    CHECK((rc == 0 || rc == kETIMEDOUT));  // one from before, perhaps
    // All that came is told of after a while, and then nothing again.
    u32 told;
    int looks = 0;
    do {
      told = fd_events(f);
      (void)sleep_ns(10 * kMs);
    } while (fd_events(f) != told && ++looks < 100);
    CHECK(looks < 100);
    CHECK(told - before <= 1001);
    let_go_of(f);
    os::fd_close(p.b);
  });
}

TEST_CASE("pollfd: what cannot be armed is an answer") {
  in_g(config(2), [] {
    Pair p;
    PollFd* f = watch_fd(p.a);
    PollFd* again = watch_fd(p.a);  // libuv takes no number twice
    say(p.b);
    int rc = wait_for(f, Dir::read, soon());
    CHECK(rc == 0);  // so it is armed
    int tries = 0;
    do {
      rc = wait_for(again, Dir::read, soon());
    } while (rc == 0 && ++tries < 10);
    CHECK(rc == kEEXIST);
    CHECK(tries <= 2);
    let_go_of(again);
    let_go_of(f);
    os::fd_close(p.b);
  });
}

TEST_CASE(
    "poller: an error that comes with the arming leaves the edge trigger") {
  in_g(config(1), [] {
    int fds[2];
    int err = pipe2(fds, O_CLOEXEC | O_NONBLOCK);
    CHECK(err == 0);
    os::fd_close(fds[0]);
    PollFd* f = watch_fd(fds[1], false);
    int rc = wait_for(f, Dir::write, soon());
    CHECK(rc == 0);
    CHECK(poller_edge(f->poller));
    (void)sleep_ns(kMs);
    CHECK(poller_edge(f->poller));
    let_go_of(f);
  });
}

TEST_CASE(
    "pollfd: turns go round in order, and who leaves early is passed over") {
  in_g(still(), [] {
    Pair p;
    PollFd* f = watch_fd(p.a);
    u32 n = 0, order[5] = {};
    int rc = take_turn(f, Dir::read);
    CHECK(rc == 0);
    rc = take_turn(f, Dir::read, kTry);
    CHECK(rc == kEAGAIN);
    rc = take_turn(f, Dir::write, kTry);  // the other direction is free
    CHECK(rc == 0);
    give_turn(f, Dir::write);
    u64 gs[5];
    for (u32 i = 0; i < 5; ++i) {
      gs[i] = go([&, i] {
        int mine = take_turn(f, Dir::read);
        if (i == 2) {
          CHECK(mine == kECANCELED);
          return;
        }
        CHECK(mine == 0);
        order[n++] = i;
        (void)yield();
        give_turn(f, Dir::read);
      });
      wait_parked(gs[i]);
    }
    rc = cancel(gs[2]);
    CHECK(rc == 0);
    give_turn(f, Dir::read);
    for (u64 g : gs) {
      (void)join(g);
    }
    CHECK(n == 4);
    CHECK(order[0] == 0);
    CHECK(order[1] == 1);
    CHECK(order[2] == 3);
    CHECK(order[3] == 4);
    rc = take_turn(f, Dir::read, kTry);
    CHECK(rc == 0);
    give_turn(f, Dir::read);
    let_go_of(f);
    os::fd_close(p.b);
  });
}

TEST_CASE("pollfd: closing takes new calls off, wakes all, and the last call "
          "closes") {
  in_g(still(), [] {
    Pair p;
    PollFd* f = watch_fd(p.a);
    int rc = take_turn(f, Dir::read);
    CHECK(rc == 0);
    int got = 0, queued = 0;
    u64 waits = go([&] { got = wait_for(f, Dir::read, kForever); });
    wait_parked(waits);
    u64 behind = go([&] { queued = take_turn(f, Dir::read); });
    wait_parked(behind);
    rc = close_fd(f);
    CHECK(rc == 0);
    (void)join(waits);
    (void)join(behind);
    CHECK(got == kECLOSED);
    CHECK(queued == kECLOSED);
    rc = take_turn(f, Dir::write, kTry);
    CHECK(rc == kECLOSED);
    CHECK(fcntl(p.a, F_GETFD) >= 0);  // we are still inside
    char c;
    CHECK(recv(p.b, &c, 1, MSG_DONTWAIT) < 0);
    give_turn(f, Dir::read);
    CHECK(recv(p.b, &c, 1, MSG_DONTWAIT) == 0);
    let_go_of(f);
    os::fd_close(p.b);
  });
}

TEST_CASE("pollfd: where nobody watches beside a busy P, what comes is seen") {
  in_owned(config(2), [] {
    Pair p;
    PollFd* f = watch_fd(p.a);
    Atomic<u32> seen{0};
    bool unwatched =
        false;  // beside the one who says, while the other M sleeps
    constexpr u32 kRounds = 30;
    u64 h = go([&] {
      char c;
      for (u32 n = 0; n < kRounds;) {
        CHECK(wait_for(f, Dir::read, kForever) == 0);
        if (recv(p.a, &c, 1, MSG_DONTWAIT) == 1) {
          seen.store(++n);
        }
      }
    });
    for (u32 n = 0; n < kRounds; ++n) {
      own()->wake_late.store(u64{1} << 40);
      bool blocks = n % 3 == 2;
      if (blocks) {
        Enter e;
        (void)enter_blocking(e.m, 0);
      }
      say(p.b);
      while (seen.load() <= n) {
        unwatched |= own()->idle_count.load() == 1 && !own()->watcher.load();
        if (n % 3 == 0) {
          (void)yield();
        } else {
          os::thread_sleep(50'000);  // as who computes
        }
      }
      if (blocks) {
        Enter e;
        (void)exit_blocking(e.m);
      }
    }
    (void)join(h);
    CHECK(unwatched);
    let_go_of(f);
    os::fd_close(p.b);
  });
}
