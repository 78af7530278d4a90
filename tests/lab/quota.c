/* quota: what a CPU quota does to latency, with thrum's pacing and without.
 *
 * The program puts itself into a control group of its own with a quota (half a CPU
 * unless told otherwise). Some Gs compute and call thrum_check every 50 us; a probe
 * sleeps for 2 ms at a time and notes how late it wakes. --paced 0: as any runtime
 * does; 1: thrum's default. --procs 0: as many Ps as the quota grants. --high 1:
 * the probe is of the high class. The Go twin is `bench quota`: it is started in
 * such a group by tests/lab/run.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/hogs.h"

#include <thrum/place.h>

static int64_t seconds = 5, quota = 50, period_ms = 100, hogs = 2, procs = 0;
static int64_t paced = 1, high = 0;

static thrum_rt* make(void) {
  thrum_rt* rt;
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = (uint32_t)procs;
  config.place = paced ? 0 : THRUM_PLACE_UNPACED;
  BENCH_MUST(thrum_rt_new(&rt, &config));
  return rt;
}

static double number_behind(const char* text, const char* key) {
  const char* at = text ? strstr(text, key) : NULL;
  return at ? strtod(at + strlen(key), NULL) : 0;
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"seconds", "how long", &seconds, 1, 3600, NULL, NULL},
      {"quota", "of a CPU, per cent", &quota, 1, 100000, NULL, NULL},
      {"period-ms", "the kernel's period", &period_ms, 1, 1000, NULL, NULL},
      {"hogs", "Gs that compute", &hogs, 1, 1000, NULL, NULL},
      {"procs", "Ps, 0: as granted", &procs, 0, 1024, NULL, NULL},
      {"paced", "by thrum", &paced, 0, 1, NULL, NULL},
      {"high", "the probe's class", &high, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  lates_most = seconds * 1000;
  late = bench_alloc(lates_most, sizeof *late);
  group_enter(quota * period_ms * 10, period_ms * 1000);
  thrum_rt* rt = make();
  int64_t granted = thrum_procs(rt);
  int64_t cpu = bench_cpu(), begin = bench_now();
  int64_t periods = group_stat("nr_periods");
  int64_t throttled = group_stat("nr_throttled");
  int64_t stood = group_stat("throttled_time");
  BENCH_MUST(thrum_wg_add(&over, (int32_t)hogs + 1));
  for (int64_t i = 0; i < hogs; i++) {
    lab_spawn(rt, hog, NULL);
  }
  thrum_spawn_opts opts = {.struct_size = sizeof opts,
                           .priority = high ? THRUM_PRIO_HIGH : 0};
  BENCH_MUST(thrum_spawn(rt, &opts, probe, NULL, NULL));
  lab_nap(seconds * 1000000000);
  lab_store(&stop, 1);
  BENCH_MUST(thrum_wg_wait(&over, THRUM_FOREVER));
  int64_t wall = bench_now() - begin;
  cpu = bench_cpu() - cpu;
  lab_begin("quota",
            "a control group with a quota; Gs that compute and call "
            "thrum_check every 50 us, and a probe that sleeps 2 ms at a time "
            "and notes how late it wakes");
  lab_int("quota", "quota, per cent of a CPU", quota);
  lab_int("period_ms", "period, ms", period_ms);
  lab_int("hogs", "Gs that compute", hogs);
  lab_int("procs", "Ps", granted);
  lab_int("paced", "paced", paced);
  lab_int("high", "probe in the high class", high);
  lab_number("used", "of the quota used", "",
             (double)cpu / (double)wall * 100 / (double)quota);
  lab_int("periods", "periods", group_stat("nr_periods") - periods);
  lab_int("throttled", "periods throttled",
          group_stat("nr_throttled") - throttled);
  lab_number("stood_ms", "throttled, ms in sum", "",
             (double)(group_stat("throttled_time") - stood) / 1e6);
  lab_spread("late", "probe late", late, lates);
  lab_histogram("late", late, lates);
  char report[16384];
  thrum_os_report(rt, report, sizeof report);
  const char* pacing = strstr(report, "\"pacing\"");
  lab_number("share", "of the quota thrum aims at", "",
             number_behind(pacing, "\"share\": "));
  lab_int("pauses", "pauses", (int64_t)number_behind(pacing, "\"pauses\": "));
  lab_number("paused_ms", "paused, ms in sum", "",
             number_behind(pacing, "\"paused_ns\": ") / 1e6);
  lab_end();
  lab_stop(rt);
  return 0;
}
