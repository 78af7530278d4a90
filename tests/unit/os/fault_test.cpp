// Faults by themselves: who is told, and what the former handler finds.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "../unit.hpp"

using namespace unit;

namespace {

constexpr int kMost = 4;
void* g_told[kMost];  // the arguments, in order
u64 g_where[kMost];
int g_tells;
bool g_claims;
sigjmp_buf g_home;
int g_foreign;

os::Faulted tell(void* arg, u64 address, const os::Stopped&) {
  if (g_tells < kMost) {
    g_told[g_tells] = arg;
    g_where[g_tells] = address;
  }
  ++g_tells;
  return g_claims ? os::Faulted::told : os::Faulted::other;
}

void on_foreign(int) {
  ++g_foreign;
  siglongjmp(g_home, 1);
}
void handle(int flags) {
  struct sigaction a {};
  a.sa_handler = on_foreign;
  a.sa_flags = SA_ONSTACK | flags;
  sigaction(SIGSEGV, &a, nullptr);
}
struct sigaction action() {
  struct sigaction a {};
  sigaction(SIGSEGV, nullptr, &a);
  return a;
}
bool is_foreigns() { return action().sa_handler == on_foreign; }
stack_t alt_stack() {
  stack_t s{};
  sigaltstack(nullptr, &s);
  return s;
}

// A page that traps; what the host had is there again at the end.
struct Ground {
  struct sigaction before = action();
  char* page = static_cast<char*>(mmap(nullptr, os::page_size(), PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  Ground() {
    g_tells = g_foreign = 0;
    g_claims = true;
    handle(0);
  }
  ~Ground() {
    sigaction(SIGSEGV, &before, nullptr);
    munmap(page, os::page_size());
  }
  void touch(size_t at) const {
    if (sigsetjmp(g_home, 1) == 0) {
      static_cast<volatile char*>(page)[at] = 1;
    }
  }
};

}  // namespace

TEST_CASE("fault: opened and closed, the disposition is as before") {
  Ground ground;
  REQUIRE(os::fault_open(tell) == 0);
  CHECK_FALSE(is_foreigns());
  REQUIRE(os::fault_open(tell) == 0);
  os::fault_close();
  CHECK_FALSE(is_foreigns());
  os::fault_close();
  CHECK(is_foreigns());
  // One that the host puts over ours stays.
  REQUIRE(os::fault_open(tell) == 0);
  struct sigaction ours = action();
  handle(0);
  os::fault_close();
  CHECK(is_foreigns());
  sigaction(SIGSEGV, &ours, nullptr);
  REQUIRE(os::fault_open(tell) == 0);  // and then ours can go
  os::fault_close();
  CHECK(is_foreigns());
}

TEST_CASE("fault: its own thread tells, then the former handler runs") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizer handles SIGSEGV");
#endif
  Ground ground;
  os::SignalThread t;
  int mine = 0;
  REQUIRE(os::fault_open(tell) == 0);
  ground.touch(1);  // not joined yet
  CHECK(g_tells == 0);
  CHECK(g_foreign == 1);
  REQUIRE(os::fault_join(t, &mine) == 0);
  REQUIRE(os::fault_join(t, &mine) == 0);  // again: nothing
  ground.touch(77);
  CHECK(g_tells == 1);
  CHECK(g_told[0] == &mine);
  CHECK(g_where[0] == reinterpret_cast<u64>(ground.page) + 77);
  CHECK(g_foreign == 2);
  Thread([&] { ground.touch(2); });
  CHECK(g_tells == 1);
  CHECK(g_foreign == 3);
  if (sigsetjmp(g_home, 1) == 0) {
    raise(SIGSEGV);  // no fault
  }
  CHECK(g_tells == 1);
  CHECK(g_foreign == 4);
  os::fault_leave(t);
  os::fault_leave(t);  // again: nothing
  ground.touch(3);
  CHECK(g_tells == 1);
  CHECK(g_foreign == 5);
  os::signal_forget(t);
  os::fault_close();
}

TEST_CASE("fault: a thread that joined twice tells from the inside out") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizer handles SIGSEGV");
#endif
  Ground ground;
  os::SignalThread outer, inner;
  REQUIRE(os::fault_open(tell) == 0);
  REQUIRE(os::fault_join(outer, &outer) == 0);
  REQUIRE(os::fault_join(inner, &inner) == 0);
  ground.touch(0);
  CHECK(g_tells == 1);
  CHECK(g_told[0] == &inner);
  g_claims = false;  // not the inner one's, so perhaps the outer one's
  ground.touch(0);
  CHECK(g_tells == 3);
  CHECK(g_told[2] == &outer);
  os::fault_leave(inner);
  os::fault_leave(outer);
  os::signal_forget(inner);
  os::signal_forget(outer);
  os::fault_close();
}

TEST_CASE("fault: a former handler that runs once has run") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizer handles SIGSEGV");
#endif
  Ground ground;
  handle(static_cast<int>(SA_RESETHAND));
  REQUIRE(os::fault_open(tell) == 0);
  ground.touch(0);
  CHECK(g_foreign == 1);
  CHECK(in_child([&] { ground.touch(0); }).died(SIGSEGV));
  os::fault_close();
  CHECK((action().sa_handler == SIG_DFL));
}

TEST_CASE("fault: one alternate stack serves both kinds of signal") {
  auto never = [](void*, const os::Stopped&) { return false; };
  int signo = os::signal_open(0, never, [] { abort(); });
  REQUIRE(signo > 0);
  REQUIRE(os::fault_open(tell) == 0);
  for (int order = 0; order < 2; ++order) {
    Thread([&] {
      stack_t off{};
      off.ss_flags = SS_DISABLE;
      sigaltstack(&off, nullptr);
      sigset_t segv, mask;
      sigemptyset(&segv);
      sigaddset(&segv, SIGSEGV);
      pthread_sigmask(SIG_BLOCK, &segv, nullptr);
      os::SignalThread t;
      CHECK(os::signal_join(t, &t) == 0);
      void* mine = alt_stack().ss_sp;
      CHECK((alt_stack().ss_flags & SS_DISABLE) == 0);
      CHECK(os::fault_join(t, &t) == 0);
      CHECK(alt_stack().ss_sp == mine);
      pthread_sigmask(SIG_BLOCK, nullptr, &mask);
      CHECK(sigismember(&mask, SIGSEGV) == 0);
      order ? os::signal_leave(t) : os::fault_leave(t);
      CHECK(alt_stack().ss_sp == mine);
      order ? os::fault_leave(t) : os::signal_leave(t);
      CHECK((alt_stack().ss_flags & SS_DISABLE) != 0);
      pthread_sigmask(SIG_BLOCK, nullptr, &mask);
      CHECK(sigismember(&mask, SIGSEGV) == 1);
      os::signal_forget(t);
    });
  }
  os::fault_close();
  os::signal_close();
}
