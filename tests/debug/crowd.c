/* crowd.c: a process full of Gs, for debuggers to look at.
 *
 * usage: crowd N wait|abort
 *
 * Prints "ready" and the addresses that its stacks lead through, then waits for its
 * input to end, or dies. G i of N sits i % 5 calls deep in a receive. Besides: one
 * that has not begun, one that computes, one in a declared blocking call, one that
 * hibernates. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/host.h>
#include <thrum/observe.h>
#include <unistd.h>

static thrum_chan* never;
static thrum_rt* rt;
static volatile int computing, stop_computing;
static int asleep_fds[2];

#define DEEP __attribute__((noinline, noclone))

DEEP static int crowd_leaf(int i) {
  char c = (char)i;
  int rc = thrum_chan_recv(never, &c, THRUM_FOREVER);
  __asm__ volatile("" ::: "memory");
  return rc + c;
}
DEEP static int crowd_call(int depth, int i) {
  int n = depth ? crowd_call(depth - 1, i) : crowd_leaf(i);
  __asm__ volatile("" ::: "memory");
  return n + 1;
}
static void crowd_member(void* arg) {
  int i = (int)(intptr_t)arg;
  crowd_call(i % 5, i);
  __asm__ volatile("" ::: "memory");
}
DEEP static void crowd_blocks(void) {
  char c;
  thrum_enter_blocking();
  if (read(asleep_fds[0], &c, 1) < 0)
    abort();
  thrum_exit_blocking();
}
static void crowd_blocker(void* arg) {
  (void)arg;
  crowd_blocks();
}
static void crowd_computes(void* arg) {
  (void)arg;
  while (!stop_computing)
    computing = 1;
}
static void crowd_unborn(void* arg) { (void)arg; }
static void crowd_sleeper(void* arg) {
  char c;
  (void)arg;
  thrum_chan_recv(never, &c, THRUM_FOREVER);
}

static void spawn(thrum_rt* in, const char* name, uint32_t flags,
                  void (*fn)(void*), void* arg) {
  thrum_spawn_opts o;
  memset(&o, 0, sizeof o);
  o.struct_size = sizeof o;
  o.name = name;
  o.flags = flags;
  if (thrum_spawn(in, &o, fn, arg, NULL))
    abort();
}

static int parked;
static void count_parked(void* arg, const thrum_g_info* info) {
  (void)arg;
  parked +=
      info->state == THRUM_STATE_WAITING || info->state == THRUM_STATE_BLOCKING;
}
/* All but the hog. */
static int all_parked(int n) {
  parked = 0;
  return thrum_g_each(rt, count_parked, NULL) == 0 && parked == n;
}

static thrum_rt* rt_with(uint32_t procs, uint32_t flags) {
  thrum_config c;
  thrum_rt* made;
  memset(&c, 0, sizeof c);
  c.struct_size = sizeof c;
  c.procs = procs;
  c.flags = flags;
  if (thrum_rt_new(&made, &c))
    abort();
  return made;
}

int main(int argc, char** argv) {
  if (argc < 3)
    return 2;
  int n = atoi(argv[1]);
  thrum_rt* other = rt_with(1, THRUM_RT_HOSTED);
  rt = rt_with(2, 0);
  if (thrum_chan_new(1, 0, &never) || pipe(asleep_fds))
    abort();
  spawn(rt, "sleeper", THRUM_G_HIBERNATE, crowd_sleeper, NULL);
  for (int i = 0; i < n; i++) {
    char name[20];
    snprintf(name, sizeof name, "member %d", i);
    spawn(rt, name, 0, crowd_member, (void*)(intptr_t)i);
  }
  spawn(rt, "blocker", 0, crowd_blocker, NULL);
  spawn(rt, "hog", 0, crowd_computes, NULL);
  while (!computing || !all_parked(n + 2))
    usleep(1000);
  spawn(other, "unborn", 0, crowd_unborn, NULL); /* nobody pumps */
  thrum_trim(rt); /* the sleeper hibernates, where that can be */
  printf("ready %p %p %p\n", (void*)crowd_leaf, (void*)crowd_call,
         (void*)crowd_member);
  fflush(stdout);
  if (strcmp(argv[2], "abort") == 0)
    abort();
  char c;
  return read(0, &c, 1) > 0;
}
