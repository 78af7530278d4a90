/* preempt_hosts.c: preemption in a process that has handlers of its own for the
 * same signal: C, Python's faulthandler, Go. */
#include "../support/check.h"

#include <libgen.h>
#include <limits.h>

#include "../support/child.h"
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

/* A file beside this one. */
static int beside(const char* name, char* path, size_t size) {
  static char here[] = __FILE__;
  char self[PATH_MAX], source[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return 0;
  self[n] = 0;
  snprintf(source, sizeof source, "%s", here);
  const char *folder = dirname(source), *program = dirname(self);
  snprintf(path, size, "%s/%s", folder, name);
  if (access(path, R_OK) == 0)
    return 1;
  /* The compiler was called in the build folder, one above the programs. */
  snprintf(path, size, "%s/../%s/%s", program, folder, name);
  return access(path, R_OK) == 0;
}

/* Runs a shell command; what it prints goes to child.out. */
static void run_command(const char* command) {
  FILE* p = popen(command, "r");
  REQUIRE(p != NULL);
  size_t n = fread(child.out, 1, sizeof child.out - 1, p);
  child.out[n] = 0;
  int status = pclose(p);
  child.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  child.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
static const char* library(void) {
  const char* path = getenv("THRUM_LIB");
  return path && access(path, R_OK) == 0 ? path : NULL;
}

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

/* The newest Go that is installed: Debian's versioned packages put nothing on
 * the path. */
static int find_go(char* go, size_t size) {
  run_command("for go in \"$(command -v go 2>/dev/null)\" "
              "$(ls -d /usr/lib/go-*/bin/go 2>/dev/null | sort -rV) "
              "/usr/local/go/bin/go; do"
              "  if [ -n \"$go\" ] && \"$go\" version >/dev/null 2>&1; then"
              "    printf %s \"$go\"; break;"
              "  fi; "
              "done");
  snprintf(go, size, "%.4000s", child.out);
  return *go != 0;
}
static void go_host(const char* go, const char* folder) {
  static char source[2 * PATH_MAX], header[2 * PATH_MAX], command[8 * PATH_MAX];
  REQUIRE(beside("preempt_host.go", source, sizeof source));
  REQUIRE(beside("../../capi/include/thrum/host.h", header, sizeof header));
  header[strlen(header) - strlen("thrum/host.h")] = 0;
  /* The default cache if there is one: the standard library takes a minute. */
  snprintf(
      command, sizeof command,
      "cd '%s' && if [ -z \"$GOCACHE\" ] && ! [ -w \"${HOME:-/nowhere}\" ]; "
      "then export GOCACHE='%s/cache'; fi; "
      "inc=$(realpath '%s') && src=$(realpath '%s') && "
      "CGO_ENABLED=1 CGO_CFLAGS=\"-O2 -I$inc\" GOFLAGS= GOWORK=off "
      "GO111MODULE=off GOTOOLCHAIN=local "
      "'%s' build -o '%s/host' \"$src\" 2>&1",
      ".", folder, header, source, go, folder);
  run_command(command);
  if (child.code != 0) {
    static char reason[200];
    snprintf(reason, sizeof reason, "go cannot build a cgo program: %.120s",
             child.out);
    reason[strcspn(reason, "\n")] = 0;
    check_skipped = reason;
    return;
  }
  snprintf(command, sizeof command, "timeout 100 '%s/host' '%s' 2>&1", folder,
           library());
  run_command(command);
  if (child_skipped())
    return;
  CHECK_MSG(child.code == 0 && strncmp(child.out, "ok", 2) == 0,
            "status %d, signal %d: %.900s", child.code, child.signal,
            child.out);
}
TEST(a_go_host) {
  SKIP_IF_IT_CANNOT;
  static char go[PATH_MAX];
  char folder[] = "/tmp/thrum-go-XXXXXX", clean[100];
  if (!library())
    SKIP("$THRUM_LIB does not name the shared library");
  if (CHECK_ASAN)
    SKIP("a Go program cannot load a library that is built for ASan");
  if (!find_go(go, sizeof go))
    SKIP("Go is not installed");
  alarm(280); /* a cold cache */
  REQUIRE(mkdtemp(folder) != NULL);
  go_host(go, folder);
  snprintf(clean, sizeof clean, "rm -rf '%s'", folder);
  CHECK_EQ(system(clean), 0);
}

static const struct check_case cases[] = {
    CASE(a_handler_from_before), CASE(a_handler_from_after),
    CASE(python_and_its_faulthandler), CASE(a_go_host)};
CHECK_MAIN(cases)
