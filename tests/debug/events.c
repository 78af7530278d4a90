/* events.c: a process whose events are known, for tools that count them.
 *
 * usage: events
 *
 * A line of input each: "warm" does a little of everything in a runtime of its own
 * (the first, so its tag is another one), so that a tool can see that all its probes are
 * there; "go" does the work and prints what thrum has counted; "spin" prints how long Gs
 * ran that computed for 300 ms; the end of the input ends it. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/host.h>
#include <thrum/net.h>
#include <thrum/observe.h>
#include <unistd.h>

#define MS 1000000
#define CHECK(x)                           \
  do {                                     \
    if (!(x)) {                            \
      fprintf(stderr, "events: %s\n", #x); \
      exit(1);                             \
    }                                      \
  } while (0)

enum { PAIRS = 4, SLEEPERS = 20, BLOCKERS = 5, LOCKERS = 8, READS = 30 };
static int rounds;
static thrum_mutex mutex;
static int ends[2];

struct pair {
  thrum_chan *to, *back;
};

static void echoes(void* arg) {
  struct pair* p = arg;
  char c;
  while (thrum_chan_recv(p->to, &c, THRUM_FOREVER) == 0)
    CHECK(thrum_chan_send(p->back, &c, THRUM_FOREVER) == 0);
}
static void calls(void* arg) {
  struct pair* p = arg;
  char c = 1;
  for (int i = 0; i < rounds; i++) {
    CHECK(thrum_chan_send(p->to, &c, THRUM_FOREVER) == 0);
    CHECK(thrum_chan_recv(p->back, &c, THRUM_FOREVER) == 0);
    if (i % 10 == 0)
      CHECK(thrum_yield() == 0);
  }
  CHECK(thrum_chan_close(p->to) == 0);
}
static void sleeps(void* arg) {
  (void)arg;
  for (int i = 0; i < 5; i++)
    CHECK(thrum_sleep(MS) == 0);
}
static void blocks(void* arg) {
  (void)arg;
  CHECK(thrum_enter_blocking() == 0);
  usleep(1000);
  CHECK(thrum_exit_blocking() >= 0);
}
static void locks(void* arg) {
  (void)arg;
  for (int i = 0; i < rounds / 10; i++) {
    CHECK(thrum_mutex_lock(&mutex, THRUM_FOREVER) == 0);
    CHECK(thrum_yield() == 0);
    CHECK(thrum_mutex_unlock(&mutex) == 0);
  }
}
static void reads(void* arg) {
  char c;
  (void)arg;
  for (int i = 0; i < READS; i++) {
    CHECK(thrum_poll_fd(NULL, ends[0], THRUM_READABLE, THRUM_FOREVER) >= 0);
    CHECK(read(ends[0], &c, 1) == 1);
  }
}
static void writes(void* arg) {
  (void)arg;
  for (int i = 0; i < READS; i++) {
    CHECK(thrum_sleep(MS / 2) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
  }
}
static void everything(void* arg) {
  static thrum_g g[64];
  struct pair pairs[PAIRS];
  int n = 0;
  (void)arg;
  for (int i = 0; i < PAIRS; i++) {
    CHECK(thrum_chan_new(1, 0, &pairs[i].to) == 0);
    CHECK(thrum_chan_new(1, 0, &pairs[i].back) == 0);
    CHECK(thrum_spawn(NULL, NULL, echoes, &pairs[i], &g[n++]) == 0);
    CHECK(thrum_spawn(NULL, NULL, calls, &pairs[i], &g[n++]) == 0);
  }
  for (int i = 0; i < SLEEPERS; i++)
    CHECK(thrum_spawn(NULL, NULL, sleeps, NULL, &g[n++]) == 0);
  for (int i = 0; i < BLOCKERS; i++)
    CHECK(thrum_spawn(NULL, NULL, blocks, NULL, &g[n++]) == 0);
  for (int i = 0; i < LOCKERS; i++)
    CHECK(thrum_spawn(NULL, NULL, locks, NULL, &g[n++]) == 0);
  CHECK(thrum_spawn(NULL, NULL, reads, NULL, &g[n++]) == 0);
  CHECK(thrum_spawn(NULL, NULL, writes, NULL, &g[n++]) == 0);
  for (int i = 0; i < n; i++)
    CHECK(thrum_join(NULL, g[i], THRUM_FOREVER) == 0);
  for (int i = 0; i < PAIRS; i++) {
    thrum_chan_release(pairs[i].to);
    thrum_chan_release(pairs[i].back);
  }
}

struct sums {
  uint64_t dispatches, spawns, parks;
};
static void sum_up(void* arg, const thrum_p_stats* p) {
  struct sums* s = arg;
  s->dispatches += p->dispatches;
  s->spawns += p->spawns;
  s->parks += p->parks;
}

static thrum_rt* rt_of(uint32_t procs) {
  thrum_config c;
  thrum_rt* rt;
  memset(&c, 0, sizeof c);
  c.struct_size = sizeof c;
  c.procs = procs;
  CHECK(thrum_rt_new(&rt, &c) == 0);
  return rt;
}
static void rt_end(thrum_rt* rt) {
  CHECK(thrum_rt_stop(rt, THRUM_FOREVER) == 0);
  thrum_rt_free(rt);
}

static void work(void) {
  struct sums s = {0, 0, 0};
  thrum_rt* rt = rt_of(2);
  rounds = 500;
  CHECK(thrum_run(rt, everything, NULL) == 0);
  CHECK(thrum_rt_stop(rt, THRUM_FOREVER) == 0);
  CHECK(thrum_p_each(rt, sum_up, &s) == 0);
  /* the first G is the thread's, whatever else has counted it */
  printf("{\"run\": %llu, \"park\": %llu, \"gs\": %d, \"reads\": %d, "
         "\"blocks\": %d, \"sleeps\": %d}\n",
         (unsigned long long)s.dispatches, (unsigned long long)s.parks,
         1 + 2 * PAIRS + SLEEPERS + BLOCKERS + LOCKERS + 2, READS, BLOCKERS,
         SLEEPERS * 5 + READS);
  thrum_rt_free(rt);
}

static void computes(void* arg) {
  int64_t end = thrum_now() + 300 * MS;
  int64_t* ran = arg;
  int64_t begin = thrum_now();
  while (thrum_now() < end) {}
  *ran = thrum_now() - begin;
}
static void spin(void) {
  int64_t ran = 0;
  thrum_rt* rt = rt_of(1);
  CHECK(thrum_run(rt, computes, &ran) == 0);
  rt_end(rt);
  printf("{\"ran\": %lld}\n", (long long)ran);
}

int main(void) {
  char line[16];
  CHECK(pipe(ends) == 0);
  thrum_rt* warm = rt_of(2);
  rounds = 10;
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (strcmp(line, "warm\n") == 0) {
      CHECK(thrum_run(warm, everything, NULL) == 0);
      puts("warm");
    } else if (strcmp(line, "go\n") == 0) {
      work();
    } else if (strcmp(line, "spin\n") == 0) {
      spin();
    }
    fflush(stdout);
  }
  rt_end(warm);
  return 0;
}
