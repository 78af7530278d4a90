/* slice: threads for what must answer, beside threads for what computes.
 *
 * Two runtimes on one CPU: one has a G that sleeps for 2 ms, notes how late it
 * wakes, and computes for 400 us; the other has Gs that compute on three Ps. By
 * turns: as they are; the one with slices of 0.5 ms and the other with 20 ms
 * (thrum_sched_threads: no privilege, Linux 6.12); and nice -5 beside it, where
 * that is allowed. What reads back is printed, and each wake with --csv 1.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/lab.h"

#include <thrum/place.h>

static int64_t turns = 3, turn_ms = 2000, batch = 3, csv;

enum { NAP_NS = 2000000, BURN_NS = 400000 };
enum { PLAIN, SLICED, NICED, KINDS };
static const char* const key_of[KINDS] = {"plain", "sliced", "niced"};
static const char* const words_of[KINDS] = {"as they are", "slices",
                                            "slices and nice"};

static struct kind { int64_t *late, n, slice, nice, error; } kinds[KINDS];
static int64_t most, stop;
static thrum_wg over = THRUM_WG_INIT;

static void burn(int64_t ns) {
  int64_t until = bench_now() + ns;
  while (bench_now() < until) {}
}

static void compute(void* arg) {
  (void)arg;
  while (!lab_load(&stop)) {
    burn(50000);
    thrum_check();
  }
  BENCH_MUST(thrum_wg_done(&over));
}

static void answer(void* arg) {
  struct kind* k = arg;
  while (!lab_load(&stop) && k->n < most) {
    int64_t due = bench_now() + NAP_NS;
    BENCH_MUST(thrum_sleep(NAP_NS));
    k->late[k->n++] = bench_now() - due;
    burn(BURN_NS);
  }
  BENCH_MUST(thrum_wg_done(&over));
}

static thrum_rt* on_cpu(int64_t procs, int cpu) {
  uint64_t mask[16] = {0};
  mask[cpu / 64] = UINT64_C(1) << (cpu % 64);
  thrum_rt* rt = lab_rt(procs, 0, 0);
  BENCH_MUST(thrum_pin_threads(rt, mask, 16));
  return rt;
}

static int64_t figure(thrum_rt* rt, const char* key) {
  static char text[65536];
  thrum_os_report(rt, text, sizeof text);
  const char* at = strstr(text, key);
  return at ? atoll(strchr(at, ':') + 1) : 0;
}

static void turn(int which) {
  struct kind* k = &kinds[which];
  thrum_rt* front = on_cpu(1, lab_cpu(0));
  thrum_rt* back = on_cpu(batch, lab_cpu(0));
  if (which != PLAIN) {
    thrum_sched_threads(front, which == NICED ? -5 : 0, 500000);
    thrum_sched_threads(back, 0, 20000000);
  }
  lab_store(&stop, 0);
  BENCH_MUST(thrum_wg_add(&over, (int32_t)batch + 1));
  for (int64_t i = 0; i < batch; i++) {
    lab_spawn(back, compute, NULL);
  }
  lab_spawn(front, answer, k);
  lab_nap(turn_ms * 1000000);
  k->slice = figure(front, "\"got_slice_ns\"");
  k->nice = figure(front, "\"got_nice\"");
  lab_store(&stop, 1);
  BENCH_MUST(thrum_wg_wait(&over, THRUM_FOREVER));
  lab_stop(front);
  lab_stop(back);
}

static int64_t report_kind(int which) {
  struct kind* k = &kinds[which];
  char key[32], words[64];
  snprintf(key, sizeof key, "%s_late", key_of[which]);
  snprintf(words, sizeof words, "%s: late", words_of[which]);
  for (int64_t i = 0; csv && i < k->n; i++) {
    printf("csv,%s,%lld\n", key_of[which], (long long)k->late[i]);
  }
  lab_spread(key, words, k->late, k->n); /* sorts */
  int64_t p90 = k->n ? bench_percentile(k->late, k->n, 0.90) : 0;
  snprintf(key, sizeof key, "%s_p90_us", key_of[which]);
  lab_number(key, "  p90", "us", (double)p90 / 1e3);
  snprintf(key, sizeof key, "%s_slice_ns", key_of[which]);
  lab_int(key, "  slice that reads back, ns", k->slice);
  snprintf(key, sizeof key, "%s_nice", key_of[which]);
  lab_int(key, "  nice that reads back", k->nice);
  return p90;
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("turns", "of each kind", &turns),
      {"turn-ms", "one turn", &turn_ms, 10, 600000, NULL, NULL},
      {"batch", "Gs that compute", &batch, 1, 64, NULL, NULL},
      {"csv", "every wake", &csv, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  most = turns * turn_ms;
  for (int which = 0; which < KINDS; which++) {
    kinds[which].late = bench_alloc(most, sizeof(int64_t));
  }
  int64_t apart = group_try(-1, 100000);
  for (int64_t i = 0; i < turns; i++) {
    for (int which = 0; which < KINDS; which++) {
      turn(which);
    }
  }
  lab_begin("slice",
            "two runtimes on one CPU: a G that sleeps 2 ms, notes how late it "
            "wakes and computes for 400 us, beside Gs that compute; by turns "
            "with the kernel's defaults, slices of 0.5 and 20 ms, and nice -5");
  lab_int("turns", "turns of each", turns);
  lab_int("turn_ms", "one turn, ms", turn_ms);
  lab_int("batch", "Gs that compute", batch);
  lab_int("apart", "in a control group of its own", apart);
  int64_t plain = report_kind(PLAIN), sliced = report_kind(SLICED);
  report_kind(NICED);
  lab_number("ratio", "p90, as they are / slices", "",
             sliced ? (double)plain / (double)sliced : 0);
  lab_end();
  return 0;
}
