// Every function of os leaves errno as it was, whether it succeeds or fails.
#include <fcntl.h>
#include <sys/mman.h>

#include "../unit.hpp"

using namespace unit;

namespace {

struct Row {
  const char* what;
  void (*call)();
};

Atomic<u32> g_word{7};
os::WakeFd g_none;  // never opened: every operation fails

void nothing(void*) {}

const Row kRows[] = {
    {"now_ns", [] { (void)os::now_ns(); }},
    {"cpu_ns", [] { (void)os::cpu_ns(); }},
    {"thread_start, thread_join",
     [] {
       os::Thread t;
       if (os::thread_start(t, nothing, nullptr, "unit") == 0) {
         os::thread_join(t);
       }
     }},
    {"thread_start with a name too long",
     [] {
       os::Thread t;
       if (os::thread_start(t, nothing, nullptr, "0123456789abcdefghi") == 0) {
         os::thread_join(t);
       }
     }},
    {"thread_yield", [] { os::thread_yield(); }},
    {"thread_sleep", [] { os::thread_sleep(1000); }},
    {"thread_sleep of nonsense", [] { os::thread_sleep(-5); }},
    {"thread_id", [] { (void)os::thread_id(); }},
    {"thread_count", [] { (void)os::thread_count(); }},
    {"timer_slack", [] { os::timer_slack(50'000); }},
    {"futex_wait: value differs", [] { os::futex_wait(&g_word, 8, kForever); }},
    {"futex_wait: times out", [] { os::futex_wait(&g_word, 7, 1); }},
    {"futex_wake", [] { os::futex_wake(&g_word, 1); }},
    {"futex_wake of nothing", [] { os::futex_wake(nullptr, 1); }},
    {"fence_all",
     [] {
       (void)os::fence_all_register();
       os::fence_all();
     }},
    {"vm_reserve, vm_guard, vm_drop, vm_huge, vm_release",
     [] {
       size_t size = 4 * os::page_size();
       char* p = static_cast<char*>(os::vm_reserve(size));
       os::vm_huge(p, size, true);
       os::vm_huge(p, size, false);
       (void)os::vm_guard(p, os::page_size(), true);
       os::vm_drop(p, size);
       os::vm_release(p, size);
     }},
    {"vm_reserve of too much", [] { (void)os::vm_reserve(size_t{1} << 60); }},
    {"vm_guard of nonsense",
     [] { (void)os::vm_guard(reinterpret_cast<void*>(1), 3, true); }},
    {"vm_drop of nonsense", [] { os::vm_drop(reinterpret_cast<void*>(1), 3); }},
    {"vm_huge of nonsense",
     [] { os::vm_huge(reinterpret_cast<void*>(1), 3, true); }},
    {"vm_release of nonsense",
     [] { os::vm_release(reinterpret_cast<void*>(1), 3); }},
    {"wake_fd",
     [] {
       os::WakeFd w;
       if (os::wake_fd_open(w) == 0) {
         os::wake_fd_clear(w);  // nothing there: EAGAIN
         os::wake_fd_raise(w);
         os::wake_fd_at(w, 1);
         os::wake_fd_close(w);
       }
     }},
    {"wake_fd that is not open",
     [] {
       os::wake_fd_raise(g_none);
       os::wake_fd_clear(g_none);
       os::wake_fd_at(g_none, 1);
       os::wake_fd_close(g_none);
     }},
    {"env", [] { (void)os::env("THRUM_UNIT_NOT_THERE"); }},
    {"cpus_allowed", [] { (void)os::cpus_allowed(); }},
    {"cpu_quota_milli", [] { (void)os::cpu_quota_milli(); }},
    {"eh_globals", [] { (void)os::eh_globals(); }},
    {"fd_readable", [] { (void)os::fd_readable(0); }},
    {"fd_readable of nonsense", [] { (void)os::fd_readable(-1); }},
};

}  // namespace

TEST_CASE("errno: as it was after every call") {
  for (const Row& row : kRows) {
    for (int before : {0, 4711}) {
      errno = before;
      row.call();
      int after = errno;
      CHECK_ROW(after == before, row.what);
    }
  }
}

TEST_CASE("errno: as it was when descriptors run out") {
  rlimit old, tight;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
  tight = old;
  tight.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  errno = 4711;
  os::WakeFd w;
  int open = os::wake_fd_open(w), first = errno;
  int count = os::thread_count(), second = errno;
  u32 quota = os::cpu_quota_milli();
  int third = errno;
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(open == -EMFILE);
  CHECK(first == 4711);
  CHECK(count == -EMFILE);
  CHECK(second == 4711);
  CHECK(quota == 0);
  CHECK(third == 4711);
}
