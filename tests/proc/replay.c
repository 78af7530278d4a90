/* replay.c: a seed replays in another process: other addresses, another
 * environment, another load, the same trace. */
#include "../support/check.h"

#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"
#include "../support/trace.h"

static struct trace trace;
CHILD(trace) {
  uint64_t hash = trace_run(&trace, strtoull(arg, NULL, 10), 0);
  printf("%" PRIx64 " %u\n", hash, trace.n);
}
TEST(other_processes_replay) {
  int distinct = 0;
  char first[64], former[64] = "";
  for (int seed = 1; seed <= 15; seed++) {
    char arg[16];
    snprintf(arg, sizeof arg, "%d", seed);
    expect_child("trace", arg, 0);
    snprintf(first, sizeof first, "%.60s", child.out);
    CHECK(strlen(first) > 4);
    for (int again = 0; again < 4; again++) {
      char* noise = calloc(1, 5000 * (size_t)(again + 1));
      REQUIRE(noise != NULL);
      memset(noise, 'x', 5000 * (size_t)(again + 1) - 1);
      setenv("THRUM_TEST_NOISE", noise, 1); /* moves the stack */
      free(noise);
      expect_child("trace", arg, 0);
      CHECK_STR(child.out, first);
    }
    unsetenv("THRUM_TEST_NOISE");
    distinct += strcmp(first, former) != 0;
    strcpy(former, first);
  }
  CHECK_LE(13, distinct);
}

static const struct check_case cases[] = {CASE(other_processes_replay)};
static const struct child_part parts[] = {PART(trace)};
CHILD_MAIN(cases, parts)
