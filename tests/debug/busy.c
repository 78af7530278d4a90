/* busy.c: a process to be looked at: the G "hog" computes, "ping" and "pong" talk to each
 * other a little, forty sleep, and one with a name that is cut within a letter. Prints a line when all are there, and ends with its input.
 *
 * usage: busy [metrics]
 *
 * metrics: prints at its end what it has for Prometheus, and then thrum_stats' figures as
 * "name value" lines behind a line of dashes. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <thrum/observe.h>
#include <thrum/thrum.h>
#include <unistd.h>

#define MS 1000000
#define CHECK(x)                         \
  do {                                   \
    if (!(x)) {                          \
      fprintf(stderr, "busy: %s\n", #x); \
      exit(1);                           \
    }                                    \
  } while (0)

static int over; /* atomic */
static int is_over(void) { return __atomic_load_n(&over, __ATOMIC_RELAXED); }

static void hog(void* arg) {
  (void)arg;
  while (!is_over())
    CHECK(thrum_check() >= 0);
}
static void ping(void* arg) {
  for (int i = 0; !is_over(); i++) {
    CHECK(thrum_chan_send(arg, &i, THRUM_FOREVER) == 0);
    CHECK(thrum_sleep(5 * MS) == 0);
  }
  CHECK(thrum_chan_close(arg) == 0);
}
static void pong(void* arg) {
  int n;
  while (thrum_chan_recv(arg, &n, THRUM_FOREVER) == 0) {}
}
static void sleeper(void* arg) {
  (void)arg;
  while (!is_over())
    CHECK(thrum_sleep(50 * MS) == 0);
}

static void start(const char* name, thrum_fn fn, void* arg) {
  thrum_spawn_opts o = {.struct_size = sizeof o, .name = name};
  CHECK(thrum_spawn(NULL, &o, fn, arg, NULL) == 0);
}
static void all(void* arg) {
  start("hog", hog, NULL);
  start("ping", ping, arg);
  start("pong", pong, arg);
  for (int i = 0; i < 40; i++)
    start("sleeper \"quoted\"", sleeper, NULL);
  start("üüüüüüüüüüüüüüüüüüüüüüüüüüüüüü", sleeper, NULL);
}

static void metrics(thrum_rt* rt) {
  static char text[1 << 18];
  thrum_stats s = {.struct_size = sizeof s};
  CHECK(thrum_stats_get(rt, &s) == 0);
  int64_t n = thrum_report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_PROMETHEUS,
                           text, sizeof text);
  CHECK(n > 0 && (size_t)n < sizeof text);
  printf("%s---\nexits %llu\nparks %llu\ndispatches %llu\nprocs %u\n", text,
         (unsigned long long)s.exits, (unsigned long long)s.parks,
         (unsigned long long)s.dispatches, s.procs);
}

int main(int argc, char** argv) {
  (void)argv;
  setlocale(LC_ALL, ""); /* as many hosts do */
  thrum_rt* rt;
  thrum_chan* ch;
  thrum_config config = {.struct_size = sizeof config, .procs = 2};
  CHECK(thrum_rt_new(&rt, &config) == 0);
  CHECK(thrum_chan_new(sizeof(int), 0, &ch) == 0);
  CHECK(thrum_run(rt, all, ch) == 0);
  puts("ready");
  fflush(stdout);
  char c;
  while (read(0, &c, 1) > 0) {}
  __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
  while (thrum_live(rt) > 0)
    usleep(1000);
  if (argc > 1)
    metrics(rt);
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  thrum_chan_release(ch);
  return 0;
}
