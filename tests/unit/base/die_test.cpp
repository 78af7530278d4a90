#include <errno.h>

#include "../unit.hpp"
#include "base/die.hpp"

using namespace unit;

TEST_CASE("say: a line with a prefix, errno as it was") {
  Child c = in_child([] {
    errno = 4711;
    say("%d strings of %s", 7, "hemp");
    _exit(errno == 4711 ? 0 : 1);
  });
  CHECK_CHILD(c.exited(0), c);
  CHECK(strcmp(c.text, "thrum: 7 strings of hemp\n") == 0);
}

TEST_CASE("say: nothing, and too much") {
  Child c = in_child([] { say("%s", ""); });
  CHECK(strcmp(c.text, "thrum: \n") == 0);
  // Every length around the end of the buffer: one line, cut, closed.
  for (int n : {480, 502, 503, 504, 505, 506, 511, 512, 600, 2000}) {
    c = in_child([=] { say("%0*d", n, 0); });
    size_t len = strlen(c.text);
    CHECK_CHILD(c.exited(0), c);
    CHECK(len <= 511);
    CHECK(len == min(size_t{511}, size_t(n) + 8));
    CHECK(strncmp(c.text, "thrum: 000", 10) == 0);
    CHECK(c.text[len - 1] == '\n');
    CHECK(strchr(c.text, '\n') == c.text + len - 1);
  }
}

TEST_CASE("die: says what and where, and aborts") {
  Child c = in_child([] { die("the loom broke", "loom.cpp", 12); });
  CHECK_CHILD(c.died(SIGABRT), c);
  // An emulator has a word of its own after it.
  const char* want = "thrum: fatal: the loom broke (loom.cpp:12)\n";
  CHECK(strncmp(c.text, want, strlen(want)) == 0);
}

TEST_CASE("die: the macro names its own place") {
  Child c = in_child([] { THRUM_DIE("impossible"); });
  char want[256];
  snprintf(want, sizeof want, "thrum: fatal: impossible (%s:%d)\n", __FILE__,
           __LINE__ - 3);
  CHECK_CHILD(c.died(SIGABRT), c);
  CHECK(strncmp(c.text, want, strlen(want)) == 0);
}

TEST_CASE("check: passes once, or dies with its own text") {
  int evaluated = 0;
  THRUM_CHECK(++evaluated == 1);
  CHECK(evaluated == 1);
  Child c = in_child([] {
    int strings = 2;
    THRUM_CHECK(strings == 3);
  });
  CHECK_CHILD(c.died(SIGABRT), c);
  CHECK_CHILD(c.said("thrum: fatal: broken: strings == 3 ("), c);
}
