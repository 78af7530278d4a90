#include <time.h>

#include "../unit.hpp"

using namespace unit;

namespace {

i64 read(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return static_cast<i64>(t.tv_sec) * kSecond + t.tv_nsec;
}

}  // namespace

TEST_CASE("clock: the monotonic one, in ns") {
  i64 last = 0;
  u32 back = 0;
  for (u32 i = 0; i < rounds(100'000); ++i) {
    i64 t = os::now_ns();
    back += t < last;
    last = t;
  }
  CHECK(back == 0);
  i64 before = read(CLOCK_MONOTONIC);
  i64 t = os::now_ns();
  i64 after = read(CLOCK_MONOTONIC);
  CHECK(before <= t);
  CHECK(t <= after);
}

TEST_CASE("clock: CPU time of the whole process") {
  i64 before = read(CLOCK_PROCESS_CPUTIME_ID);
  i64 t = os::cpu_ns();
  i64 after = read(CLOCK_PROCESS_CPUTIME_ID);
  CHECK(before <= t);
  CHECK(t <= after);
  // Another thread's work counts as well.
  i64 used = os::cpu_ns();
  {
    Thread busy([] {
      for (i64 t0 = read(CLOCK_THREAD_CPUTIME_ID);
           read(CLOCK_THREAD_CPUTIME_ID) - t0 < 20 * kMs;) {}
    });
  }
  CHECK(os::cpu_ns() - used >= 20 * kMs);
}

TEST_CASE("clock: sleeping lasts at least as long as asked") {
  i64 t0 = os::now_ns();
  os::thread_sleep(3 * kMs);
  CHECK(os::now_ns() - t0 >= 3 * kMs);
  os::thread_sleep(0);
}
