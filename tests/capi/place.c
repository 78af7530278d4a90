/* place.c: what a runtime is granted by the system, and what it says of that. */
#include "../support/check.h"

#include <stdlib.h>
#include <thrum/place.h>

#include "../support/rt.h"

static char* report(thrum_rt* rt) {
  static char text[65536];
  int64_t n = thrum_os_report(rt, text, sizeof text);
  REQUIRE(n > 0 && n < (int64_t)sizeof text && text[n] == 0);
  CHECK(text[0] == '{' && text[n - 1] == '}');
  return text;
}

static int64_t figure(thrum_rt* rt, const char* key) {
  const char* at = strstr(report(rt), key);
  REQUIRE(at != NULL);
  return atoll(strchr(at, ':') + 1);
}

/* Braces, brackets and quotes that match. */
static int well_formed(const char* at) {
  char open[64];
  int depth = 0;
  for (; *at; at++) {
    if (*at == '"') {
      for (at++; *at && *at != '"'; at++) {
        at += *at == '\\';
      }
    } else if (*at == '{' || *at == '[') {
      if (depth == 64) {
        return 0;
      }
      open[depth++] = *at;
    } else if (*at == '}' || *at == ']') {
      if (depth == 0 || open[--depth] != (*at == '}' ? '{' : '[')) {
        return 0;
      }
    }
  }
  return depth == 0;
}

/* ---- the report ------------------------------------------------------------------ */

static void tells(void* arg) {
  (void)arg;
  char text[40];
  memset(text, 'x', sizeof text);
  int64_t n = thrum_os_report(NULL, NULL, 0);
  CHECK(n > 40);
  thrum_os_report(NULL, text, 20);
  CHECK(text[19] == 0 && text[20] == 'x' && text[0] == '{');
  CHECK(well_formed(report(NULL)));
  CHECK_EQ(figure(NULL, "\"now\""), thrum_procs(NULL));
  CHECK(strstr(report(NULL), "\"reason\": \""));
}
TEST(report_in_g) { everywhere(tells, NULL); }

TEST(report_of_the_process) {
  CHECK(well_formed(report(NULL)));
  CHECK_EQ(figure(NULL, "\"granted\""), thrum_available_procs());
  CHECK(strstr(report(NULL), "\"now\"") == NULL);
}

/* ---- how many Ps ------------------------------------------------------------------- */

static thrum_rt* made(thrum_config* config) {
  thrum_rt* rt;
  REQUIRE(thrum_rt_new(&rt, config) == 0);
  return rt;
}

TEST(granted_by_default) {
  unsetenv("THRUM_PROCS");
  thrum_rt* rt = made(NULL);
  CHECK_EQ(thrum_procs(rt), thrum_available_procs());
  CHECK(strstr(report(rt), "\"by\": \"system\""));
  CHECK_EQ(thrum_set_procs(rt, 3), thrum_available_procs());
  CHECK(strstr(report(rt), "\"by\": \"program\""));
  CHECK_EQ(figure(rt, "\"now\""), 3);
  rt_end(rt);
}

TEST(capped_and_told) {
  unsetenv("THRUM_PROCS");
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.max_procs = 1;
  thrum_rt* rt = made(&config);
  CHECK_EQ(thrum_procs(rt), 1);
  CHECK(strstr(report(rt), "\"by\": \"system\""));
  rt_end(rt);
  config.procs = 3; /* what is told is no grant */
  rt = made(&config);
  CHECK_EQ(thrum_procs(rt), 3);
  CHECK(strstr(report(rt), "\"by\": \"program\""));
  rt_end(rt);
  setenv("THRUM_PROCS", "2", 1);
  config.procs = 0;
  rt = made(&config);
  CHECK_EQ(thrum_procs(rt), 2);
  rt_end(rt);
  unsetenv("THRUM_PROCS");
}

TEST(once_and_without_threads) {
  unsetenv("THRUM_PROCS");
  thrum_config config;
  for (int i = 0; i < 3; i++) {
    thrum_config_init(&config, sizeof config);
    config.place = i == 0 ? THRUM_PLACE_ONCE : 0;
    config.flags = i == 1   ? THRUM_RT_HOSTED
                   : i == 2 ? THRUM_RT_DETERMINISTIC
                            : 0;
    thrum_rt* rt = made(&config);
    CHECK_EQ(thrum_procs(rt), i == 2 ? 1 : thrum_available_procs());
    CHECK(well_formed(report(rt)));
    rt_end(rt);
  }
}

/* ---- threads --------------------------------------------------------------------------- */

static void sees(void* arg) {
  char* text = report(NULL);
  const char* at = strstr(text, "\"got_slice_ns\"");
  REQUIRE(at != NULL);
  *(int64_t*)arg = atoll(strchr(at, ':') + 1);
}

/* Of a slice that the kernel does not know 0 reads back. */
TEST(slices_of_threads) {
  thrum_rt* rt = rt_make(RT_P1);
  int64_t got = -1;
  CHECK_EQ(thrum_sched_threads(rt, 0, 3000000), 0); /* no thread yet */
  thrum_g g = go_in(rt, sees, &got);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  CHECK(got == 3000000 || got == 0);
  CHECK_EQ(thrum_sched_threads(rt, 0, 0), 0); /* back to the kernel's */
  rt_end(rt);
  rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_sched_threads(rt, 0, 0), THRUM_ENOTSUP);
  CHECK_EQ(thrum_sched_threads(rt, -21, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_sched_threads(rt, 0, -1), THRUM_EINVAL);
  rt_end(rt);
}

/* ---- where --------------------------------------------------------------------------- */

static void cpus_of_mine(void* arg) { *(int*)arg = thrum_cpus(NULL, 0); }

/* What the report says of `to` and the CPUs that a G's thread has. */
static int pinned(uint32_t place, const char* to) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.place = place;
  thrum_rt* rt = made(&config);
  int cpus = 0;
  CHECK_EQ(thrum_join(rt, go_in(rt, cpus_of_mine, &cpus), THRUM_FOREVER), 0);
  CHECK(well_formed(report(rt)));
  CHECK(strstr(report(rt), to));
  if (place && place != THRUM_PLACE_FLAT) {
    CHECK(figure(rt, "\"pinned\"") >= 1);
    cpus = figure(rt, "\"refused\"") ? -1 : cpus;
  }
  rt_end(rt);
  return cpus;
}

TEST(pins) {
  int all = thrum_cpus(NULL, 0);
  CHECK_EQ(pinned(0, "\"pin\": {\"to\": null"), all);
  CHECK_EQ(pinned(THRUM_PLACE_FLAT, "\"distances\": false"), all);
  int one = pinned(THRUM_PLACE_PIN_CPU, "\"to\": \"cpu\"");
  int some = pinned(THRUM_PLACE_PIN_NODE, "\"to\": \"node\"");
  if (one < 0 || some < 0) {
    SKIP("affinity is refused here");
  }
  CHECK_EQ(one, 1);
  CHECK(some >= 1 && some <= all);
  CHECK_EQ(thrum_cpus(NULL, 0), all);
}

/* ---- bad input ----------------------------------------------------------------------- */

TEST(refusals) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.place = 0x80000000u;
  thrum_rt* rt;
  CHECK_EQ(thrum_rt_new(&rt, &config), THRUM_EINVAL);
  config.place = THRUM_PLACE_PIN_CPU | THRUM_PLACE_PIN_NODE;
  CHECK_EQ(thrum_rt_new(&rt, &config), THRUM_EINVAL);
  config.place = THRUM_PLACE_FLAT | THRUM_PLACE_PIN_CPU;
  CHECK_EQ(thrum_rt_new(&rt, &config), THRUM_EINVAL);
  rt = rt_make(RT_P1);
  CHECK_EQ(thrum_os_report(rt, NULL, 1), THRUM_EINVAL);
  CHECK_EQ(thrum_os_report(NULL, NULL, 1), THRUM_EINVAL);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK(thrum_os_report(rt, NULL, 0) > 0);
  thrum_rt_free(rt);
}

static const struct check_case cases[] = {
    CASE(report_in_g),
    CASE(report_of_the_process),
    CASE(granted_by_default),
    CASE(capped_and_told),
    CASE(once_and_without_threads),
    CASE(slices_of_threads),
    CASE(pins),
    CASE(refusals),
};
CHECK_MAIN(cases)
