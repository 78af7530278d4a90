/* stacks.c: Gs that compute some calls deep, for profilers.
 *
 * usage: stacks SECONDS
 *
 * Built with frame pointers. Prints "ready", computes on two Ps so long, and ends. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/thrum.h>

#define DEEP __attribute__((noinline, noclone))

static volatile uint64_t sum;
static int64_t end;

/* A function that calls none has no frame. */
DEEP static void stacks_none(void) { __asm__ volatile("" ::: "memory"); }
DEEP static void stacks_leaf(void) {
  stacks_none();
  for (int i = 0; i < 100000; i++)
    sum += (uint64_t)i;
  stacks_none();
}
DEEP static void stacks_middle(void) {
  stacks_leaf();
  __asm__ volatile("" ::: "memory");
}
DEEP static void stacks_guest(void* arg) {
  (void)arg;
  while (thrum_now() < end) {
    stacks_middle();
    thrum_yield();
  }
}
static void stacks_all(void* arg) {
  thrum_g g[8];
  (void)arg;
  for (int i = 0; i < 8; i++)
    if (thrum_spawn(NULL, NULL, stacks_guest, NULL, &g[i]))
      abort();
  for (int i = 0; i < 8; i++)
    if (thrum_join(NULL, g[i], THRUM_FOREVER))
      abort();
}

int main(int argc, char** argv) {
  thrum_config c;
  thrum_rt* rt;
  memset(&c, 0, sizeof c);
  c.struct_size = sizeof c;
  c.procs = 2;
  if (argc < 2 || thrum_rt_new(&rt, &c))
    return 2;
  puts("ready");
  fflush(stdout);
  end = thrum_after(atoi(argv[1]) * (int64_t)1000000000);
  if (thrum_run(rt, stacks_all, NULL) || thrum_rt_stop(rt, THRUM_FOREVER))
    return 1;
  thrum_rt_free(rt);
  return 0;
}
