/* blame: does thrum name the cause of a delay? Each run makes one dominant: Gs that queue
 * behind each other, a rival program on the only CPU, a CPU quota of 20 % (a control
 * group; root), or sleep. The figures are the shares of each cause in what the Gs did not
 * run, as thrum_waits_get tells them.
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"
#include "support/proc.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thrum/observe.h>

static const char* cause = "queue";
static int64_t gs = 16, ms = 1000;

static int64_t until;
static thrum_wg ended = THRUM_WG_INIT;
static thrum_waits sum; /* one P: only one G at a time adds to it */

/* 1 ms of this thread's CPU time. */
static void compute(void) {
  int64_t end = lab_clock(CLOCK_THREAD_CPUTIME_ID) + 1000000;
  while (lab_clock(CLOCK_THREAD_CPUTIME_ID) < end) {}
}

static void work(void* arg) {
  (void)arg;
  int sleeps = strcmp(cause, "sleep") == 0;
  while (bench_now() < until) {
    if (sleeps) {
      BENCH_MUST(thrum_sleep(10000000));
    } else {
      compute();
      BENCH_MUST(thrum_yield());
    }
  }
  thrum_waits w = {.struct_size = sizeof w};
  BENCH_MUST(thrum_waits_get(NULL, thrum_self(), &w));
  sum.blocked_ns += w.blocked_ns;
  sum.queued_ns += w.queued_ns;
  sum.kernel_ns += w.kernel_ns;
  sum.throttled_ns += w.throttled_ns;
  sum.ran_ns += w.ran_ns;
  BENCH_MUST(thrum_wg_done(&ended));
}

static void first(void* arg) {
  (void)arg;
  int64_t n = strcmp(cause, "queue") == 0 ? gs : 1;
  BENCH_MUST(thrum_wg_add(&ended, (int32_t)n));
  until = bench_now() + ms * 1000000;
  for (int64_t i = 0; i < n; i++) {
    bench_spawn(work, NULL);
  }
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
}

/* ---- causes --------------------------------------------------------------------------- */

static void one_cpu(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(lab_cpu(lab_cpus() - 1), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) {
    perror("sched_setaffinity");
    exit(1);
  }
}

static pid_t rival(void) {
  pid_t pid = fork();
  if (pid == 0) {
    for (;;) {}
  }
  return pid;
}

static char group[200];

static int put(const char* file, const char* text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", group, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  int done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) {
    close(fd);
  }
  return done;
}

/* text NULL: only the weight. */
static int join(const char* mount, const char* limit, const char* text) {
  snprintf(group, sizeof group, "%s/thrum-lab-%d", mount, (int)getpid());
  if (mkdir(group, 0755) != 0) {
    return 0;
  }
  /* Its weight among others, by either name: nothing but the cause is to count. */
  if (!put("cpu.shares", "262144")) {
    put("cpu.weight", "10000");
  }
  if ((text == NULL || put(limit, text)) && put("cgroup.procs", "0")) {
    return 1;
  }
  rmdir(group);
  return 0;
}

/* A child joins the group and measures; the group can go when it has ended. */
static int in_group(int quota) {
  pid_t pid = fork();
  if (pid == 0) {
    if (!join("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us",
              quota ? "20000" : NULL) &&
        !join("/sys/fs/cgroup", "cpu.max", quota ? "20000 100000" : NULL) &&
        quota) {
      printf("skipped: no control group may be made here\n");
      fflush(stdout);
      _exit(77);
    }
    return -1;
  }
  int status;
  waitpid(pid, &status, 0);
  const char* mounts[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"};
  for (int i = 0; i < 2; i++) {
    snprintf(group, sizeof group, "%s/thrum-lab-%d", mounts[i], (int)pid);
    rmdir(group);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- the run ---------------------------------------------------------------------------- */

static void share(const char* key, const char* words, uint64_t ns,
                  uint64_t all) {
  lab_number(key, words, "%", all != 0 ? 100.0 * (double)ns / (double)all : 0);
}

static void measure(void) {
  thrum_rt* rt = lab_rt(1, 0, 0);
  BENCH_MUST(thrum_waits_start(rt, 0));
  BENCH_MUST(thrum_run(rt, first, NULL));
  lab_stop(rt);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_WORD("cause", "what delays", &cause,
                      "queue|rival|quota|sleep"),
      BENCH_FLAG_NUMBER("gs", "Gs that queue", &gs, 2),
      BENCH_FLAG_NUMBER("ms", "how long", &ms, 50),
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  int quota = strcmp(cause, "quota") == 0;
  if (quota || strcmp(cause, "queue") == 0) {
    int code = in_group(quota);
    if (code >= 0) {
      return code;
    }
  }
  one_cpu();
  pid_t other = strcmp(cause, "rival") == 0 ? rival() : 0;
  measure();
  if (other > 0) {
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
  }
  lab_begin("blame", "thrum_waits_get of each G, as its last act");
  lab_text("cause", "made dominant", cause);
  uint64_t all =
      sum.blocked_ns + sum.queued_ns + sum.kernel_ns + sum.throttled_ns;
  uint64_t named = strcmp(cause, "queue") == 0   ? sum.queued_ns
                   : strcmp(cause, "rival") == 0 ? sum.kernel_ns
                   : strcmp(cause, "quota") == 0 ? sum.throttled_ns
                                                 : sum.blocked_ns;
  share("named_percent", "named, % of what it did not run", named, all);
  share("queued_percent", "queued, %", sum.queued_ns, all);
  share("kernel_percent", "kernel, %", sum.kernel_ns, all);
  share("throttled_percent", "throttled, %", sum.throttled_ns, all);
  share("blocked_percent", "blocked, %", sum.blocked_ns, all);
  lab_end();
  return 0;
}
