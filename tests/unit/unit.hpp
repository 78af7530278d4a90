// What the unit tests share: runtimes, guests, child processes, scale.
//
// A check may stand in a G, but it must not unwind (no REQUIRE there: the core
// under it is built without exceptions), and parking calls come before it, in
// statements of their own: doctest keeps thread-locals.
#pragma once
#include <doctest/doctest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <initializer_list>
#include <utility>

#include "base/err.hpp"
#include "sched/enter.hpp"

namespace unit {

using namespace thrum;

// Fewer rounds where each costs more.
#if defined(THRUM_TSAN)
constexpr u32 kScale = 10;
#elif defined(THRUM_ASAN) || defined(__aarch64__)
constexpr u32 kScale = 4;
#else
constexpr u32 kScale = 1;
#endif
constexpr u32 rounds(u32 n) { return (n + kScale - 1) / kScale; }

constexpr i64 kMs = 1'000'000;
constexpr i64 kSecond = 1'000'000'000;

// A bound that only a broken core reaches, for waits that end long before.
inline i64 soon() { return os::now_ns() + 40 * kScale * kSecond; }

// For cases that a machine cannot do: summary.py counts the line.
#define UNIT_SKIP(why)            \
  do {                            \
    printf("skipped: %s\n", why); \
    return;                       \
  } while (0)

// A check in a table of rows: says which.
#define CHECK_ROW(cond, name) CHECK_MESSAGE(cond, doctest::String(name))

// ---- runtimes --------------------------------------------------------------

inline Config config(u32 procs) {
  Config c{};
  c.procs = procs;
  c.max_threads = 64;
  c.stack_class = mem::stack_class(size_t{256} << 10);
  c.slice_ns = 10 * kMs;
  c.seed = 1;
  return c;
}

// A slice without end: sysmon neither ends a turn nor comes to the rescue, so
// with one P the order of everything is the program's.
inline Config still(u32 procs = 1) {
  Config c = config(procs);
  c.slice_ns = 3600 * kSecond;
  return c;
}

inline Config seeded(u64 seed) {
  Config c = config(1);
  c.deterministic = true;
  c.seed = seed;
  return c;
}

inline Config hosted() {
  Config c = config(1);
  c.hosted = true;
  return c;
}

template <class F>
void call_it(void* f) {
  (*static_cast<F*>(f))();
}
template <class F>
void call_and_delete(void* f) {
  F* own = static_cast<F*>(f);
  (*own)();
  delete own;
}

// What holds in every runtime that has stopped.
inline void check_stopped(Runtime* rt) {
  CHECK(live_gs(rt) == 0);
  CHECK(rt->global.size() == 0);
  CHECK(rt->blocking.load() == 0);
  CHECK(rt->wanting.load() == 0);
  CHECK(rt->spinning.load() == 0);
  CHECK(rt->lent.load() == 0);
  CHECK(rt->drawer.count == 0);
  u32 timers = 0, queued = 0, idle = 0;
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    timers += rt->ps[i]->timers.count();
    queued += rt->ps[i]->queued();
  }
  for (P* p = rt->idle_p; p; p = p->next_idle) {
    ++idle;
  }
  CHECK(timers == 0);
  CHECK(queued == 0);
  CHECK(idle == rt->idle_count.load());
  CHECK(idle == rt->procs.load());
}

struct Rt {
  Runtime* rt = nullptr;

  explicit Rt(u32 procs) : Rt(config(procs)) {}
  explicit Rt(const Config& c) { REQUIRE(rt_new(&rt, c) == 0); }
  ~Rt() {
    if (rt) {
      int err = rt_stop(this_m(), rt, soon());
      CHECK(err == 0);
      check_stopped(rt);
      rt_release(rt);
    }
  }
  Rt(const Rt&) = delete;
  Rt& operator=(const Rt&) = delete;

  Runtime* operator->() const { return rt; }

  // f is the first G.
  template <class F>
  int run(F f) {
    EnterParking e;
    return thrum::run(e.m, rt, call_it<F>, &f);
  }
  int pump(i64 deadline = kForever) {
    EnterParking e;
    return thrum::pump(e.m, rt, deadline);
  }
};

// A runtime for f, which is its first G.
template <class F>
void in_g(const Config& c, F f) {
  Rt rt(c);
  int err = rt.run(f);
  CHECK(err == 0);
}

// ---- what Gs and threads say -----------------------------------------------
// rt null: the caller's own.

inline Runtime* rt_or_own(M* m, Runtime* rt) { return rt ? rt : m->rt; }

inline u64 spawn_fn(Runtime* rt, void (*fn)(void*), void* arg,
                    const SpawnOpts* o = nullptr) {
  Enter e;
  u64 h = 0;
  return spawn(e.m, rt_or_own(e.m, rt), o, fn, arg, &h) ? 0 : h;
}

// As a thread without an M would: through the global queue.
inline u64 spawn_outside(Runtime* rt, void (*fn)(void*), void* arg) {
  u64 h = 0;
  return spawn(nullptr, rt, nullptr, fn, arg, &h) ? 0 : h;
}

// 0: refused.
template <class F>
u64 go_in(Runtime* rt, F f, const SpawnOpts* o = nullptr) {
  F* own = new F(std::move(f));
  u64 h = spawn_fn(rt, call_and_delete<F>, own, o);
  if (!h) {
    delete own;
  }
  return h;
}
template <class F>
u64 go(F f, const SpawnOpts* o = nullptr) {
  return go_in(nullptr, std::move(f), o);
}

inline int yield() {
  EnterParking e;
  return thrum::yield(e.m);
}
inline int join(u64 h, Runtime* rt = nullptr, i64 deadline = kForever) {
  EnterParking e(deadline);
  return thrum::join(e.m, rt_or_own(e.m, rt), h, deadline);
}
inline int cancel(u64 h, Runtime* rt = nullptr) {
  Enter e;
  return thrum::cancel(e.m, rt_or_own(e.m, rt), h);
}
inline int unpark(u64 h, Runtime* rt = nullptr) {
  Enter e;
  return thrum::unpark(e.m, rt_or_own(e.m, rt), h);
}
inline int park(i64 deadline = kForever, const char* reason = nullptr) {
  EnterParking e(deadline);
  return thrum::park(e.m, reason, deadline);
}
inline u64 self() { return thrum::self(this_m()); }
inline G* me() { return g_of(this_m()); }
inline P* my_p() { return this_m()->p; }
inline i64 now() { return now_of(this_m()); }

inline G* g_at(Runtime* rt, u64 h) {
  return table_g(rt->table, handle_slot(h));
}

// The slot may be another G's by now.
inline bool has_ended(Runtime* rt, u64 h) {
  u32 slot = handle_slot(h);
  return handle_of(rt->tag, slot, g_at(rt, h)->word.load(acquire)) != h;
}

inline bool is_parked(Runtime* rt, u64 h) {
  u64 word = g_at(rt, h)->word.load(acquire);
  return handle_of(rt->tag, handle_slot(h), word) == h && (word & kPhase);
}

// As in_g, but on threads of the runtime only: the one that called waits
// outside, and looks after nothing.
template <class F>
void in_owned(const Config& c, F f) {
  Rt rt(c);
  u64 h = spawn_fn(rt.rt, call_it<F>, &f);
  int err = join(h, rt.rt);
  CHECK(err == 0);
}

// Lets others run until done() is true; on a thread, until others have made it.
template <class F>
void until(F done) {
  while (!done()) {
    if (me()) {
      (void)yield();
    } else {
      os::thread_sleep(50'000);
    }
  }
}

// Says so if the G ends instead: a case that waits for a G with a deadline of
// its own belongs into virtual time, or it counts on a machine with time.
inline void wait_parked(Runtime* rt, u64 h) {
  until([=] { return is_parked(rt, h) || has_ended(rt, h); });
  if (has_ended(rt, h)) {
    FAIL_CHECK("wait_parked: the G has ended");
  }
}
inline void wait_parked(u64 h) { wait_parked(this_m()->rt, h); }

// Every other G of a runtime with one P that can run has run (yields are
// served in order, so one of the caller's is a round of all).
inline void let_run(int n = 4) {
  while (n--) {
    (void)yield();
  }
}

// ---- threads ---------------------------------------------------------------

struct Thread {
  os::Thread t;

  template <class F>
  explicit Thread(F f) {
    F* own = new F(std::move(f));
    REQUIRE(os::thread_start(t, call_and_delete<F>, own, "unit") == 0);
  }
  ~Thread() { os::thread_join(t); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
};

// The state letter of a thread of this process ('S': it sleeps).
inline char thread_state(u32 tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%u/stat", tid);
  FILE* f = fopen(path, "re");
  if (!f) {
    return 0;
  }
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = 0;
  const char* p = strrchr(text, ')');
  return p && p[1] ? p[2] : 0;
}

// The thread sleeps, seen so several times in a row: it does nothing but the
// one wait under test.
inline void wait_asleep(const Atomic<u32>& tid) {
  int seen = 0;
  until([&] {
    u32 t = tid.load(acquire);
    seen = t && thread_state(t) == 'S' ? seen + 1 : 0;
    return seen >= 5;
  });
}

// ---- child processes ---------------------------------------------------------

struct Child {
  int status = 0;
  char text[8192] = {};  // what it wrote to stdout and stderr

  bool exited(int code) const {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
  }
  bool died(int sig) const {
    return WIFSIGNALED(status) && WTERMSIG(status) == sig;
  }
  bool said(const char* what) const { return strstr(text, what) != nullptr; }
};

inline void as_child() {
  for (int sig : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGALRM}) {
    signal(sig, SIG_DFL);
  }
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  alarm(60);
}

inline void hear(Child& c, int fd, pid_t pid) {
  size_t n = 0;
  char rest[512];
  for (;;) {
    bool room = n < sizeof c.text - 1;
    ssize_t got = room ? read(fd, c.text + n, sizeof c.text - 1 - n)
                       : read(fd, rest, sizeof rest);
    if (got <= 0) {
      break;
    }
    n += room ? static_cast<size_t>(got) : 0;
  }
  close(fd);
  waitpid(pid, &c.status, 0);
}

// For a failed check of a child: what it had to say.
#define CHECK_CHILD(cond, child) \
  CHECK_MESSAGE(cond, doctest::String((child).text))

// Runs f in a child process, which then exits with 0.
template <class F>
Child in_child(F f) {
  Child c;
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  fflush(stdout);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    as_child();
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    f();
    _exit(0);
  }
  close(fds[1]);
  hear(c, fds[0], pid);
  return c;
}

// Runs one case of this very program, marked doctest::skip(), in a process of
// its own, with an environment variable set.
inline Child in_process(const char* name, const char* var, const char* value) {
  Child c;
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  fflush(stdout);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    as_child();
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    setenv(var, value, 1);
    char which[256];
    snprintf(which, sizeof which, "-tc=%s", name);
    execl("/proc/self/exe", "unit", which, "--no-skip", nullptr);
    _exit(127);
  }
  close(fds[1]);
  hear(c, fds[0], pid);
  return c;
}

// ---- emulators ---------------------------------------------------------------
// A user-mode emulator takes some calls, answers 0 and does nothing. Asked past
// the core, so that a fault of the core's own is still one.

// Does a guard trap where the kernel says that it made one?
inline bool guards_work() {
  size_t page = os::page_size();
  char* p = static_cast<char*>(mmap(nullptr, page, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  constexpr int kGuardInstall = 102;
  bool work = madvise(p, page, kGuardInstall) != 0;  // then mprotect serves
  if (!work) {
    work = in_child([=] {
             volatile char* x = p;
             *x = 1;
           }).died(SIGSEGV);
  }
  munmap(p, page);
  return work;
}

// Does RLIMIT_AS hold? To be asked in a child process.
inline bool limits_work() {
  rlimit old, none;
  getrlimit(RLIMIT_AS, &old);
  none = old;
  none.rlim_cur = 1;
  setrlimit(RLIMIT_AS, &none);
  void* p = mmap(nullptr, size_t{1} << 20, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  setrlimit(RLIMIT_AS, &old);
  return p == MAP_FAILED;
}
// Bytes of it in use.
inline size_t address_space() {
  unsigned long pages = 0;
  if (FILE* f = fopen("/proc/self/statm", "re")) {
    pages = fscanf(f, "%lu", &pages) == 1 ? pages : 0;
    fclose(f);
  }
  return pages * os::page_size();
}
constexpr int kNoLimits = 77;  // exit status of a child where they don't

}  // namespace unit
