/* leaks.c: after stop and free nothing is left: no thread, no descriptor, no
 * mapping, and memory does not grow from round to round. (Bytes and Gs are
 * LeakSanitizer's part, in the sanitized runs of the whole suite.) */
#include "../support/check.h"
#include <malloc.h>

#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

static int mappings(void) {
  FILE* f = fopen("/proc/self/maps", "re");
  int n = 0, c;
  REQUIRE(f != NULL);
  while ((c = getc(f)) != EOF)
    n += c == '\n';
  fclose(f);
  return n;
}
static long resident_kib(void) {
  unsigned long all = 0, resident = 0;
  FILE* f = fopen("/proc/self/statm", "re");
  REQUIRE(f != NULL);
  REQUIRE_EQ(fscanf(f, "%lu %lu", &all, &resident), 2);
  fclose(f);
  return (long)(resident * (unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

/* A bit of everything, most of it left unfinished. */
struct everything {
  thrum_chan* ch;
  thrum_mutex m;
  thrum_sem s;
  word started;
};
static void keep_sleeping(void* arg) {
  struct everything* e = arg;
  add(&e->started, 1);
  while (thrum_sleep(3600 * SECOND) == 0) {}
}
static void keep_receiving(void* arg) {
  struct everything* e = arg;
  char c;
  add(&e->started, 1);
  while (thrum_chan_recv(e->ch, &c, THRUM_FOREVER) == 0) {}
}
static void keep_selecting(void* arg) {
  struct everything* e = arg;
  char c;
  thrum_case arms[40];
  for (int i = 0; i < 40; i++)
    arms[i] = (thrum_case){e->ch, &c, THRUM_RECV, 0};
  add(&e->started, 1);
  while (thrum_select(arms, 40, thrum_after(3600 * SECOND)) >= 0) {}
}
static void keep_blocking(void* arg) {
  struct everything* e = arg;
  struct timespec t = {0, 100000};
  add(&e->started, 1);
  do {
    thrum_enter_blocking();
    nanosleep(&t, NULL);
    thrum_exit_blocking();
  } while (thrum_sem_acquire(&e->s, thrum_after(100000)) != THRUM_ECANCELED);
}
static void keep_locked(void* arg) {
  struct everything* e = arg;
  add(&e->started, 1);
  thrum_lock_thread();
  while (thrum_sleep(100000) == 0) {}
}
static void use_everything(void* arg) {
  struct everything* e = arg;
  static const thrum_fn ways[] = {keep_sleeping, keep_receiving, keep_selecting,
                                  keep_blocking, keep_locked};
  for (int i = 0; i < 100; i++) {
    thrum_spawn_opts o = spawn_opts();
    o.name = "left behind";
    o.affinity = i % 2 ? THRUM_PIN_STARTED : THRUM_MIGRATE;
    o.stack_size = i % 7 == 0 ? 1 << 20 : 0;
    go_with(&o, ways[i % 5], e);
  }
  yield_until(&e->started, 100);
}
static void round_of(struct rt_kind kind) {
  struct everything e;
  memset(&e, 0, sizeof e);
  REQUIRE_EQ(thrum_chan_new(1, 3, &e.ch), 0);
  thrum_rt* rt = rt_make(kind);
  CHECK_EQ(thrum_run(rt, use_everything, &e), 0);
  if (!(kind.flags & THRUM_RT_HOSTED))
    CHECK(thrum_set_procs(rt, kind.procs + 1) > 0);
  rt_end(rt);
  thrum_chan_release(e.ch);
}
CHILD(rounds) {
  int rounds = CHECK_SANITIZED ? 12 : 480, threads = 0, fds = 0, maps = 0;
  long kib = 0;
  (void)arg;
  /* libc makes as many arenas as threads meet in it, some 40 mappings more or less. */
  mallopt(M_ARENA_MAX, 1);
  for (int i = 0; i < rounds; i++) {
    round_of(i % 3 == 0 ? RT_P1 : i % 3 == 1 ? RT_P2 : RT_P4);
    /* By half time libc and the allocator have cached what they will: segments of
     * threads that were there at once, more or fewer from round to round. */
    if (i <= rounds / 2 && mappings() > maps)
      maps = mappings();
    if (i == rounds / 2) {
      threads = check_threads_settle(1 + CHECK_TSAN);
      fds = check_fds();
      kib = resident_kib();
      CHECK_EQ(threads, 1 + CHECK_TSAN);
    }
  }
  CHECK_EQ(check_threads_settle(threads), threads);
  CHECK_EQ(check_fds(), fds);
  if (!CHECK_SANITIZED) {
    CHECK_LE(mappings(), maps + 16);
    CHECK_LE(resident_kib(), kib + 8 * 1024);
  }
}
TEST(nothing_is_left) { expect_child("rounds", NULL, 0); }

/* Within one runtime: what ended Gs leave does not add up. */
static void touch_stack(void* arg) {
  volatile char block[16384];
  for (size_t i = 0; i < sizeof block; i += 1024)
    block[i] = 1;
  add(arg, block[1024]);
}
static void many_generations(void* arg) {
  word n = 0;
  long kib = 0;
  (void)arg;
  for (int round = 0; round < 40; round++) {
    thrum_g g[500];
    for (int i = 0; i < 500; i++)
      g[i] = go(touch_stack, &n);
    for (int i = 0; i < 500; i++)
      join_g(g[i]);
    if (round == 10)
      kib = resident_kib();
  }
  CHECK_EQ(n, 40 * 500);
  CHECK_LE(resident_kib(), kib + 8 * 1024);
}
CHILD(generations) {
  (void)arg;
  in_rt(RT_P2, many_generations, NULL);
}
TEST(ended_gs_leave_nothing) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer keeps freed memory for a while");
  expect_child("generations", NULL, 0);
}

/* fork and exec: no descriptor of the library's goes along. */
CHILD(list) {
  (void)arg;
  /* 0, 1, 2, and the one that lists. */
  DIR* dir = opendir("/proc/self/fd");
  REQUIRE(dir != NULL);
  for (struct dirent* e; (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.' && atoi(e->d_name) > 2 &&
        atoi(e->d_name) != dirfd(dir))
      printf("%s ", e->d_name);
  closedir(dir);
}
static void nothing(void* arg) { (void)arg; }
TEST(exec_inherits_no_descriptor) {
  char before[200];
  run_child("list", NULL);
  /* what this process got from its own parent */
  snprintf(before, sizeof before, "%.190s", child.out);
  thrum_rt *rt = rt_make(RT_P2), *hosted = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  CHECK(thrum_wake_fd(hosted) >= 0);
  run_child("list", NULL);
  CHECK_EQ(child.code, 0);
  CHECK_STR(child.out, before);
  rt_end(rt);
  rt_end(hosted);
}

static const struct check_case cases[] = {CASE(nothing_is_left),
                                          CASE(ended_gs_leave_nothing),
                                          CASE(exec_inherits_no_descriptor)};
static const struct child_part parts[] = {PART(rounds), PART(generations),
                                          PART(list)};
CHILD_MAIN(cases, parts)
