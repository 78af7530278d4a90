/* signal_numa: is a signal late because its target is on another node?
 *
 * One pinned thread computes; another, pinned by turns to the same CPU, to the
 * other thread of its core, to another core of its node, and to another node,
 * sends it SIGURG with tgkill(2), as a runtime does that preempts. The figure is
 * the time from before the call to the first line of the handler. A sample in
 * which the kernel took the CPU away from one of the two meanwhile (their schedstat
 * tells) is counted apart: that it has to wait for the CPU is the cause then.
 *
 * The document that thrum grew from says that signals to another node are
 * delayed by several periods of the scheduler.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/nodes.h"
#include "support/ping.h"

#include <fcntl.h>
#include <signal.h>

static int64_t n = 100000, gap_us = 20, csv;

enum { SAME_CPU, SAME_CORE, SAME_NODE, OTHER_NODE, PAIRS, LATE_NS = 1000000 };
static const char* const key_of[PAIRS] = {"same_cpu", "same_core", "same_node",
                                          "other_node"};
static const char* const words_of[PAIRS] = {
    "on the same CPU", "on the same core", "on another core of the node",
    "on another node"};
static const char* const none_of[PAIRS] = {
    "", "no core here has a second thread that may be used",
    "one core is all there is", "this machine has one node"};

static struct pair { int64_t *on, *off, ons, offs, late, *calls; } pairs[PAIRS];

/* ---- the target ------------------------------------------------------------------- */

static int target_cpu, sender_cpu, target_tid;
static int64_t arrived; /* atomic: when the handler began, ns; 0: not yet */
static int64_t over;    /* atomic */

static void on_signal(int signo) {
  (void)signo;
  lab_store(&arrived, bench_now());
}

static void* target(void* arg) {
  (void)arg;
  lab_pin_thread(target_cpu);
  __atomic_store_n(&target_tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
  while (lab_load(&over) == 0) {}
  return NULL;
}

/* How often it was given a CPU; -1: the kernel does not tell. */
static int64_t runs_of(int fd) {
  char text[128];
  long long cpu, waited, runs;
  ssize_t length = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = '\0';
  return sscanf(text, "%lld %lld %lld", &cpu, &waited, &runs) == 3 ? runs : -1;
}

/* ---- the sender ------------------------------------------------------------------- */

static void send_one(struct pair* p, const int* fds, int which) {
  int64_t pause = bench_now() + gap_us * 1000;
  while (bench_now() < pause) {}
  if (which == SAME_CPU) {
    lab_nap(gap_us * 1000); /* the target's turn */
  }
  int64_t runs = runs_of(fds[0]), own = runs_of(fds[1]), got;
  lab_store(&arrived, 0);
  int64_t sent = bench_now();
  if (syscall(SYS_tgkill, getpid(), target_tid, SIGURG) != 0) {
    perror("tgkill");
    exit(1);
  }
  int64_t back = bench_now();
  while ((got = lab_load(&arrived)) == 0) {
    if (which == SAME_CPU) {
      lab_nap(gap_us * 1000);
    }
  }
  int off = which == SAME_CPU || runs < 0 || runs_of(fds[0]) != runs ||
            runs_of(fds[1]) != own;
  p->calls[p->ons + p->offs] = back - sent;
  if (off) {
    p->off[p->offs++] = got - sent;
  } else {
    p->on[p->ons++] = got - sent;
    p->late += got - sent >= LATE_NS;
  }
  if (csv) {
    printf("csv,%s,%d,%lld\n", key_of[which], off, (long long)(got - sent));
  }
}

static int is_pair(int which, int a, int b) {
  int core = lab_same_core(a, b), node = lab_node_of(a) == lab_node_of(b);
  switch (which) {
    case SAME_CPU:
      return a == b;
    case SAME_CORE:
      return a != b && core;
    case SAME_NODE:
      return !core && node;
    default:
      return !node;
  }
}

static int find_pair(int which, int* a, int* b) {
  for (int i = 0; (*a = lab_cpu(i)) >= 0; i++) {
    for (int k = 0; (*b = lab_cpu(k)) >= 0; k++) {
      if (is_pair(which, *a, *b)) {
        return 1;
      }
    }
  }
  return 0;
}

/* Its schedstat, kept open. */
static int open_stat(int tid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
  return open(path, O_RDONLY);
}

static void* sender(void* arg) {
  int which = (int)(intptr_t)arg;
  while (__atomic_load_n(&target_tid, __ATOMIC_ACQUIRE) == 0) {
    sched_yield();
  }
  lab_pin_thread(sender_cpu);
  int fds[2] = {open_stat(target_tid), open_stat((int)syscall(SYS_gettid))};
  for (int64_t i = 0; i < n; i++) {
    send_one(&pairs[which], fds, which);
  }
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0) {
      close(fds[i]);
    }
  }
  lab_store(&over, 1);
  return NULL;
}

static void measure(int which) {
  pthread_t threads[2];
  if (!find_pair(which, &target_cpu, &sender_cpu)) {
    return;
  }
  lab_store(&over, 0);
  __atomic_store_n(&target_tid, 0, __ATOMIC_RELEASE);
  lab_thread(&threads[0], target, NULL);
  lab_thread(&threads[1], sender, (void*)(intptr_t)which);
  pthread_join(threads[1], NULL);
  pthread_join(threads[0], NULL);
}

static void report_pair(int which) {
  struct pair* p = &pairs[which];
  char key[32];
  lab_key(key, sizeof key, key_of[which], "n");
  lab_int(key, words_of[which], p->ons + p->offs);
  if (p->ons + p->offs == 0) {
    lab_key(key, sizeof key, key_of[which], "skipped");
    lab_text(key, "  skipped:", none_of[which]);
    return;
  }
  lab_key(key, sizeof key, key_of[which], "on");
  lab_spread(key, "  both had their CPUs", p->on, p->ons);
  lab_key(key, sizeof key, key_of[which], "late");
  lab_int(key, "  of these 1 ms late and more", p->late);
  lab_key(key, sizeof key, key_of[which], "off");
  lab_spread(key,
             which == SAME_CPU ? "  the sender had it" : "  one was put off it",
             p->off, p->offs);
  lab_key(key, sizeof key, key_of[which], "call");
  lab_spread(key, "  the call itself", p->calls, p->ons + p->offs);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("n", "signals of each kind", &n),
      {"gap-us", "between two", &gap_us, 1, 1000000, NULL, NULL},
      {"csv", "every signal", &csv, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  int a, b;
  if (!find_pair(SAME_NODE, &a, &b) && !find_pair(OTHER_NODE, &a, &b)) {
    printf("skipped: %s\n", none_of[SAME_NODE]);
    return 77;
  }
  int64_t apart = group_try(-1, 100000);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGURG, &action, NULL);
  for (int which = 0; which < PAIRS; which++) {
    pairs[which].on = bench_alloc(n, sizeof(int64_t));
    pairs[which].off = bench_alloc(n, sizeof(int64_t));
    pairs[which].calls = bench_alloc(n, sizeof(int64_t));
    measure(which);
  }
  lab_begin("signal_numa",
            "a pinned thread that computes gets SIGURG by tgkill(2) from "
            "another pinned one: from before the call to the first line of "
            "the handler");
  lab_int("n", "signals of each kind", n);
  lab_int("gap_us", "between two, us", gap_us);
  lab_int("apart", "in a control group of its own", apart);
  for (int which = 0; which < PAIRS; which++) {
    report_pair(which);
  }
  lab_end();
  return 0;
}
