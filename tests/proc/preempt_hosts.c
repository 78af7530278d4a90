/* preempt_hosts.c: preemption in a process that has handlers of its own for the
 * same signal: C, Python's faulthandler, Go. */
#include "../support/check.h"

#include "../support/hosts.h"
#include "../support/preempt.h"

/* ---- handlers in C ---------------------------------------------------------------- */

static word foreign_seen, foreign_sum, over_seen;
static struct sigaction chained;

static void on_foreign(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  add(&foreign_seen, 1);
  add(&foreign_sum, info->si_value.sival_int);
}
static void hands_on(int signo, siginfo_t* info, void* context) {
  add(&over_seen, 1);
  chained.sa_sigaction(signo, info, context);
}
static void handle(int signo, void (*fn)(int, siginfo_t*, void*)) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  a.sa_sigaction = fn;
  a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  REQUIRE_EQ(sigaction(signo, &a, NULL), 0);
}
static int handler_is(int signo, void (*fn)(int, siginfo_t*, void*)) {
  struct sigaction a;
  sigaction(signo, NULL, &a);
  return (a.sa_flags & SA_SIGINFO) && a.sa_sigaction == fn;
}

/* Hogs that are stopped 200 times, while signals that are not thrum's come to
 * the process. */
struct noise {
  word stop, sent, sum;
  int signo;
};
static void* make_noise(void* arg) {
  struct noise* n = arg;
  for (int i = 1; !get(&n->stop); i++) {
    union sigval v;
    v.sival_int = i;
    if (sigqueue(getpid(), n->signo, v) == 0) {
      n->sent++;
      n->sum += i;
    }
    struct timespec t = {0, 200000};
    nanosleep(&t, NULL);
  }
  return NULL;
}
static void among_hogs(void* arg) {
  struct spinner s = {1, 0};
  thrum_g g[3];
  (void)arg;
  for (int i = 0; i < 3; i++)
    g[i] = go(spin, &s);
  while (counts_of(NULL).preemptions < 200)
    CHECK_EQ(thrum_yield(), 0);
  set(&s.go_on, 0);
  for (int i = 0; i < 3; i++)
    join_g(g[i]);
}
static void with_noise(thrum_rt* rt, int signo) {
  struct noise n = {0, 0, 0, signo};
  pthread_t t;
  REQUIRE_EQ(pthread_create(&t, NULL, make_noise, &n), 0);
  CHECK_EQ(thrum_run(rt, among_hogs, NULL), 0);
  set(&n.stop, 1);
  pthread_join(t, NULL);
  for (int i = 0; i < 5000 && get(&foreign_seen) < n.sent; i++)
    check_pause();
  CHECK(n.sent > 0);
  CHECK_EQ(get(&foreign_seen), n.sent); /* all of them, and none of thrum's */
  CHECK_EQ(get(&foreign_sum), n.sum);
}
static void begin(void) {
  set(&foreign_seen, 0);
  set(&foreign_sum, 0);
  set(&over_seen, 0);
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
}
static void end(int signo) {
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
  signal(signo, SIG_DFL);
}

TEST(a_handler_from_before) {
  SKIP_IF_IT_CANNOT;
  int signo = SIGRTMIN + 4;
  begin();
  handle(signo, on_foreign);
  thrum_rt* rt = rt_preempting(2, MS, signo);
  CHECK(!handler_is(signo, on_foreign));
  with_noise(rt, signo);
  rt_end(rt);
  CHECK(handler_is(signo, on_foreign));
  end(signo);
}

TEST(a_handler_from_after) {
  SKIP_IF_IT_CANNOT;
  int signo = SIGRTMIN + 4;
  begin();
  handle(signo, on_foreign);
  for (int round = 0; round < 2; round++) { /* again below it */
    thrum_rt* rt = rt_preempting(2, MS, signo);
    if (round == 0) {
      sigaction(signo, NULL, &chained);
      handle(signo, hands_on);
    }
    set(&foreign_seen, 0);
    set(&foreign_sum, 0);
    with_noise(rt, signo);
    CHECK(get(&over_seen) >= 200 + get(&foreign_seen));
    rt_end(rt);
    CHECK(handler_is(signo, hands_on)); /* it stays */
  }
  word seen = get(&foreign_seen);
  raise(signo);
  CHECK_EQ(get(&foreign_seen), seen + 1); /* and so does the chain */
  sigaction(signo, &chained, NULL);
  /* With the next user's end thrum's own can go. */
  rt_end(rt_preempting(1, MS, signo));
  CHECK(handler_is(signo, on_foreign));
  end(signo);
}

/* ---- other hosts ----------------------------------------------------------------- */

TEST(python_and_its_faulthandler) {
  SKIP_IF_IT_CANNOT;
  static char script[2 * PATH_MAX], command[4 * PATH_MAX];
  if (!library())
    SKIP("$THRUM_LIB does not name the shared library");
  if (CHECK_ASAN)
    SKIP("Python cannot load a library that is built for ASan");
  if (system("command -v python3 >/dev/null 2>&1") != 0)
    SKIP("python3 is not installed");
  REQUIRE(beside("preempt_host.py", script, sizeof script));
  static const char* const modes[] = {"none", "before", "after-chain", "after"};
  for (int i = 0; i < 4; i++) {
    check_context = modes[i];
    snprintf(command, sizeof command, "python3 '%s' '%s' %s 2>&1", script,
             library(), modes[i]);
    run_command(command);
    if (child_skipped())
      return;
    CHECK_MSG(child.code == 0, "status %d, signal %d: %.600s", child.code,
              child.signal, child.out);
  }
}

TEST(a_go_host) {
  SKIP_IF_IT_CANNOT;
  run_go_host("preempt_host.go");
  if (!check_skipped)
    CHECK_MSG(child.code == 0 && strncmp(child.out, "ok", 2) == 0,
              "status %d, signal %d: %.900s", child.code, child.signal,
              child.out);
}

static const struct check_case cases[] = {
    CASE(a_handler_from_before), CASE(a_handler_from_after),
    CASE(python_and_its_faulthandler), CASE(a_go_host)};
CHECK_MAIN(cases)
