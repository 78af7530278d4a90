/* overflow.c: Gs that run over the end of their stacks are named, and then the
 * fault is the host's, or the end of the process; all other faults are theirs at
 * once. */
#include "../support/check.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../support/child.h"
#include "../support/overflow.h"
#include "../support/preempt.h"

static const uint64_t kib[] = {16, 64, 256, 1024, 8192};
#define CLASSES 5

/* ---- ways to run over the end --------------------------------------------------- */

static volatile char sink;

/* Touched at its far end first. */
GUEST static void large_array(void) {
  volatile char array[100 << 10];
  array[0] = 1;
  sink = array[0];
}
/* Down until hardly anything is left, then the array. */
GUEST static int dive(char* lo, size_t left) {
  volatile char frame[128];
  frame[0] = 1;
  if ((size_t)((char*)(uintptr_t)frame - lo) > left)
    return dive(lo, left) + frame[0];
  large_array();
  return 0;
}
/* As far down with calls of thrum's: one of them finds no room. */
static thrum_chan* chan;
GUEST static int send_deep(int n) {
  volatile char frame[64];
  uint64_t v = 1;
  frame[0] = (char)n;
  CHECK_EQ(thrum_chan_send(chan, &v, THRUM_TRY), n < 1 ? 0 : THRUM_EAGAIN);
  return n < 0 ? 0 : send_deep(n + 1) + frame[0];
}

static void by_recursion(void* arg) {
  (void)arg;
  sink = (char)recurse(0);
}
static void by_array(void* arg) {
  void* lo;
  CHECK_EQ(thrum_stack(&lo, NULL), 0);
  if (arg) /* a small stack: from its top */
    large_array();
  sink = (char)dive(lo, 1024);
}
static void by_call(void* arg) {
  (void)arg;
  sink = (char)send_deep(0);
}
static int* volatile nowhere = (int*)16;
static void by_null(void* arg) {
  (void)arg;
  *nowhere = 1;
}
static void by_kill(void* arg) {
  (void)arg;
  kill(getpid(), SIGSEGV);
  for (;;) /* it may reach another thread */
    thrum_sleep(MS);
}
/* As where a signal finds no room on the stack. */
static void by_kernel(void* arg) {
  siginfo_t info;
  (void)arg;
  memset(&info, 0, sizeof info);
  info.si_signo = SIGSEGV;
  info.si_code = SI_KERNEL;
  CHECK_EQ(
      syscall(SYS_rt_tgsigqueueinfo, getpid(), thread_id(), SIGSEGV, &info), 0);
}
static void nothing(void* arg) { (void)arg; }

/* ---- a child that runs one of them ------------------------------------------------ */

/* "way class options": options are letters, see where they are asked for. */
struct plan {
  char way[20];
  unsigned size_class;
  char options[20];
};
static int asked(const struct plan* p, char option) {
  return strchr(p->options, option) != NULL;
}
static void say_host(const char* what) { check_write(2, what, strlen(what)); }

static sigjmp_buf home;
static void host_exits(int signo, siginfo_t* info, void* context) {
  (void)context;
  say_host(signo == SIGSEGV && info->si_code > 0 && info->si_addr != NULL
               ? "host: a fault\n"
               : "host: a signal\n");
  _exit(42);
}
static void host_plain(int signo) {
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  say_host(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, signo) == 0
               ? "host: its mask\n"
               : "host: another mask\n");
}
/* Back into the G: it gives up, and others go on. */
static void jumps_home(void* arg) {
  (void)arg;
  if (sigsetjmp(home, 1) == 0)
    by_recursion(NULL);
}
static void host_jumps(int signo) {
  (void)signo;
  siglongjmp(home, 1);
}
static struct sigaction chained;
static void host_hands_on(int signo, siginfo_t* info, void* context) {
  say_host("host: hands on\n");
  chained.sa_sigaction(signo, info, context);
}
static void host_handler(const struct plan* p) {
  struct sigaction a;
  memset(&a, 0, sizeof a);
  sigemptyset(&a.sa_mask);
  a.sa_flags = SA_ONSTACK;
  if (asked(p, 'h')) {
    a.sa_flags |= SA_SIGINFO;
    a.sa_sigaction = host_exits;
  } else if (asked(p, 'o')) { /* once, with a mask, and not itself blocked */
    a.sa_flags |= (int)SA_RESETHAND | SA_NODEFER;
    sigaddset(&a.sa_mask, SIGUSR1);
    a.sa_handler = host_plain;
  } else if (asked(p, 'j')) {
    a.sa_handler = host_jumps;
  } else if (asked(p, 'i')) {
    a.sa_handler = SIG_IGN;
  } else {
    return;
  }
  REQUIRE_EQ(sigaction(SIGSEGV, &a, NULL), 0);
}
static void* foreign(void* arg) {
  by_null(arg);
  return NULL;
}

CHILD(overflows) {
  struct plan p = {"", 0, ""};
  REQUIRE(sscanf(arg, "%19s %u %19s", p.way, &p.size_class, p.options) >= 2);
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  host_handler(&p);
  sigset_t all;
  sigfillset(&all);
  if (asked(&p, 'b')) /* a host that waits for its signals on one thread */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
  thrum_rt* rt = rt_make(asked(&p, 'd')   ? RT_DET1
                         : asked(&p, 'r') ? RT_HOSTED
                         : asked(&p, 'm') ? RT_P1
                                          : RT_P2);
  thrum_rt* other = rt_make(RT_P1);
  if (asked(&p, 'p'))
    CHECK(thrum_preempt_enable(rt, 0) > 0);
  if (asked(&p, 'l')) { /* the threads are there already */
    CHECK_EQ(thrum_join(rt, go_in(rt, nothing, NULL), THRUM_FOREVER), 0);
    CHECK_EQ(thrum_join(rt, go_in(rt, nothing, NULL), THRUM_FOREVER), 0);
  }
  CHECK_EQ(thrum_overflow_enable(other), 0);
  if (!asked(&p, 'n'))
    CHECK_EQ(thrum_overflow_enable(rt), 0);
  if (asked(&p, 'p') && asked(&p, 'q'))
    CHECK_EQ(thrum_preempt_disable(rt), 0); /* its part of the stack goes */
  if (asked(&p, 'x'))
    rt_end(other);
  if (asked(&p, 'c')) { /* one that comes later */
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_flags = SA_SIGINFO | SA_ONSTACK;
    a.sa_sigaction = host_hands_on;
    REQUIRE_EQ(sigaction(SIGSEGV, &a, &chained), 0);
  }
  REQUIRE_EQ(thrum_chan_new(sizeof(uint64_t), 1, &chan), 0);
  thrum_fn fn = asked(&p, 'j')                    ? jumps_home
                : strcmp(p.way, "recursion") == 0 ? by_recursion
                : strcmp(p.way, "array") == 0     ? by_array
                : strcmp(p.way, "call") == 0      ? by_call
                : strcmp(p.way, "kill") == 0      ? by_kill
                : strcmp(p.way, "kernel") == 0    ? by_kernel
                                                  : by_null;
  if (strcmp(p.way, "foreign") == 0) {
    pthread_t t;
    REQUIRE_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
    pthread_join(t, NULL);
  }
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = kib[p.size_class] << 10;
  o.name = "a\nname";
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(rt, &o, fn, asked(&p, 't') ? rt : NULL, &g), 0);
  if (asked(&p, 'd') || asked(&p, 'r'))
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0); /* on this thread */
  if (asked(&p, 'm'))
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0); /* on this one, or its own */
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  if (asked(&p, 'j')) {
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
    rt_end(rt);
    _exit(43);
  }
  say_host("nothing happened\n");
}

static void run_plan(const char* way, unsigned size_class,
                     const char* options) {
  static char arg[100];
  snprintf(arg, sizeof arg, "%s %u %s", way, size_class, options);
  check_context = arg;
  run_child("overflows", arg);
}
static void expect_signal(int signo) {
  CHECK_MSG(child.signal == signo, "status %d, signal %d; it printed: %.900s%s",
            child.code, child.signal, child.out, child.err);
}
static void expect_named(unsigned size_class) {
  char size[60];
  snprintf(size, sizeof size, "needs more than the %d KiB",
           (int)kib[size_class]);
  CHECK_MSG(strstr(child.err, "thrum: stack overflow: G ") == child.err &&
                strstr(child.err, " \"a?name\" ") && strstr(child.err, size) &&
                strstr(child.err, " at pc 0x") &&
                strstr(child.err, "thrum_spawn_opts.stack_size\n") &&
                child_times(child.err, "overflow") == 1,
            "it says: %.900s", child.err);
}
static void expect_silent(void) {
  CHECK_MSG(!strstr(child.err, "thrum:"), "it says: %.900s", child.err);
}

/* ---- cases ---------------------------------------------------------------------------- */

TEST(each_class) {
  SKIP_WITHOUT_FAULTS;
  static const char* const ways[] = {"recursion", "array", "call"};
  for (unsigned c = 0; c < CLASSES; c++)
    for (int w = 0; w < 3; w++) {
      run_plan(ways[w], c, "-");
      expect_signal(SIGSEGV);
      expect_named(c);
    }
  for (unsigned c = 0; c < 2; c++) {
    run_plan("array", c, "t");
    expect_signal(SIGSEGV);
    expect_named(c);
  }
}

TEST(only_when_asked) {
  SKIP_WITHOUT_FAULTS;
  run_plan("recursion", 0, "n"); /* for another runtime only */
  expect_signal(SIGSEGV);
  expect_silent();
  run_plan("array", 1, "n");
  expect_signal(SIGSEGV);
  expect_silent();
  run_plan("recursion", 0, "nx"); /* for one that has stopped */
  expect_signal(SIGSEGV);
  expect_silent();
}

TEST(threads_of_every_kind) {
  SKIP_WITHOUT_FAULTS;
  static const char* const options[] = {"r",  "d",  "m", "p",  "pq", "l",
                                        "lp", "mp", "b", "mb", "x"};
  for (unsigned i = 0; i < CHECK_COUNT(options); i++) {
    if (strchr(options[i], 'p') && cannot_preempt())
      continue;
    run_plan("recursion", 1, options[i]);
    expect_signal(SIGSEGV);
    expect_named(1);
  }
}

TEST(a_handler_of_the_hosts) {
  SKIP_WITHOUT_FAULTS;
  run_plan("recursion", 0, "h");
  CHECK_EQ(child.code, 42);
  CHECK(strstr(child.err, "host: a fault\n") != NULL);
  CHECK(strstr(child.err, "thrum: stack overflow: G ") == child.err);
  run_plan("recursion", 0, "j"); /* which knows a way out */
  CHECK_EQ(child.code, 43);
  CHECK(strstr(child.err, "thrum: stack overflow: G ") == child.err);
  run_plan("recursion", 0, "i"); /* a fault is not to be ignored */
  expect_signal(SIGSEGV);
  expect_named(0);
  run_plan("recursion", 0, "hc"); /* over ours, which is over another */
  CHECK_EQ(child.code, 42);
  CHECK(strstr(child.err, "host: hands on\nthrum: stack overflow: G ") ==
        child.err);
  CHECK(strstr(child.err, "host: a fault\n") != NULL);
}

/* Its mask, not itself blocked, and once: the second time is the default. */
TEST(a_handler_of_the_hosts_with_flags) {
  SKIP_WITHOUT_FAULTS;
  run_plan("recursion", 0, "o");
  expect_signal(SIGSEGV);
  CHECK_EQ(child_times(child.err, "host: its mask\n"), 1);
  CHECK_EQ(child_times(child.err, "thrum: stack overflow: G "), 2);
}

TEST(faults_that_are_none_of_ours) {
  SKIP_WITHOUT_FAULTS;
  static const char* const ways[] = {"null", "foreign", "kill", "kernel"};
  for (int w = 0; w < 4; w++) {
    run_plan(ways[w], 1, "-");
    expect_signal(SIGSEGV);
    CHECK_STR(child.err, "");
    run_plan(ways[w], 1, "h");
    CHECK_EQ(child.code, 42);
    CHECK_STR(child.err, w < 2 ? "host: a fault\n" : "host: a signal\n");
    run_plan(ways[w], 1, "mp");
    expect_signal(SIGSEGV);
    CHECK_STR(child.err, "");
  }
}

/* ---- the disposition, and what threads have --------------------------------------------- */

static void (*handler_now(void))(int) {
  struct sigaction a;
  sigaction(SIGSEGV, NULL, &a);
  return a.sa_handler;
}
struct stacks {
  stack_t inside;
  int blocked;
};
static void look_at_stack(void* arg) {
  struct stacks* s = arg;
  sigset_t now;
  sigaltstack(NULL, &s->inside);
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  s->blocked = sigismember(&now, SIGSEGV);
}
TEST(a_lent_thread_has_it_back) {
  SKIP_WITHOUT_FAULTS;
  struct stacks s;
  stack_t before, after;
  sigset_t segv, mask;
  void (*was)(int) = handler_now();
  sigemptyset(&segv);
  sigaddset(&segv, SIGSEGV);
  for (int preempts = 0; preempts < 2; preempts++) {
    if (preempts && cannot_preempt())
      continue;
    thrum_rt* rt = rt_make(RT_P1);
    CHECK(handler_now() == was);
    CHECK_EQ(thrum_overflow_enable(rt), 0);
    CHECK(handler_now() != was);
    if (preempts)
      CHECK(thrum_preempt_enable(rt, 0) > 0);
    pthread_sigmask(SIG_BLOCK, &segv, NULL);
    sigaltstack(NULL, &before);
    CHECK_EQ(thrum_run(rt, look_at_stack, &s), 0);
    CHECK(!(s.inside.ss_flags & SS_DISABLE));
    CHECK(s.inside.ss_size >= 8192);
    CHECK_EQ(s.blocked, 0);
    sigaltstack(NULL, &after);
    CHECK_EQ(after.ss_flags, before.ss_flags);
    CHECK(after.ss_sp == before.ss_sp);
    pthread_sigmask(SIG_UNBLOCK, &segv, &mask);
    CHECK_EQ(sigismember(&mask, SIGSEGV), 1);
    CHECK_EQ(thrum_overflow_disable(rt), 0);
    CHECK_EQ(thrum_overflow_disable(rt), 0);
    CHECK(handler_now() == was);
    CHECK_EQ(thrum_overflow_enable(rt), 0);
    rt_end(rt);
    CHECK(handler_now() == was); /* the stop took it away */
  }
}

/* ---- without guards ------------------------------------------------------------------- */

static int no_guards(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 2, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 3, 2), /* GUARD_INSTALL */
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_NONE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
  };
  struct sock_fprog filter = {CHECK_COUNT(code), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
GUEST static int recurse_to(char* lo, int n) {
  volatile char frame[200];
  for (int i = 0; i < 200; i++)
    frame[i] = 1;
  return ((char*)(uintptr_t)frame > lo - 2000 ? recurse_to(lo, n + 1) : n) +
         frame[n % 200];
}
static void over_and_back(void* arg) {
  void* lo;
  CHECK_EQ(thrum_stack(&lo, NULL), 0);
  sink = (char)recurse_to((char*)lo + (arg ? 0 : 4000), 0);
}
CHILD(unguarded) {
  struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (!no_guards())
    child_skip("no seccomp filter here");
  thrum_rt* rt = rt_make(RT_P2);
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 16384;
  o.name = "deep";
  thrum_g g;
  for (int i = 0; i < 100; i++) { /* those that stay within: nothing */
    REQUIRE_EQ(thrum_spawn(rt, &o, over_and_back, NULL, &g), 0);
    CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  }
  if (*arg) {
    REQUIRE_EQ(thrum_spawn(rt, &o, over_and_back, rt, &g), 0);
    CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  }
  rt_end(rt);
}
TEST(without_guards) {
  SKIP_WITHOUT_FAULTS;
  expect_child("unguarded", "", 0);
  if (child_skipped())
    return;
  CHECK_STR(child.err, "");
  run_child("unguarded", "over");
  expect_signal(SIGABRT);
  CHECK_MSG(strstr(child.err, "\"deep\" needed more than the 16 KiB"),
            "it says: %.900s", child.err);
}

static const struct check_case cases[] = {
    CASE(each_class),
    CASE(only_when_asked),
    CASE(threads_of_every_kind),
    CASE(a_handler_of_the_hosts),
    CASE(a_handler_of_the_hosts_with_flags),
    CASE(faults_that_are_none_of_ours),
    CASE(a_lent_thread_has_it_back),
    CASE(without_guards)};
static const struct child_part parts[] = {PART(overflows), PART(unguarded)};
CHILD_MAIN(cases, parts)
