#include <cxxabi.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include "../unit.hpp"

using namespace unit;

namespace {

// What a started thread saw of itself.
struct Seen {
  Atomic<u32> tid{0};
  Atomic<bool> go{false};
  char name[16] = {};
  bool blocked = false;
  void* eh = nullptr;
  void* eh_own = nullptr;
  int count = 0;
};

void look(void* arg) {
  Seen& s = *static_cast<Seen*>(arg);
  s.tid.store(os::thread_id(), release);
  until([&] { return s.go.load(acquire); });
  prctl(PR_GET_NAME, s.name);
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  s.blocked = sigismember(&set, SIGUSR2);
  s.eh = os::eh_globals();
  s.eh_own = abi::__cxa_get_globals();
  s.count = os::thread_count();
}

}  // namespace

TEST_CASE("thread: starts, has its name, is joined") {
  int before = os::thread_count();
  Seen s;
  os::Thread t;
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  REQUIRE(os::thread_start(t, look, &s, "weaver") == 0);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  s.go.store(true, release);
  os::thread_join(t);
  CHECK(s.tid.load() != 0);
  CHECK(s.tid.load() != os::thread_id());
  CHECK(strcmp(s.name, "weaver") == 0);
  CHECK(s.blocked);
  CHECK(s.count == before + 1);
  CHECK(os::thread_id() == static_cast<u32>(getpid()));  // of the main thread
}

TEST_CASE("thread: a name too long for the kernel is no failure") {
  Seen s;
  os::Thread t;
  REQUIRE(os::thread_start(t, look, &s, "a name of more than fifteen") == 0);
  s.go.store(true, release);
  os::thread_join(t);
  CHECK(s.tid.load() != 0);
}

TEST_CASE("thread: exception globals are each thread's own") {
  Seen s;
  os::Thread t;
  REQUIRE(os::thread_start(t, look, &s, "unit") == 0);
  s.go.store(true, release);
  os::thread_join(t);
  CHECK(s.eh != nullptr);
  CHECK(s.eh == s.eh_own);
  CHECK(os::eh_globals() == abi::__cxa_get_globals());
  CHECK(os::eh_globals() != s.eh);
}

TEST_CASE("thread: no more threads is an answer") {
#if defined(THRUM_TSAN) || defined(THRUM_ASAN)
  UNIT_SKIP("the sanitizers die when a thread cannot be made");
#endif
  Child c = in_child([] {
    if (!limits_work()) {
      _exit(kNoLimits);
    }
    // No room for its stack.
    rlimit tight{0, 0};
    getrlimit(RLIMIT_AS, &tight);
    tight.rlim_cur = size_t{1} << 20;
    setrlimit(RLIMIT_AS, &tight);
    // More than libc may have stacks left of earlier ones.
    for (int i = 0; i < 100; ++i) {
      os::Thread t;
      int err = os::thread_start(
          t, [](void*) { pause(); }, nullptr, "unit");
      if (err) {
        _exit(err == -EAGAIN || err == -ENOMEM ? 0 : 1);
      }
    }
    _exit(2);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no limit on address space here");
  }
  CHECK_CHILD(c.exited(0), c);
}

TEST_CASE("thread: yield comes back") { os::thread_yield(); }

TEST_CASE("thread: timer slack is the calling thread's") {
  int before = prctl(PR_GET_TIMERSLACK);
  if (before < 0) {
    UNIT_SKIP("no timer slack to be read here");
  }
  int got = 0;
  {
    Thread t([&] {
      os::timer_slack(1);
      got = prctl(PR_GET_TIMERSLACK);
    });
  }
  CHECK(got == 1);
  CHECK(prctl(PR_GET_TIMERSLACK) == before);
}

TEST_CASE("thread: how many CPUs the mask allows") {
  cpu_set_t all, some;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  CHECK(os::cpus_allowed() == CPU_COUNT(&all));
  CPU_ZERO(&some);
  int want = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && want < 2; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &some);
      ++want;
      REQUIRE(sched_setaffinity(0, sizeof some, &some) == 0);
      CHECK(os::cpus_allowed() == want);
    }
  }
  sched_setaffinity(0, sizeof all, &all);
  CHECK(os::cpus_allowed() == CPU_COUNT(&all));
}

TEST_CASE("process: the environment, and a readable descriptor") {
  setenv("THRUM_UNIT", "warp", 1);
  const char* text = os::env("THRUM_UNIT");
  REQUIRE(text != nullptr);
  CHECK(strcmp(text, "warp") == 0);
  CHECK(os::env("THRUM_UNIT_NOT_THERE") == nullptr);
  unsetenv("THRUM_UNIT");

  int fds[2];
  REQUIRE(pipe(fds) == 0);
  CHECK_FALSE(os::fd_readable(fds[0]));
  REQUIRE(write(fds[1], "x", 1) == 1);
  CHECK(os::fd_readable(fds[0]));
  char x;
  REQUIRE(read(fds[0], &x, 1) == 1);
  CHECK_FALSE(os::fd_readable(fds[0]));
  close(fds[0]);
  close(fds[1]);
}
