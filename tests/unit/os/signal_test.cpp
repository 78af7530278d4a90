// The directed signal by itself: whom it reaches, what it leaves alone.
#include <signal.h>
#include <sys/syscall.h>

#include "../unit.hpp"
#include "arch/sanitize.hpp"

using namespace unit;

namespace {

Atomic<u32> g_asked, g_foreign;
Atomic<int> g_foreign_value;
void* g_arg;

bool ask(void* arg, const os::Stopped&) {
  g_arg = arg;
  g_asked.fetch_add(1);
  return false;
}
void never() { abort(); }

void on_foreign(int, siginfo_t* info, void*) {
  g_foreign_value.store(info->si_value.sival_int);
  g_foreign.fetch_add(1);
}
void on_foreign_plain(int) { g_foreign.fetch_add(1); }

struct sigaction action_of(int signo) {
  struct sigaction a {};
  sigaction(signo, nullptr, &a);
  return a;
}
// Printable, unlike pointers to functions.
template <class F>
void* at(F* fn) {
  return reinterpret_cast<void*>(fn);
}
void* handler_of(int signo) { return at(action_of(signo).sa_handler); }
void* const kNone = at(SIG_DFL);

void handle(int signo, void (*fn)(int, siginfo_t*, void*)) {
  struct sigaction a {};
  a.sa_sigaction = fn;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(signo, &a, nullptr);
}
void unhandle(int signo) { signal(signo, SIG_DFL); }

void send_value(int signo, int value) {
  sigval v{};
  v.sival_int = value;
  REQUIRE(sigqueue(getpid(), signo, v) == 0);
}

bool blocked(int signo) {
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, nullptr, &now);
  return sigismember(&now, signo) == 1;
}
bool same_stack(const stack_t& a, const stack_t& b) {
  return a.ss_sp == b.ss_sp && a.ss_flags == b.ss_flags &&
         (a.ss_flags & SS_DISABLE || a.ss_size == b.ss_size);
}
stack_t alt_stack() {
  stack_t s{};
  sigaltstack(nullptr, &s);
  return s;
}

// Sent to the calling thread; it has arrived when this returns.
int send_here(os::SignalThread& st) {
  u32 before = g_asked.load();
  int sent = os::signal_send(st);
  if (sent == 0) {
    until([&] { return g_asked.load() != before; });
  }
  return sent;
}

}  // namespace

TEST_CASE("signal: opened and closed, the disposition is as before") {
  int any = os::signal_open(0, ask, never);
  REQUIRE(any >= SIGRTMIN);
  CHECK(any <= SIGRTMAX);
  CHECK(handler_of(any) != kNone);
  int again = os::signal_open(any, ask, never);  // one more user
  CHECK(again == any);
  int other = any == SIGRTMIN ? any + 1 : any - 1;
  CHECK(os::signal_open(other, ask, never) == -EBUSY);
  CHECK(os::signal_open(SIGUSR1, ask, never) == -EINVAL);
  CHECK(os::signal_open(SIGRTMAX + 1, ask, never) == -EINVAL);
  os::signal_close();
  CHECK(handler_of(any) != kNone);
  os::signal_close();
  CHECK(handler_of(any) == kNone);
}

TEST_CASE("signal: a number in use is not taken for a free one") {
  struct sigaction before[65];
  for (int s = SIGRTMIN; s <= SIGRTMAX; ++s) {
    before[s] = action_of(s);
    handle(s, on_foreign);
  }
  CHECK(os::signal_open(0, ask, never) == -EBUSY);
  for (int s = SIGRTMIN; s <= SIGRTMAX; ++s) {
    sigaction(s, &before[s], nullptr);
  }
}

TEST_CASE("signal: it reaches the thread that was meant, with its argument") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  REQUIRE(os::signal_open(0, ask, never) > 0);
  os::SignalThread a, b;
  int mine = 0;
  REQUIRE(os::signal_join(a, &mine) == 0);
  g_asked.store(0);
  CHECK(send_here(a) == 0);
  CHECK(g_asked.load() == 1);
  CHECK(g_arg == &mine);
  // One that never joined, one that has left.
  CHECK(os::signal_send(b) < 0);
  os::signal_leave(a);
  CHECK(os::signal_send(a) < 0);
  os::signal_leave(a);  // again: nothing
  os::signal_forget(a);
  os::signal_close();
}

TEST_CASE("signal: a second is not sent while the first is on its way") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  g_asked.store(0);
  CHECK(os::signal_send(t) == 0);
  CHECK(os::signal_send(t) == 1);
  CHECK(os::signal_send(t) == 1);
  CHECK(g_asked.load() == 0);
  SUBCASE("it comes when it may") {
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    CHECK(g_asked.load() == 1);
    CHECK(os::signal_send(t) == 0);
    CHECK(g_asked.load() == 2);
    os::signal_leave(t);
  }
  SUBCASE("leaving waits for it") {
    os::signal_leave(t);
    CHECK(g_asked.load() == 1);
  }
  os::signal_forget(t);
  os::signal_close();
  CHECK(handler_of(signo) == kNone);
}

TEST_CASE("signal: closed while one is on its way, ours stays to meet it") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  CHECK(os::signal_send(t) == 0);
  os::signal_close();
  // The default would end the process.
  CHECK(handler_of(signo) != kNone);
  CHECK(os::signal_send(t) < 0);
  os::signal_leave(t);
  CHECK(handler_of(signo) == kNone);
  os::signal_forget(t);
}

// ---- the thread's own ---------------------------------------------------------------

TEST_CASE("signal: a thread has its mask and its stack back") {
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  for (bool block : {false, true}) {
    Thread thread([&] {
      pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
      stack_t before = alt_stack();
      os::SignalThread t;
      for (int i = 0; i < 3; ++i) {
        CHECK(os::signal_join(t, &t) == 0);
        CHECK(!blocked(signo));
        CHECK(!(alt_stack().ss_flags & SS_DISABLE));
        os::signal_leave(t);
        CHECK(blocked(signo) == block);
        CHECK(same_stack(alt_stack(), before));
      }
      os::signal_forget(t);
    });
  }
  os::signal_close();
}

TEST_CASE("signal: a stack of the host's serves if it is large enough") {
  REQUIRE(os::signal_open(0, ask, never) > 0);
  static char large[256 << 10], small[64 << 10];
  // Enough for the kernel, not for a handler.
  long least = sysconf(_SC_MINSIGSTKSZ);
  REQUIRE(least < static_cast<long>(sizeof small));
  for (bool enough : {true, false}) {
    Thread thread([&] {
      stack_t outer = alt_stack(), host{};
      host.ss_sp = enough ? large : small;
      host.ss_size = enough ? sizeof large : static_cast<size_t>(least);
      if (sigaltstack(&host, nullptr) != 0) {
        return;  // the kernel says itself that it is too small
      }
      os::SignalThread t;
      CHECK(os::signal_join(t, &t) == 0);
      if (enough) {
        CHECK(same_stack(alt_stack(), host));
      }
      CHECK(alt_stack().ss_size > static_cast<size_t>(least) + 1024);
      os::signal_leave(t);
      CHECK(same_stack(alt_stack(), host));
      // One that is set meanwhile stays.
      CHECK(os::signal_join(t, &t) == 0);
      static char other[128 << 10];
      stack_t later{};
      later.ss_sp = other;
      later.ss_size = sizeof other;
      sigaltstack(&later, nullptr);
      os::signal_leave(t);
      CHECK(same_stack(alt_stack(), later));
      sigaltstack(&outer, nullptr);
      os::signal_forget(t);
    });
  }
  os::signal_close();
}

// ---- other people's signals ---------------------------------------------------------

TEST_CASE(
    "signal: a handler that was there gets the others', and none of ours") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = SIGRTMIN + 3;
  for (bool plain : {false, true}) {
    if (plain) {
      signal(signo, on_foreign_plain);
    } else {
      handle(signo, on_foreign);
    }
    struct sigaction before = action_of(signo);
    REQUIRE(os::signal_open(signo, ask, never) == signo);
    os::SignalThread t;
    REQUIRE(os::signal_join(t, &t) == 0);
    g_asked.store(0);
    g_foreign.store(0);
    for (int i = 1; i <= 20; ++i) {
      send_value(signo, i);
      until([&] { return g_foreign.load() == static_cast<u32>(i); });
      if (!plain) {
        CHECK(g_foreign_value.load() == i);
      }
      CHECK(send_here(t) == 0);
    }
    CHECK(g_foreign.load() == 20);
    CHECK(g_asked.load() == 20);
    os::signal_leave(t);
    os::signal_forget(t);
    os::signal_close();
    CHECK(handler_of(signo) == at(before.sa_sigaction));
    CHECK((action_of(signo).sa_flags & SA_SIGINFO) ==
          (before.sa_flags & SA_SIGINFO));
    unhandle(signo);
  }
}

TEST_CASE("signal: a burst of others' does not fill the alternate stack") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = SIGRTMIN + 3;
  handle(signo, on_foreign);
  REQUIRE(os::signal_open(signo, ask, never) == signo);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  g_foreign.store(0);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  for (int i = 0; i < 100; ++i) {
    send_value(signo, i);
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  CHECK(g_foreign.load() == 100);
  os::signal_leave(t);
  os::signal_forget(t);
  os::signal_close();
  unhandle(signo);
}

TEST_CASE("signal: nobody handled it: the process ends, as without us") {
  int signo = SIGRTMIN + 3;
  Child c = in_child([=] {
    os::signal_open(signo, ask, never);
    os::SignalThread t;
    os::signal_join(t, &t);
    raise(signo);
    _exit(3);
  });
  CHECK_CHILD(c.died(signo), c);
}

TEST_CASE("signal: ignored before: ignored") {
  int signo = SIGRTMIN + 3;
  signal(signo, SIG_IGN);
  REQUIRE(os::signal_open(signo, ask, never) == signo);
  raise(signo);
  os::signal_close();
  CHECK(handler_of(signo) == at(SIG_IGN));
  unhandle(signo);
}

// ---- a handler over ours ----------------------------------------------------------------

namespace {

struct sigaction g_below;
Atomic<u32> g_over;

void hands_on(int signo, siginfo_t* info, void* context) {
  g_over.fetch_add(1);
  g_below.sa_sigaction(signo, info, context);
}
// As Python's faulthandler does it.
void raises_again(int signo, siginfo_t*, void*) {
  g_over.fetch_add(1);
  struct sigaction mine;
  sigaction(signo, &g_below, &mine);
  raise(signo);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  sigaction(signo, &mine, nullptr);
}
void swallows(int, siginfo_t*, void*) { g_over.fetch_add(1); }

}  // namespace

TEST_CASE("signal: a later handler of the host's stays, and ours below it") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = SIGRTMIN + 3;
  handle(signo, on_foreign);
  REQUIRE(os::signal_open(signo, ask, never) == signo);
  g_below = action_of(signo);
  handle(signo, hands_on);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  g_asked.store(0);
  g_foreign.store(0);
  g_over.store(0);
  CHECK(send_here(t) == 0);
  CHECK(g_over.load() == 1);
  CHECK(g_asked.load() == 1);
  CHECK(g_foreign.load() == 0);
  send_value(signo, 5);
  until([&] { return g_foreign.load() == 1; });
  CHECK(g_over.load() == 2);
  os::signal_leave(t);
  os::signal_close();
  CHECK(handler_of(signo) == at(hands_on));
  send_value(signo, 6);  // ours only hands on now
  until([&] { return g_foreign.load() == 2; });
  // Opened again under the same number: no second one, which would be a circle.
  REQUIRE(os::signal_open(signo, ask, never) == signo);
  CHECK(handler_of(signo) == at(hands_on));
  CHECK(os::signal_join(t, &t) == 0);
  CHECK(send_here(t) == 0);
  CHECK(g_asked.load() == 2);
  send_value(signo, 7);
  until([&] { return g_foreign.load() == 3; });
  // The host puts ours back; then it can go.
  sigaction(signo, &g_below, nullptr);
  os::signal_leave(t);
  os::signal_forget(t);
  os::signal_close();
  CHECK(handler_of(signo) == at(on_foreign));
  unhandle(signo);
}

TEST_CASE("signal: a handler that chains by raising it again") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  g_below = action_of(signo);
  struct sigaction a {};
  a.sa_sigaction = raises_again;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(signo, &a, nullptr);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  g_asked.store(0);
  g_over.store(0);
  for (u32 i = 1; i <= 5; ++i) {
    CHECK(send_here(t) == 0);  // else the process would end here
    CHECK(g_asked.load() == i);
    CHECK(g_over.load() == i);
  }
  sigaction(signo, &g_below, nullptr);
  os::signal_leave(t);
  os::signal_forget(t);
  os::signal_close();
  CHECK(handler_of(signo) == kNone);
}

TEST_CASE("signal: a handler that keeps it to itself gets one, and no more") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  struct sigaction ours = action_of(signo);
  handle(signo, swallows);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  g_over.store(0);
  CHECK(os::signal_send(t) == 0);
  until([&] { return g_over.load() == 1; });
  CHECK(os::signal_send(t) == 1);
  CHECK(g_over.load() == 1);
  os::signal_leave(t);
  os::signal_forget(t);
  sigaction(signo, &ours, nullptr);
  os::signal_close();
  CHECK(handler_of(signo) == kNone);
}

TEST_CASE("signal: the host removes our handler: none is sent") {
  int signo = os::signal_open(0, ask, never);
  REQUIRE(signo > 0);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  unhandle(signo);
  CHECK(os::signal_send(t) < 0);
  os::signal_leave(t);
  os::signal_forget(t);
  os::signal_close();
  CHECK(handler_of(signo) == kNone);
  // And it can be had again.
  REQUIRE(os::signal_open(signo, ask, never) == signo);
  CHECK(handler_of(signo) != kNone);
  os::signal_close();
  CHECK(handler_of(signo) == kNone);
}

TEST_CASE("signal: a child of fork begins anew") {
  REQUIRE(os::signal_open(0, ask, never) > 0);
  os::SignalThread t;
  REQUIRE(os::signal_join(t, &t) == 0);
  Child c = in_child([] {
    int signo = os::signal_open(0, ask, never);
    os::SignalThread own;
    bool joined = signo > 0 && os::signal_join(own, &own) == 0;
    os::signal_leave(own);
    os::signal_close();
    _exit(joined && handler_of(signo) == kNone ? 0 : 1);
  });
  CHECK_CHILD(c.exited(0), c);
  os::signal_leave(t);
  os::signal_forget(t);
  os::signal_close();
}

TEST_CASE("thread: CPU time of another thread") {
  Atomic<u32> id{0};
  Atomic<bool> over{false};
  Thread busy([&] {
    id.store(os::thread_id());
    while (!over.load()) {}
  });
  until([&] { return id.load() != 0; });
  i64 first = os::thread_cpu_ns(id.load());
  REQUIRE(first >= 0);
  until([&] { return os::thread_cpu_ns(id.load()) > first + kMs; });
  over.store(true);
  CHECK(os::thread_cpu_ns(0x3ffffff) < 0);
}
