/* screen.c. Every figure is of the time between two snapshots, but for those of a G's
 * whole life, which the head of its table says. SPDX-License-Identifier: MIT */
#include "screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

enum { BUCKETS = 40, COLUMNS = 512 };

static const char* const causes[] = {"ran", "blocked", "queued", "kernel",
                                     "throttled"};
enum { CAUSES = sizeof causes / sizeof *causes };

static double seconds; /* between the two */
static int left;       /* lines of the screen */
static int width;

/* One line, cut at the edge; without a terminal whole. */
__attribute__((format(printf, 1, 2))) static void line(const char* form, ...) {
  char text[512];
  va_list args;
  va_start(args, form);
  vsnprintf(text, sizeof text, form, args);
  va_end(args);
  if (left-- > 0)
    printf("%.*s\n", width, text);
}

static double number(const char* object, const char* name) {
  return json_number(json_member(object, name));
}

/* How much a counter of both grew, per second. */
static double rate(const char* before, const char* now, const char* name) {
  double grown = number(now, name) - number(before, name);
  return grown > 0 && seconds > 0 ? grown / seconds : 0;
}

/* "1.05 us" */
static const char* span(double ns, char out[16]) {
  static const char* const units[] = {"ns", "us", "ms", "s"};
  int unit = 0;
  for (; ns >= 1000 && unit < 3; unit++)
    ns /= 1000;
  snprintf(out, 16, "%.3g %s", ns, units[unit]);
  return out;
}

/* ---- the parts -------------------------------------------------------------- */

static void head(const char* before, const char* now) {
  const char* m = json_member(now, "metrics");
  const char* was = json_member(before, "metrics");
  line("pid %.0f  runtime %.0f  %.1f s   Ps %.0f (%.0f idle)  Ms %.0f (%.0f "
       "idle)  Gs %.0f  queued %.0f",
       number(now, "pid"), number(now, "runtime"), seconds, number(m, "procs"),
       number(m, "procs_idle"), number(m, "threads"), number(m, "threads_idle"),
       number(m, "gs"), number(m, "queued_global"));
  line("per second: runs %.0f  parks %.0f  yields %.0f  spawns %.0f  steals "
       "%.0f  hand-offs %.0f  retakes %.0f  preemptions %.0f",
       rate(was, m, "dispatches_total"), rate(was, m, "parks_total"),
       rate(was, m, "yields_total"), rate(was, m, "spawns_total"),
       rate(was, m, "steals_total"), rate(was, m, "handoffs_total"),
       rate(was, m, "retakes_total"), rate(was, m, "preemptions_total"));
}

static void show_ps(const char* before, const char* now) {
  const char* was = json_first(json_member(before, "ps"));
  line("%s", "");
  line("%4s %-8s %8s %12s %12s %10s", "P", "state", "queued", "runs/s",
       "parks/s", "steals/s");
  for (const char* p = json_first(json_member(now, "ps")); p;
       p = json_next(p)) {
    char state[16];
    line("%4.0f %-8s %8.0f %12.0f %12.0f %10.0f", number(p, "p"),
         json_text(json_member(p, "state"), state, sizeof state),
         number(p, "queued"), rate(was, p, "dispatches"), rate(was, p, "parks"),
         rate(was, p, "steals"));
    was = was ? json_next(was) : NULL;
  }
}

/* The bound in ns that so much of the counts does not exceed; sum: of all of them. */
static double quantile(const double* counts, double all, double sum,
                       double part) {
  double seen = 0;
  int i = 0;
  while (i < BUCKETS - 1 && (seen += counts[i]) <= all * part && seen < all)
    i++;
  /* The last bucket has no bound of its own. */
  return i < BUCKETS - 1 ? (double)(1ULL << i) : sum;
}

static void delay(const char* before, const char* now, const char* name) {
  const char* b = json_first(json_member(json_member(before, name), "log2"));
  const char* n = json_first(json_member(json_member(now, name), "log2"));
  double counts[BUCKETS] = {0}, all = 0;
  for (int i = 0; i < BUCKETS && n; i++, n = json_next(n)) {
    counts[i] = json_number(n) - json_number(b);
    all += counts[i];
    b = b ? json_next(b) : NULL;
  }
  double sum = number(json_member(now, name), "sum_ns") -
               number(json_member(before, name), "sum_ns");
  char p50[16], p90[16], p99[16];
  if (all > 0)
    line("%-18s %10.0f %10s %10s %10s", name, all,
         span(quantile(counts, all, sum, 0.5), p50),
         span(quantile(counts, all, sum, 0.9), p90),
         span(quantile(counts, all, sum, 0.99), p99));
}

/* Every histogram that the metrics have, by what grew since. */
static void delays(const char* before, const char* now) {
  line("%s", "");
  line("%-18s %10s %10s %10s %10s", "delays", "measured", "P50 <", "P90 <",
       "P99 <");
  static const char* const names[] = {
      "ready_migrate", "ready_pinned", "ready_domain", "ready_high",
      "ready_normal",  "ready_low",    "mutex_wait",   "timer_late",
      "poll",          "idle",         "net_kernel",   "net_poll",
      "net_queue",     "net_dispatch"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    delay(json_member(before, "metrics"), json_member(now, "metrics"),
          names[i]);
}

static void blame_row(const char* who, const char* was, const char* is) {
  char text[128] = "";
  double all = 0;
  for (int i = 0; i < CAUSES; i++) {
    double ms = (number(is, causes[i]) - number(was, causes[i])) / 1e6;
    all += ms;
    snprintf(text + strlen(text), sizeof text - strlen(text), " %10.1f", ms);
  }
  if (all > 0)
    line("%-18s%s", who, text);
}

static void blame(const char* before, const char* now) {
  const char* is = json_member(now, "waits");
  const char* was = json_member(before, "waits");
  if (!json_member(is, "classes"))
    return;
  line("%s", "");
  line("%-18s %10s %10s %10s %10s %10s", "class, ms", causes[0], causes[1],
       causes[2], causes[3], causes[4]);
  static const char* const classes[] = {"migrate", "pinned", "domain",
                                        "high",    "normal", "low"};
  for (unsigned i = 0; i < sizeof classes / sizeof *classes; i++)
    blame_row(classes[i], json_member(json_member(was, "classes"), classes[i]),
              json_member(json_member(is, "classes"), classes[i]));
}

static void top(const char* now, int most) {
  const char* g = json_first(json_member(now, "top"));
  if (!g)
    return;
  line("%s", "");
  line("%8s %6s %-24s %-10s %-14s %10s %10s %10s (ms, ever)", "G", "CPU %",
       "name", "state", "waits for", causes[0], causes[2], causes[3]);
  for (; g && most-- > 0; g = json_next(g)) {
    char name[64], state[16], reason[64];
    line("%8.0f %6.1f %-24.24s %-10s %-14.14s %10.1f %10.1f %10.1f",
         number(g, "g"), seconds > 0 ? number(g, "cpu_ns") / seconds / 1e7 : 0,
         json_text(json_member(g, "name"), name, sizeof name),
         json_text(json_member(g, "state"), state, sizeof state),
         json_text(json_member(g, "reason"), reason, sizeof reason),
         number(g, causes[0]) / 1e6, number(g, causes[2]) / 1e6,
         number(g, causes[3]) / 1e6);
  }
}

/* ---- the heat map ----------------------------------------------------------------- */

static int bits(double n) {
  int b = 0;
  for (; n >= 1; n /= 2)
    b++;
  return b;
}

static void cell(const struct screen* s, double n, double most) {
  static const unsigned char steps[] = {17,  18,  19,  54,  89,  124, 160, 196,
                                        202, 208, 214, 220, 226, 228, 230, 231};
  static const char letters[] = ".:-=+*%@";
  double part = (double)bits(n) / (bits(most) ? bits(most) : 1);
  if (n == 0)
    printf(s->colours ? "\x1b[0m " : " ");
  else if (s->colours)
    printf("\x1b[48;5;%dm ", steps[(int)(part * 15)]);
  else
    putchar(letters[(int)(part * 7)]);
}

static void heatmap(const struct screen* s, const char* now) {
  static double cells[COLUMNS][BUCKETS];
  const char* map = json_member(now, "heatmap");
  int columns = (int)number(map, "columns");
  if (columns < 1 || columns > COLUMNS)
    return;
  const char* layer = s->kind
                          ? json_member(json_member(map, "classes"), s->kind)
                          : json_member(map, "latency");
  int shown = width - 12 < columns ? width - 12 : columns;
  int low = BUCKETS, high = 0;
  double most = 0;
  memset(cells, 0, sizeof cells);
  for (const char* c = json_first(layer); c; c = json_next(c)) {
    const char *x = json_first(c), *y = json_next(x);
    int column = (int)json_number(x), row = (int)json_number(y);
    if (column < columns - shown || column >= columns || row >= BUCKETS)
      continue;
    double n = cells[column][row] = json_number(json_next(y));
    low = row < low ? row : low;
    high = row >= high ? row + 1 : high;
    most = n > most ? n : most;
  }
  line("%s", "");
  line("ready to run%s%s, a column is %.3g ms, the brightest cell %.0f",
       s->kind ? ": " : "", s->kind ? s->kind : "",
       number(map, "column_ns") / 1e6, most);
  for (int row = high; row-- > low && left-- > 0;) {
    char bound[16];
    printf("%10s  ", span((double)(1ULL << row), bound));
    for (int column = columns - shown; column < columns; column++)
      cell(s, cells[column][row], most);
    printf(s->colours ? "\x1b[0m\n" : "\n");
  }
}

void screen_draw(const struct screen* s, const char* before, const char* now) {
  left = s->height ? s->height - 1 : 10000;
  width = s->width ? s->width : 160;
  seconds = (number(now, "now_ns") - number(before, "now_ns")) / 1e9;
  head(before, now);
  show_ps(before, now);
  delays(before, now);
  blame(before, now);
  int room = left - 16; /* for the heat map */
  top(now, room < 3 ? 3 : room < 20 ? room : 20);
  heatmap(s, now);
}
