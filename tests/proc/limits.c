/* limits.c: out of memory, threads or descriptors: an error code where one is
 * asked, and everything else goes on. */
#include "../support/check.h"

#include <grp.h>
#include <sys/resource.h>
#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

static uint64_t mapped_bytes(void) {
  unsigned long pages = 0;
  FILE* f = fopen("/proc/self/statm", "re");
  if (!f || fscanf(f, "%lu", &pages) != 1)
    child_skip("/proc/self/statm cannot be read");
  fclose(f);
  return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
static void limit_to(int what, uint64_t n) {
  struct rlimit l;
  REQUIRE_EQ(getrlimit(what, &l), 0);
  l.rlim_cur = n;
  if (setrlimit(what, &l) != 0)
    child_skip("the limit cannot be set");
}

/* ---- memory -------------------------------------------------------------- */

struct crowd {
  thrum_chan* gate;
  word waiting, through;
};
static void wait_at_gate(void* arg) {
  struct crowd* c = arg;
  char x;
  add(&c->waiting, 1);
  CHECK_EQ(thrum_chan_recv(c->gate, &x, THRUM_FOREVER), THRUM_ECLOSED);
  add(&c->through, 1);
}
static void count_up(void* arg) { add(arg, 1); }
/* One that is there before memory runs out, and goes on while it is. */
struct neighbour {
  word beats, stop;
};
static void neighbour(void* arg) {
  struct neighbour* n = arg;
  while (!get(&n->stop)) {
    CHECK_EQ(thrum_yield(), 0);
    add(&n->beats, 1);
  }
}
static void exhaust(void* arg) {
  enum { MOST = 4000000 };
  struct crowd c = {NULL, 0, 0};
  struct neighbour n = {0, 0};
  word counted = 0;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(1, 0, &c.gate), 0);
  thrum_g beside = go(neighbour, &n);
  for (int i = 0; i < 100; i++)
    join_g(go(count_up, &counted)); /* warm */
  yield_until(&n.beats, 1);
  limit_to(RLIMIT_AS, mapped_bytes() + ((uint64_t)48 << 20));
  word spawned = 0;
  int rc = 0;
  while (spawned < MOST) {
    rc = thrum_spawn(NULL, NULL, wait_at_gate, &c, NULL);
    if (rc != 0)
      break;
    spawned++;
    if (spawned % 64 == 0)
      CHECK_EQ(thrum_yield(), 0);
  }
  CHECK_MSG(rc == THRUM_ENOMEM, "after %d Gs, spawn answers %d", (int)spawned,
            rc);
  CHECK_LE(10, spawned);
  CHECK_LE(1, get(&c.waiting));
  /* Refused again and again, and without harm: the neighbour lives. */
  for (int i = 0; i < 100; i++) {
    rc = thrum_spawn(NULL, NULL, wait_at_gate, &c, NULL);
    CHECK(rc == 0 || rc == THRUM_ENOMEM);
    spawned += rc == 0;
  }
  yield_until(&n.beats, get(&n.beats) + 10);
  thrum_chan* ch = NULL;
  CHECK_EQ(thrum_chan_new(1 << 20, 1 << 10, &ch), THRUM_ENOMEM);
  CHECK(thrum_alloc((size_t)1 << 30) == NULL);
  CHECK(thrum_calloc(1 << 10, 1 << 20) == NULL);
  /* All that was accepted comes to its end, with what those who go leave
   * behind. */
  CHECK_EQ(thrum_chan_close(c.gate), 0);
  yield_until(&c.through, spawned);
  CHECK_EQ(c.through, spawned);
  /* And now there is room again. */
  for (int i = 0; i < 100; i++) {
    thrum_g g = 0;
    CHECK_EQ(thrum_spawn(NULL, NULL, count_up, &counted, &g), 0);
    if (g)
      join_g(g);
  }
  CHECK_EQ(counted, 200);
  set(&n.stop, 1);
  join_g(beside);
  thrum_chan_release(c.gate);
}
CHILD(memory) {
  struct rt_kind kind = strcmp(arg, "hosted") == 0   ? RT_HOSTED
                        : strcmp(arg, "seeded") == 0 ? RT_DET1
                                                     : RT_P2;
  in_rt(kind, exhaust, NULL);
}
TEST(out_of_memory) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer's shadow does not fit into a small address space");
  static const char* const kinds[] = {"threads", "hosted", "seeded"};
  for (int i = 0; i < 3; i++) {
    expect_child("memory", kinds[i], 0);
    if (child_skipped())
      SKIP(check_skipped);
  }
}

/* A runtime that cannot be made says so; a little later it can. */
CHILD(new_runtime) {
  (void)arg;
  int made = 0, refused = 0;
  uint64_t now = mapped_bytes();
  for (uint64_t room = 0; room < (uint64_t)192 << 20; room += 1 << 18) {
    thrum_rt* rt = NULL;
    word n = 0;
    limit_to(RLIMIT_AS, now + room);
    int rc = thrum_rt_new(&rt, NULL);
    if (rc == 0)
      rc = thrum_run(rt, count_up, &n);
    limit_to(RLIMIT_AS, RLIM_INFINITY);
    CHECK_MSG(rc == 0 || rc == THRUM_ENOMEM || rc == THRUM_EAGAIN,
              "with %d KiB left: %d", (int)(room >> 10), rc);
    if (rc == 0) {
      CHECK_EQ(n, 1);
      made++;
    } else {
      refused++;
    }
    if (rt)
      rt_end(rt);
  }
  CHECK(refused > 0);
  CHECK(made > 0);
}
TEST(no_memory_for_a_runtime) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer's shadow does not fit into a small address space");
  expect_child("new_runtime", NULL, 0);
  if (child_skipped())
    SKIP(check_skipped);
}

/* ---- threads ------------------------------------------------------------- */

static void yield_some(void* arg) {
  for (int i = 0; i < 20; i++)
    CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_sleep(1000), 0);
  add(arg, 1);
}
static void many_gs(void* arg) {
  thrum_g g[50];
  for (int i = 0; i < 50; i++)
    g[i] = go(yield_some, arg);
  for (int i = 0; i < 50; i++)
    join_g(g[i]);
}
static void declared(void* arg) {
  for (int i = 0; i < 5; i++) {
    struct timespec t = {0, 1000000};
    CHECK_EQ(thrum_enter_blocking(), 0);
    /* no thread can be had to take over: work waits, and comes later */
    nanosleep(&t, NULL);
    CHECK_EQ(thrum_exit_blocking(), 0);
  }
  add(arg, 1);
}
static void declared_gs(void* arg) {
  thrum_g g[6];
  for (int i = 0; i < 6; i++)
    g[i] = go(i % 2 ? declared : yield_some, arg);
  for (int i = 0; i < 6; i++)
    join_g(g[i]);
}
/* A user of whom there is no other process, so that RLIMIT_NPROC counts this
 * one's threads alone. */
static void become_nobody_else(void) {
  enum { LONELY = 61234 };
  if (geteuid() != 0)
    return;
  if (setgroups(0, NULL) != 0 || setresgid(LONELY, LONELY, LONELY) != 0 ||
      setresuid(LONELY, LONELY, LONELY) != 0)
    child_skip("root, whom RLIMIT_NPROC does not bind, and setuid is refused");
}
static int thread_is_refused(void) {
  pthread_t t;
  int rc = pthread_create(&t, NULL, check_nothing, NULL);
  if (rc == 0)
    pthread_join(t, NULL);
  return rc == EAGAIN;
}
CHILD(threads) {
  int spare = atoi(arg);
  become_nobody_else();
  limit_to(RLIMIT_NPROC, 1);
  if (!thread_is_refused())
    child_skip("RLIMIT_NPROC does not bind this process");
  limit_to(RLIMIT_NPROC, 1 + (uint64_t)spare);
  thrum_rt* rt = rt_make(RT_P4);
  word n = 0;
  /* From outside, with nobody who could run it: taken or refused, no crash. */
  thrum_g g = 0;
  int rc = thrum_spawn(rt, NULL, count_up, &n, &g);
  CHECK_MSG(rc == 0 || rc == THRUM_EAGAIN || rc == THRUM_ENOMEM,
            "spawn without threads: %d", rc);
  word want = rc == 0;
  /* on this thread alone, if need be */
  CHECK_EQ(thrum_run(rt, many_gs, &n), 0);
  if (rc == 0)
    CHECK_EQ(thrum_join(rt, g, SOON), 0);
  want += 50;
  CHECK_EQ(n, want);
  CHECK_EQ(thrum_run(rt, declared_gs, &n), 0);
  CHECK_EQ(n, want + 6);
  CHECK_LE(check_threads(), 1 + spare);
  rt_end(rt);
}
/* A domain whose first G found no thread: the next one looks for it again. */
CHILD(domain_without_threads) {
  (void)arg;
  become_nobody_else();
  limit_to(RLIMIT_NPROC, 1);
  if (!thread_is_refused())
    child_skip("RLIMIT_NPROC does not bind this process");
  thrum_rt* rt = rt_make(RT_P4);
  thrum_domain* d = NULL;
  thrum_domain_ops ops = {.struct_size = sizeof ops};
  REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .domain = d};
  thrum_g g[2];
  word n = 0;
  REQUIRE_EQ(thrum_spawn(rt, &opts, count_up, &n, &g[0]), 0);
  limit_to(RLIMIT_NPROC, 8);
  REQUIRE_EQ(thrum_spawn(rt, &opts, count_up, &n, &g[1]), 0);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_join(rt, g[i], SOON), 0);
  thrum_domain_release(d);
  rt_end(rt);
}
TEST(out_of_threads) {
  if (CHECK_TSAN)
    SKIP("the sanitizer needs a thread of its own");
  static const char* const spare[] = {"0", "1", "2", "3"};
  child_may_leak(); /* the search for leaks needs a thread, too */
  for (int i = 0; i < 4; i++) {
    expect_child("threads", spare[i], 0);
    if (child_skipped())
      SKIP(check_skipped);
  }
  expect_child("domain_without_threads", NULL, 0);
}

/* ---- descriptors --------------------------------------------------------- */

CHILD(descriptors) {
  int refused = 0;
  (void)arg;
  int fds = check_fds();
  for (uint64_t room = 0; room < 12; room++) {
    thrum_rt* rt = NULL;
    word n = 0;
    limit_to(RLIMIT_NOFILE, 3 + room);
    int rc = thrum_rt_new(&rt, NULL);
    CHECK_MSG(rc == 0 || rc == -EMFILE, "with %d descriptors: %d", (int)room,
              rc);
    if (rc == 0) {
      CHECK_EQ(thrum_run(rt, many_gs, &n), 0);
      CHECK_EQ(n, 50);
      CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
      thrum_rt_free(rt);
    } else {
      refused++;
    }
    limit_to(RLIMIT_NOFILE, 256);
    CHECK_EQ(check_fds(), fds);
  }
  CHECK_LE(refused, 11);
}
TEST(out_of_descriptors) {
  expect_child("descriptors", NULL, 0);
  if (child_skipped())
    SKIP(check_skipped);
}

static const struct check_case cases[] = {
    CASE(out_of_memory), CASE(no_memory_for_a_runtime), CASE(out_of_threads),
    CASE(out_of_descriptors)};
static const struct child_part parts[] = {
    PART(memory), PART(new_runtime), PART(threads),
    PART(domain_without_threads), PART(descriptors)};
CHILD_MAIN(cases, parts)
