/* affinity: does a thread that a G has locked stay on its CPU? It does not: a
 * lock says which thread, not where the kernel runs it. A pinned one does.
 *
 * The measured thread walks 1 MiB in bursts with short sleeps between, and asks
 * for its CPU after each walk, while hogs that burn and nap load every CPU twice.
 * By turns: a plain thread (the baseline), a free G, a locked G, a locked and
 * pinned one. A move is a CPU other than the walk before; a walk right after one
 * reads from a cold cache, and is reported apart. (The seed counted 167 moves of
 * a locked goroutine in 2,000 iterations.)
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"
#include "support/pin.h"

#include <sys/syscall.h>

enum { BYTES = 1 << 20, LINE = 64, WALKS_PER_BURST = 50, NAP_NS = 1000000 };

static int64_t turns = 3, turn_ms = 2000, hogs_per_cpu = 2, burst_us = 700;
static int64_t nap_us = 700; /* at most; in mean half of it */

/* ---- what is measured ------------------------------------------------------------ */

enum { PLAIN, FREE, LOCKED, PINNED, KINDS };
static const char* const key_of[KINDS] = {"plain", "free", "locked", "pinned"};
static const char* const words_of[KINDS] = {"plain thread", "free G",
                                            "locked G", "locked and pinned G"};

typedef struct kind {
  int64_t walks, moves, threads, ns;
  int64_t *warm, *moved; /* ns of a walk */
  int64_t warms, moveds;
} kind;
static kind kinds[KINDS];
static int64_t walks_most;

static unsigned char* memory;
static thrum_wg turn_over = THRUM_WG_INIT;

static int64_t walk(void) {
  volatile unsigned char* at = memory;
  int64_t begin = bench_now();
  for (int i = 0; i < BYTES; i += LINE) {
    at[i]++;
  }
  return bench_now() - begin;
}

/* Where it runs. No results are kept across a wait in which a free G may change
 * its thread: gettid is a syscall, sched_getcpu reads this thread's own area. */
__attribute__((noinline)) static int cpu_now(void) { return sched_getcpu(); }
__attribute__((noinline)) static int64_t thread_now(void) {
  return syscall(SYS_gettid);
}

static void note_walk(kind* k, int64_t ns, int moved) {
  if (moved && k->moveds < walks_most) {
    k->moved[k->moveds++] = ns;
  } else if (!moved && k->warms < walks_most) {
    k->warm[k->warms++] = ns;
  }
  k->walks++;
  k->moves += moved;
}

static void watch(int which) {
  kind* k = &kinds[which];
  int64_t begin = bench_now(), thread = thread_now(), now = begin;
  int cpu = cpu_now();
  k->threads = k->threads == 0 ? 1 : k->threads;
  while (now - begin < turn_ms * 1000000) {
    for (int i = 0; i < WALKS_PER_BURST; i++) {
      int64_t ns = walk();
      int here = cpu_now();
      note_walk(k, ns, here != cpu);
      cpu = here;
    }
    if (which == PLAIN) {
      lab_nap(NAP_NS);
    } else {
      BENCH_MUST(thrum_sleep(NAP_NS));
    }
    int64_t thread_here = thread_now();
    k->threads += thread_here != thread;
    thread = thread_here;
    now = bench_now();
  }
  k->ns += now - begin;
}

static void g_turn(void* arg) {
  int which = (int)(intptr_t)arg;
  if (which >= LOCKED) {
    BENCH_MUST(thrum_lock_thread());
  }
  if (which == PINNED) {
    lab_pin_g(lab_cpu(0));
  }
  watch(which);
  if (which == PINNED) {
    lab_unpin_g();
  }
  if (which >= LOCKED) {
    BENCH_MUST(thrum_unlock_thread());
  }
  BENCH_MUST(thrum_wg_done(&turn_over));
}

/* ---- load --------------------------------------------------------------------------- */

static int64_t calm_down;

static void* hog(void* arg) {
  uint64_t at = (uint64_t)(intptr_t)arg << 32;
  while (lab_load(&calm_down) == 0) {
    int64_t until = bench_now() + burst_us * 1000;
    while (bench_now() < until) {}
    lab_nap((int64_t)(bench_random(at++) % (uint64_t)(nap_us * 1000 + 1)));
  }
  return NULL;
}

/* ---- the whole ------------------------------------------------------------------------ */

static void take_turns(thrum_rt* rt) {
  for (int64_t turn = 0; turn < turns; turn++) {
    for (int which = 0; which < KINDS; which++) {
      if (which == PLAIN) {
        watch(PLAIN);
        continue;
      }
      BENCH_MUST(thrum_wg_add(&turn_over, 1));
      lab_spawn(rt, g_turn, (void*)(intptr_t)which);
      BENCH_MUST(thrum_wg_wait(&turn_over, THRUM_FOREVER));
    }
  }
}

static void report_kind(int which) {
  char key[32], words[64];
  kind* k = &kinds[which];
  double seconds = (double)k->ns / 1e9;
  snprintf(key, sizeof key, "%s_moves", key_of[which]);
  snprintf(words, sizeof words, "%s: moves", words_of[which]);
  lab_int(key, words, k->moves);
  snprintf(key, sizeof key, "%s_moves_per_s", key_of[which]);
  lab_number(key, "  moves per second", "", (double)k->moves / seconds);
  snprintf(key, sizeof key, "%s_walks", key_of[which]);
  lab_int(key, "  walks", k->walks);
  snprintf(key, sizeof key, "%s_threads", key_of[which]);
  lab_int(key, "  threads it ran on, changes counted", k->threads);
  snprintf(key, sizeof key, "%s_warm", key_of[which]);
  lab_spread(key, "  a walk, same CPU", k->warm, k->warms);
  snprintf(key, sizeof key, "%s_moved", key_of[which]);
  lab_spread(key, "  a walk, just moved", k->moved, k->moveds);
}

static void report(int64_t hogs) {
  lab_begin("affinity",
            "a thread walks 1 MiB in bursts of 50 with 1 ms of sleep between "
            "and calls sched_getcpu(3) after each walk, beside threads that "
            "burn and nap; by turns plain, G, locked G, pinned G");
  lab_int("turns", "turns of each", turns);
  lab_int("turn_ms", "one turn, ms", turn_ms);
  lab_int("hogs", "threads that load the machine", hogs);
  lab_int("burst_us", "they burn, us", burst_us);
  lab_int("nap_us", "and nap, at most, us", nap_us);
  lab_text("pinned_by", "pinned by", "thrum_pin_cpu");
  for (int which = 0; which < KINDS; which++) {
    report_kind(which);
  }
  lab_end();
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("turns", "of each kind", &turns),
      {"turn-ms", "one turn", &turn_ms, 10, 600000, NULL, NULL},
      {"hogs-per-cpu", "threads of load", &hogs_per_cpu, 0, 64, NULL, NULL},
      {"burst-us", "how long one burns", &burst_us, 1, 1000000, NULL, NULL},
      {"nap-us", "and naps, at most", &nap_us, 0, 1000000, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  walks_most = turns * turn_ms * 100; /* one takes some 20 us, with naps */
  memory = bench_alloc(BYTES, 1);
  for (int which = 0; which < KINDS; which++) {
    kinds[which].warm = bench_alloc(walks_most, sizeof(int64_t));
    kinds[which].moved = bench_alloc(walks_most, sizeof(int64_t));
  }
  int64_t hogs = hogs_per_cpu * lab_cpus();
  pthread_t* threads = bench_alloc(hogs + 1, sizeof *threads);
  thrum_rt* rt = lab_rt(lab_cpus(), 0, 0);
  for (int64_t i = 0; i < hogs; i++) {
    lab_thread(&threads[i], hog, (void*)(intptr_t)i);
  }
  take_turns(rt);
  lab_store(&calm_down, 1);
  for (int64_t i = 0; i < hogs; i++) {
    pthread_join(threads[i], NULL);
  }
  free(threads);
  lab_stop(rt);
  report(hogs);
  return 0;
}
