// What gdb_test.sh looks at: a G that stands still in known frames, first as it
// began, then after it was resumed, then on another thread.
#include "../objects.hpp"

using namespace unit;

extern "C" THRUM_NOINLINE void unit_gdb_stop(int where) {
  asm volatile("" ::"r"(where) : "memory");
}

namespace {

THRUM_NOINLINE void unit_gdb_inner(int where) {
  unit_gdb_stop(where);
  asm volatile("");  // no tail call
}

THRUM_NOINLINE void unit_gdb_outer(int where) {
  unit_gdb_inner(where);
  asm volatile("");
}

}  // namespace

TEST_CASE("gdb: a G stands here" * doctest::skip()) {
  in_g(still(), [] {
    unit_gdb_outer(1);
    (void)go([] { (void)yield(); });
    (void)yield();
    unit_gdb_outer(2);
  });
  in_owned(config(2), [] {
    (void)sleep_ns(kMs);
    unit_gdb_outer(3);
  });
}
