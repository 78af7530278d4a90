#include <errno.h>
#include <sys/syscall.h>

#include "../unit.hpp"

using namespace unit;

namespace {

int g_first, g_second;
u32 g_epoch_seen;
void first() { ++g_first; }
void second() {
  ++g_second;
  g_epoch_seen = os::fork_epoch();
}

}  // namespace

TEST_CASE("fork: a child counts one more, its parent as before") {
  REQUIRE(os::fork_watch(first));
  u32 mine = os::fork_epoch();
  Child c = in_child([=] {
    u32 child = os::fork_epoch();
    Child grandchild = in_child([=] { _exit(os::fork_epoch() == child + 1); });
    _exit(grandchild.exited(1) && child == mine + 1 && os::fork_epoch() == child
              ? 3
              : 4);
  });
  CHECK(c.exited(3));
  CHECK(os::fork_epoch() == mine);
}

TEST_CASE("fork: watchers run in the child, once, and see its count") {
  errno = 77;
  for (int i = 0; i < 10; ++i) {
    REQUIRE(os::fork_watch(first));
    REQUIRE(os::fork_watch(second));
  }
  CHECK(errno == 77);
  u32 mine = os::fork_epoch();
  int before = g_first;
  Child c = in_child([=] {
    _exit(g_first == before + 1 && g_second == 1 && g_epoch_seen == mine + 1
              ? 3
              : 4);
  });
  CHECK(c.exited(3));
  CHECK(g_first == before);
  CHECK(g_second == 0);
}

TEST_CASE("fork: fences go on in the child") {
  if (!os::fence_all_register()) {
    UNIT_SKIP("the kernel has no membarrier");
  }
  Child c = in_child([] {
    // Is the kernel asked, and does it agree? 8: PRIVATE_EXPEDITED.
    long rc = syscall(SYS_membarrier, 8, 0, 0);
    _exit(os::fence_all_ready() && rc == 0 ? 3 : 4);
  });
  CHECK(c.exited(3));
}

TEST_CASE("process_exit runs what atexit has") {
  Child c = in_child([] {
    atexit([] { puts("at exit"); });
    os::process_exit(5);
  });
  CHECK(c.exited(5));
  CHECK_CHILD(c.said("at exit"), c);
}
