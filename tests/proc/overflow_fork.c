/* overflow_fork.c: stacks that are full, and other faults, in a forked child. */
#include "../support/check.h"

#include <sys/resource.h>

#include "../support/child.h"
#include "../support/overflow.h"
#include "../support/rt.h"

static volatile char sink;
static int* volatile nowhere = (int*)16;

static void by_recursion(void* arg) {
  (void)arg;
  sink = (char)recurse(0);
}
static void by_null(void* arg) {
  (void)arg;
  *nowhere = 1;
}
static void nothing(void* arg) { (void)arg; }

static void spawn_and_join(thrum_rt* rt, thrum_fn fn) {
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 16384;
  o.name = "child";
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(rt, &o, fn, NULL, &g), 0);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
}
/* As a parent that waits: the end of the child's child is its own. */
static pid_t forks(void) {
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  return pid;
}
static void ends_as(pid_t pid) {
  int status = 0;
  REQUIRE_EQ(waitpid(pid, &status, 0), pid);
  _exit(WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* In a G of the parent's, which goes on in the child. */
static void goes_on(void* arg) {
  thrum_fn fn = *(thrum_fn*)arg;
  pid_t pid = forks();
  if (pid == 0)
    fn(NULL);
  else
    ends_as(pid);
}

/* "where": in a G of the parent's; in a new runtime of the child's, which wants
 * to be told or does not; outside. */
CHILD(forked) {
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_overflow_enable(rt), 0);
  thrum_fn fn = strstr(arg, "null") ? by_null : by_recursion;
  if (strstr(arg, "inside")) {
    if (strstr(arg, "lent"))
      CHECK_EQ(thrum_run(rt, goes_on, &fn), 0);
    thrum_g g = go_in(rt, goes_on, &fn);
    CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
    return;
  }
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  pid_t pid = forks();
  if (pid != 0)
    ends_as(pid);
  if (strstr(arg, "outside"))
    by_null(NULL);
  thrum_rt* own = rt_make(RT_P2);
  if (strstr(arg, "told"))
    CHECK_EQ(thrum_overflow_enable(own), 0);
  if (strstr(arg, "stopped")) {
    thrum_rt* other = rt_make(RT_P2);
    CHECK_EQ(thrum_overflow_enable(other), 0);
    rt_end(other);
  }
  spawn_and_join(own, fn);
}

static void run_forked(const char* how, int named) {
  check_context = how;
  run_child("forked", how);
  CHECK_MSG(child.code == 100 + SIGSEGV,
            "status %d, signal %d; it printed: %.900s%s", child.code,
            child.signal, child.out, child.err);
  CHECK_MSG(child_times(child.err, "thrum: stack overflow: G ") == named &&
                child_lines(child.err) == named,
            "it says: %.900s", child.err);
}

TEST(in_a_runtime_of_the_childs) {
  SKIP_WITHOUT_FAULTS;
  run_forked("told", 1);
  CHECK(strstr(child.err, " \"child\" needs more than the 16 KiB") != NULL);
  run_forked("told, and another has stopped", 1);
  run_forked("never asked", 0); /* the parent's wish is not the child's */
}
TEST(in_a_g_of_the_parents) {
  SKIP_WITHOUT_FAULTS;
  run_forked("inside", 1);
  run_forked("inside, lent", 1);
}
TEST(other_faults_take_their_course) {
  SKIP_WITHOUT_FAULTS;
  run_forked("outside", 0);
  run_forked("told null", 0);
  run_forked("inside null", 0);
  run_forked("inside, lent null", 0);
}

static const struct check_case cases[] = {CASE(in_a_runtime_of_the_childs),
                                          CASE(in_a_g_of_the_parents),
                                          CASE(other_faults_take_their_course)};
static const struct child_part parts[] = {PART(forked)};
CHILD_MAIN(cases, parts)
