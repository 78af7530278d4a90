/* observe_cpu.c: where Gs compute. A program that spends nine parts of its CPU time in
 * one function and one in another finds them so, however long it takes. */
#include "../support/check.h"

#include <signal.h>
#include <thrum/observe.h>

#include "../support/rt.h"
#include "../support/text.h"

static word over;
static volatile unsigned sink;
/* Not constants: nobody makes a copy of spin for them. */
static volatile unsigned much = 90000, little = 10000;

/* Told apart by their addresses, of which the profile has those in [f, f + 128). */
#define ALONE __attribute__((noinline, aligned(128)))

static ALONE void spin(unsigned n) {
  for (unsigned i = 0; i < n; i++)
    sink = sink * 5 + i;
}
static ALONE int hot(void) {
  spin(much);
  __asm__ volatile("# hot" ::: "memory");
  return 1;
}
static ALONE int cold(void) {
  spin(little);
  __asm__ volatile("# cold" ::: "memory");
  return 2;
}
static void works(void* arg) {
  (void)arg;
  while (!get(&over)) {
    CHECK_EQ(hot() + cold(), 3);
    CHECK(thrum_check() >= 0);
  }
}

static int has(const char* line, const char* end, uintptr_t f) {
  for (const char* at = line; at < end; at++)
    if (at[0] == '0' && at[1] == 'x') {
      uintptr_t pc = (uintptr_t)strtoull(at, NULL, 16);
      if (pc > f && pc <= f + 128)
        return 1;
    }
  return 0;
}

struct sums {
  int64_t all, hot, cold, in_spin;
};
/* ns of the folded lines: of all, and of those with such a function. */
static struct sums read_profile(thrum_rt* rt) {
  static struct text t;
  struct sums s = {0, 0, 0, 0};
  t.n = 0;
  t.at[0] = 0;
  CHECK(thrum_profile_write(rt, THRUM_PROFILE_CPU, THRUM_FORMAT_FOLDED,
                            text_add, &t) >= 0);
  for (const char* line = t.at; *line; line = strchr(line, '\n') + 1) {
    const char *end = strchr(line, '\n'), *space = end;
    while (*--space != ' ') {}
    int64_t ns = atoll(space);
    s.all += ns;
    s.hot += has(line, end, (uintptr_t)hot) ? ns : 0;
    s.cold += has(line, end, (uintptr_t)cold) ? ns : 0;
    s.in_spin += has(line, end, (uintptr_t)spin) ? ns : 0;
  }
  return s;
}

static int64_t cpu_of_process(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static int handlers(void) {
  int n = 0;
  for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
    struct sigaction now;
    n += sigaction(signo, NULL, &now) == 0 && now.sa_handler != SIG_DFL;
  }
  return n;
}

static void profiled(struct rt_kind kind) {
  check_context = kind.name;
  int64_t before = cpu_of_process();
  int handled = handlers();
  thrum_rt* rt = rt_make(kind);
  int err = thrum_profile_rate(rt, THRUM_PROFILE_CPU, 1000);
  if (err == THRUM_ENOTSUP) {
    check_skipped = "a sanitizer holds signals back";
    rt_end(rt);
    return;
  }
  CHECK_EQ(err, 0);
  CHECK_EQ(handlers(), handled + 1);
  set(&over, 0);
  thrum_g g = go_in(rt, works, NULL);
  struct sums s;
  do {
    usleep(20000);
    s = read_profile(rt);
  } while (s.hot + s.cold < 400 * MS &&
           cpu_of_process() - before < 20 * SECOND);
  CHECK_EQ(thrum_profile_rate(rt, THRUM_PROFILE_CPU, 0), 1000);
  CHECK_EQ(handlers(), handled); /* off is off */
  s = read_profile(rt);
  CHECK(s.hot + s.cold >= 400 * MS);
  /* Nine to one, of 400 looks and more: three to one is far out of reach of chance. */
  CHECK_MSG(s.hot > 3 * s.cold && s.cold > 0, "hot %lld, cold %lld",
            (long long)s.hot, (long long)s.cold);
  /* They are found below the function that was stopped. */
  CHECK(s.in_spin > 9 * (s.hot + s.cold) / 10);
  CHECK(s.all <= cpu_of_process() - before);
  struct sums later = read_profile(rt);
  CHECK_EQ(later.all, s.all);
  set(&over, 1);
  CHECK_EQ(thrum_join(rt, g, SOON), 0);
  rt_end(rt);
}
TEST(a_hot_function_dominates) {
  profiled(RT_P1);
  profiled(RT_P2);
}

/* On and off while Gs come and go, beside preemption, which has the same signal. */
static void short_lived(void* arg) {
  (void)arg;
  (void)hot();
}
static void crowd(void* arg) {
  (void)arg;
  for (int i = 0; i < 200; i++) {
    thrum_g g[8];
    for (int k = 0; k < 8; k++)
      g[k] = go(short_lived, NULL);
    CHECK(thrum_profile_rate(NULL, THRUM_PROFILE_CPU, i % 4 < 2 ? 1000 : 0) >=
          0);
    for (int k = 0; k < 8; k++)
      join_g(g[k]);
    CHECK_EQ(thrum_sleep(1000), 0);
  }
}
TEST(it_goes_on_and_off_beside_preemption) {
  for (int preempt = 0; preempt < 2; preempt++) {
    int handled = handlers();
    thrum_rt* rt = rt_make(RT_P2);
    if (thrum_profile_rate(rt, THRUM_PROFILE_CPU, 100) == THRUM_ENOTSUP) {
      check_skipped = "a sanitizer holds signals back";
      rt_end(rt);
      return;
    }
    if (preempt)
      CHECK(thrum_preempt_enable(rt, 0) > 0);
    CHECK_EQ(thrum_run(rt, crowd, NULL), 0);
    static struct text t;
    t.n = 0;
    CHECK(thrum_profile_write(rt, THRUM_PROFILE_CPU, THRUM_FORMAT_PPROF,
                              text_add, &t) >= 0);
    CHECK_EQ(thrum_profile_rate(rt, THRUM_PROFILE_CPU, 1001), THRUM_EINVAL);
    rt_end(rt);
    CHECK_EQ(handlers(), handled);
  }
}

TEST(only_runtimes_with_threads_can_be_sampled) {
  struct rt_kind kinds[] = {RT_HOSTED, RT_DET1};
  for (int i = 0; i < 2; i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_profile_rate(rt, THRUM_PROFILE_CPU, 100), THRUM_ENOTSUP);
    rt_end(rt);
  }
}

static const struct check_case cases[] = {
    CASE(a_hot_function_dominates),
    CASE(it_goes_on_and_off_beside_preemption),
    CASE(only_runtimes_with_threads_can_be_sampled),
};
CHECK_MAIN(cases)
