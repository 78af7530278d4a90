/* fork.c: after fork a runtime belongs to the parent. In the child every call
 * that needs it says THRUM_EFORKED, nothing hangs or crashes, and the child may
 * make runtimes of its own; the parent does not notice. */
#include "../support/check.h"

#include <sys/wait.h>
#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

static void nothing(void* arg) { (void)arg; }
static void never_each(void* arg, const thrum_g_info* info) {
  (void)arg;
  (void)info;
  check_fail(__FILE__, __LINE__, "a G of the parent is shown to the child");
}
static void count_up(void* arg) { add(arg, 1); }

static void calls_in_child(thrum_rt* rt, thrum_g living, thrum_g ended) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_run(rt, nothing, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_join(rt, living, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_join(rt, ended, THRUM_TRY), THRUM_EFORKED);
  CHECK_EQ(thrum_cancel(rt, living), THRUM_EFORKED);
  CHECK_EQ(thrum_unpark(rt, living), THRUM_EFORKED);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_set_procs(rt, 1), THRUM_EFORKED);
  CHECK_EQ(thrum_procs(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_next_wake(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_wake_fd(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_new(rt, &ops, NULL, &d), THRUM_EFORKED);
  CHECK_EQ(thrum_g_each(rt, never_each, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_on_thread(rt, NULL, NULL, NULL), THRUM_EFORKED);
  thrum_rt_free(rt); /* does nothing */
  thrum_rt_free(rt);
  /* What belongs to no runtime works, and so does a new runtime. */
  thrum_chan* ch = NULL;
  int v = 5, w = 0;
  CHECK_EQ(thrum_chan_new(sizeof v, 1, &ch), 0);
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_recv(ch, &w, THRUM_TRY), 0);
  CHECK_EQ(w, 5);
  thrum_chan_release(ch);
  word n = 0;
  thrum_rt* own = rt_make(RT_P2);
  CHECK_EQ(thrum_run(own, count_up, &n), 0);
  thrum_g g = go_in(own, count_up, &n);
  CHECK_EQ(thrum_join(own, g, THRUM_FOREVER), 0);
  CHECK_EQ(n, 2);
  rt_end(own);
}
static int fork_and_wait(void (*in_child)(thrum_rt*, thrum_g, thrum_g),
                         thrum_rt* rt, thrum_g living, thrum_g ended) {
  int status = 0;
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    alarm((unsigned)check_seconds);
    in_child(rt, living, ended);
    _exit(__atomic_load_n(&check_failures, __ATOMIC_SEQ_CST) ? 1 : 0);
  }
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return status;
}
struct beat {
  word n, stop;
};
static void beats(void* arg) {
  struct beat* b = arg;
  while (!get(&b->stop)) {
    add(&b->n, 1);
    if (thrum_sleep(1000) != 0 || thrum_yield() != 0)
      break;
  }
}
TEST(fork_from_a_thread) {
  if (CHECK_TSAN)
    SKIP("the sanitizer does not follow a fork of several threads");
  thrum_rt* rt = rt_make(RT_P4);
  struct beat b = {0, 0};
  thrum_g living[8], ended = go_in(rt, nothing, NULL);
  CHECK_EQ(thrum_join(rt, ended, THRUM_FOREVER), 0);
  for (int i = 0; i < 8; i++)
    living[i] = go_in(rt, beats, &b);
  for (int i = 0; i < (CHECK_SANITIZED ? 5 : 50); i++) {
    int status = fork_and_wait(calls_in_child, rt, living[i % 8], ended);
    CHECK_MSG(status == 0, "the child ended with status 0x%x", status);
    if (status)
      break;
    word n = get(&b.n);
    while (get(&b.n) < n + 8)
      check_pause(); /* the parent goes on */
  }
  set(&b.stop, 1);
  for (int i = 0; i < 8; i++)
    CHECK_EQ(thrum_join(rt, living[i], SOON), 0);
  rt_end(rt);
}

/* From inside a G: the child has that one G on its one thread, and may do
 * little with it, but say goodbye. */
static void in_g_of_child(thrum_rt* rt, thrum_g living, thrum_g ended) {
  (void)ended;
  CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_spawn(NULL, NULL, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_yield(), THRUM_EFORKED);
  CHECK_EQ(thrum_sleep(1000), THRUM_EFORKED);
  CHECK_EQ(thrum_check(), THRUM_EFORKED);
  CHECK_EQ(thrum_join(NULL, living, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_park("never", THRUM_FOREVER), THRUM_EFORKED);
  thrum_chan* ch = NULL;
  int v = 0;
  CHECK_EQ(thrum_chan_new(sizeof v, 0, &ch), 0);
  /* it would wait, and cannot */
  CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_FOREVER), THRUM_EFORKED);
  void* p = thrum_alloc(100);
  CHECK(p != NULL);
  thrum_free(p);
}
struct fork_in_g {
  int status;
  thrum_g living;
};
static void forks(void* arg) {
  struct fork_in_g* f = arg;
  f->status = fork_and_wait(in_g_of_child, thrum_rt_current(), f->living, 0);
}
TEST(fork_from_a_g) {
  if (CHECK_TSAN)
    SKIP("the sanitizer does not follow a fork of several threads");
  thrum_rt* rt = rt_make(RT_P2);
  struct beat b = {0, 0};
  struct fork_in_g f = {1, go_in(rt, beats, &b)};
  for (int i = 0; i < (CHECK_SANITIZED ? 3 : 20); i++) {
    CHECK_EQ(thrum_run(rt, forks, &f), 0);
    CHECK_MSG(f.status == 0, "the child ended with status 0x%x", f.status);
    if (f.status)
      break;
  }
  set(&b.stop, 1);
  CHECK_EQ(thrum_join(rt, f.living, SOON), 0);
  rt_end(rt);
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
TEST(exec_inherits_no_descriptor) {
  run_child("list", NULL);
  char before[200];
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

static const struct check_case cases[] = {CASE(fork_from_a_thread),
                                          CASE(fork_from_a_g),
                                          CASE(exec_inherits_no_descriptor)};
static const struct child_part parts[] = {PART(list)};
CHILD_MAIN(cases, parts)
