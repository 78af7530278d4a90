/* classes: how late a G of the high class comes to its turn where low ones compute
 * without end, and what low ones get where high ones do.
 *
 * One P. First some low Gs compute, with a thrum_check every 50 us, and a probe
 * sleeps for 2 ms at a time and notes how late it wakes: of the low class, then of
 * the high one. Then high, normal and low Gs compute side by side, and the work of
 * each class is counted.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/hogs.h"

static int64_t seconds = 3, hogs = 4, slice_us = 10000;

static const uint32_t classes[3] = {THRUM_PRIO_LOW, 0, THRUM_PRIO_HIGH};
static const char* const names[3] = {"low", "normal", "high"};

static int64_t done[3];

static void go_as(thrum_rt* rt, uint32_t class_of, thrum_fn fn, void* arg) {
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .priority = class_of};
  BENCH_MUST(thrum_wg_add(&over, 1));
  BENCH_MUST(thrum_spawn(rt, &opts, fn, arg, NULL));
}

static void let_run(thrum_rt* rt) {
  lab_nap(seconds * 1000000000);
  lab_store(&stop, 1);
  BENCH_MUST(thrum_wg_wait(&over, THRUM_FOREVER));
  lab_stop(rt);
  lab_store(&stop, 0);
}

static void wait_of(int which) {
  char key[32], words[64];
  thrum_rt* rt = lab_rt(1, slice_us, 0);
  lates = 0;
  for (int64_t i = 0; i < hogs; i++) {
    go_as(rt, THRUM_PRIO_LOW, hog, &done[0]);
  }
  go_as(rt, classes[which], probe, NULL);
  let_run(rt);
  snprintf(key, sizeof key, "late_%s", names[which]);
  snprintf(words, sizeof words, "probe of the %s class: late", names[which]);
  lab_spread(key, words, late, lates);
}

static void shares(void) {
  char key[32], words[64];
  thrum_rt* rt = lab_rt(1, slice_us, 0);
  int64_t all = 0;
  for (int which = 0; which < 3; which++) {
    done[which] = 0;
    for (int64_t i = 0; i < hogs; i++) {
      go_as(rt, classes[which], hog, &done[which]);
    }
  }
  let_run(rt);
  for (int which = 0; which < 3; which++) {
    all += done[which];
  }
  for (int which = 0; which < 3; which++) {
    snprintf(key, sizeof key, "share_%s", names[which]);
    snprintf(words, sizeof words, "side by side, %s: part of the work",
             names[which]);
    lab_number(key, words, "", (double)done[which] / (double)all);
  }
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"seconds", "each part", &seconds, 1, 3600, NULL, NULL},
      {"hogs", "Gs that compute, of each class", &hogs, 1, 1000, NULL, NULL},
      {"slice-us", "the runtime's slice", &slice_us, 1, 1000000, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  lates_most = seconds * 1000;
  late = bench_alloc(lates_most, sizeof *late);
  int64_t apart = group_try(-1, 100000);
  lab_begin("classes",
            "one P; Gs that compute and call thrum_check every 50 us; a probe "
            "that sleeps 2 ms at a time and notes how late it wakes; then the "
            "three classes side by side");
  lab_int("seconds", "each part, s", seconds);
  lab_int("hogs", "Gs that compute, of each class", hogs);
  lab_int("slice_us", "slice, us", slice_us);
  lab_int("apart", "in a control group of its own", apart);
  wait_of(0);
  wait_of(2);
  shares();
  lab_end();
  return 0;
}
