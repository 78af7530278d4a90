// SPDX-License-Identifier: MIT
#include "observe/metrics.hpp"

#include <stdio.h>

#include "base/err.hpp"
#include "sched/api.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

void add_p(Numbers& n, const P* p, u64& running) {
  n.dispatches += p->dispatches.load(acquire);
  // Before what may end it: one that ends meanwhile is no yield.
  M* m = p->m.load(acquire);  // pairs with take_p
  running += m && glance(m->cur);
  n.spawns += p->spawned.load(relaxed);
  n.exits += p->exited.load(relaxed);
  n.steals += p->steals.load(relaxed);
  n.handoffs += p->handoffs.load(relaxed);
  n.retakes += p->retakes.load(relaxed);
  n.preemptions += p->preemptions.load(relaxed);
  for (u32 i = 0; i < kWhys; ++i) {
    n.waits[i] += p->waits[i].load(relaxed);
  }
  for (u32 i = 0; i < kClasses; ++i) {
    n.ready[i].add(p->metrics.ready[i]);
  }
  n.mutex.add(p->metrics.mutex);
  n.timer.add(p->metrics.timer);
  n.poll.add(p->metrics.poll);
  n.idle.add(p->metrics.idle);
  for (u32 i = 0; i < kNetParts; ++i) {
    n.net[i].add(p->metrics.net[i]);
  }
}

void add_ms(Numbers& n, Runtime* rt) {
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    n.threads += m->lent ? m->lent_now : !m->gone;
  }
  n.threads_idle = rt->idle_ms;
  n.queued_global = rt->global.size();
}

struct Row {
  const char* name;
  const char* text;
  u64 value;
};

// ---- Prometheus ------------------------------------------------------------------

void head(Text& t, const char* name, const char* text, const char* kind) {
  t.add("# HELP thrum_%s %s\n# TYPE thrum_%s %s\n", name, text, name, kind);
}

void buckets(Text& t, const char* name, const char* labels, const Sums& s) {
  const char* comma = labels[0] ? "," : "";
  u64 seen = 0;
  for (u32 i = 0; i + 1 < kBuckets; ++i) {
    seen += s.counts[i];
    t.add("thrum_%s_bucket{%s%sle=\"", name, labels, comma);
    t.decimal(u64{1} << i, 9);
    t.add("\"} %llu\n", Count{seen});
  }
  const char* open = labels[0] ? "{" : "";
  const char* shut = labels[0] ? "}" : "";
  t.add("thrum_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
        Count{s.count});
  t.add("thrum_%s_sum%s%s%s ", name, open, labels, shut);
  t.decimal(s.sum, 9);
  t.add("\nthrum_%s_count%s%s%s %llu\n", name, open, labels, shut,
        Count{s.count});
}

void labelled(Text& t, const char* name, const char* label, const char* value,
              const Sums& s) {
  char text[48];
  snprintf(text, sizeof text, "%s=\"%s\"", label, value);
  buckets(t, name, text, s);
}

void histogram(Text& t, const char* name, const char* text, const Sums& s) {
  head(t, name, text, "histogram");
  buckets(t, name, "", s);
}

// ---- JSON ------------------------------------------------------------------------

void histogram_json(Text& t, const char* name, const Sums& s) {
  t.add("\"%s\": {\"count\": %llu, \"sum_ns\": %llu, \"p50_ns\": %llu, "
        "\"p90_ns\": %llu, \"p99_ns\": %llu, \"log2\": [",
        name, Count{s.count}, Count{s.sum}, Count{s.quantile(0.5)},
        Count{s.quantile(0.9)}, Count{s.quantile(0.99)});
  for (u32 i = 0; i < kBuckets; ++i) {
    t.add("%s%llu", i ? ", " : "", Count{s.counts[i]});
  }
  t.add("]}");
}

// What both formats say in the same words: first what is now, then what counts up.
constexpr u32 kGauges = 7;
constexpr u32 kRows = kGauges + 9;
void rows_of(const Numbers& n, Row (&rows)[kRows]) {
  const Row all[kRows] = {
      {"procs", "Ps in service", n.procs},
      {"procs_idle", "Ps that no M holds", n.procs_idle},
      {"threads", "Ms, own and lent", n.threads},
      {"threads_idle", "Ms that sleep without a P", n.threads_idle},
      {"threads_spinning", "Ms that look for work", n.threads_spinning},
      {"gs", "green threads alive", n.gs},
      {"queued_global", "green threads in the global queue", n.queued_global},
      {"dispatches_total", "switches to a green thread", n.dispatches},
      {"spawns_total", "green threads made by green threads", n.spawns},
      {"exits_total", "green threads that ended on a P", n.exits},
      {"parks_total", "waits begun", n.parks},
      {"yields_total", "turns that ended in a yield", n.yields},
      {"steals_total", "visits to another P that found work", n.steals},
      {"handoffs_total", "Ps let go in declared blocking calls", n.handoffs},
      {"retakes_total", "Ps taken from undeclared blockers", n.retakes},
      {"preemptions_total", "green threads stopped by a signal",
       n.preemptions}};
  for (u32 i = 0; i < kRows; ++i) {
    rows[i] = all[i];
  }
}

}  // namespace

Sums Numbers::ready_all() const {
  Sums all = ready[0];
  for (u32 c = 1; c < kAffinities; ++c) {
    for (u32 i = 0; i < kBuckets; ++i) {
      all.counts[i] += ready[c].counts[i];
    }
    all.sum += ready[c].sum;
    all.count += ready[c].count;
  }
  return all;
}

void numbers_of(Runtime* rt, Numbers& out) {
  out = Numbers{};
  u64 running = 0;
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    add_p(out, rt->ps[i], running);
  }
  out.procs = rt->procs.load(relaxed);
  out.procs_idle = rt->idle_count.load(relaxed);
  out.threads_spinning = rt->spinning.load(relaxed);
  out.gs = live_gs(rt);
  for (u64 n : out.waits) {
    out.parks += n;
  }
  u64 ended = out.parks + out.exits + running;
  u64 yields = out.dispatches > ended ? out.dispatches - ended : 0;
  // A counter never goes back, although the figures are not of one moment.
  u64 told = rt->yields_told.load(relaxed);
  while (told < yields && !rt->yields_told.compare_exchange_weak(
                              told, yields, relaxed, relaxed)) {}
  out.yields = max(told, yields);
  add_ms(out, rt);
}

namespace {

void prometheus(const Numbers& n, Text& t) {
  Row rows[kRows];
  rows_of(n, rows);
  for (u32 i = 0; i < kRows; ++i) {
    head(t, rows[i].name, rows[i].text, i < kGauges ? "gauge" : "counter");
    t.add("thrum_%s %llu\n", rows[i].name, Count{rows[i].value});
  }
  head(t, "waits_total", "waits begun, by what for", "counter");
  for (u32 i = 1; i < kWhys; ++i) {
    t.add("thrum_waits_total{reason=\"%s\"} %llu\n",
          why_name(static_cast<Why>(i)), Count{n.waits[i]});
  }
  head(t, "ready_seconds", "from ready to run, one in 64", "histogram");
  for (u32 c = 0; c < kAffinities; ++c) {
    labelled(t, "ready_seconds", "class", kClassNames[c], n.ready[c]);
  }
  // The same ones once more: in a metric of its own, that nobody adds up both.
  head(t, "ready_by_priority_seconds", "from ready to run, one in 64",
       "histogram");
  for (u32 c = kAffinities; c < kClasses; ++c) {
    labelled(t, "ready_by_priority_seconds", "priority", kClassNames[c],
             n.ready[c]);
  }
  histogram(t, "mutex_wait_seconds", "locks that had to wait", n.mutex);
  histogram(t, "timer_late_seconds", "lateness of timers, by batch", n.timer);
  histogram(t, "poll_seconds", "looks at the world outside", n.poll);
  histogram(t, "idle_seconds", "sleeps of Ms without work", n.idle);
  head(
      t, "net_ready_seconds",
      "from an event of a descriptor to who waited for it, in parts, one in 16",
      "histogram");
  for (u32 i = 0; i < kNetParts; ++i) {
    labelled(t, "net_ready_seconds", "part", kNetPartNames[i], n.net[i]);
  }
}

void json(const Numbers& n, Text& t) {
  Row rows[kRows];
  rows_of(n, rows);
  t.add("{");
  for (const Row& row : rows) {
    t.add("\"%s\": %llu, ", row.name, Count{row.value});
  }
  t.add("\"waits\": {");
  for (u32 i = 1; i < kWhys; ++i) {
    t.add("%s\"%s\": %llu", i > 1 ? ", " : "", why_name(static_cast<Why>(i)),
          Count{n.waits[i]});
  }
  t.add("}, ");
  for (u32 c = 0; c < kClasses; ++c) {
    char name[32];
    snprintf(name, sizeof name, "ready_%s", kClassNames[c]);
    histogram_json(t, name, n.ready[c]);
    t.add(", ");
  }
  histogram_json(t, "mutex_wait", n.mutex);
  t.add(", ");
  histogram_json(t, "timer_late", n.timer);
  t.add(", ");
  histogram_json(t, "poll", n.poll);
  t.add(", ");
  histogram_json(t, "idle", n.idle);
  for (u32 i = 0; i < kNetParts; ++i) {
    char name[32];
    snprintf(name, sizeof name, "net_%s", kNetPartNames[i]);
    t.add(", ");
    histogram_json(t, name, n.net[i]);
  }
  t.add("}");
}

// The numbers alone would be a third of the smallest stack.
int report(Runtime* rt, Text& t, void (*write)(const Numbers& n, Text& t)) {
  auto* n = mem::make<Numbers>();
  if (!n) {
    return kENOMEM;
  }
  numbers_of(rt, *n);
  write(*n, t);
  mem::free(n);
  return 0;
}

}  // namespace

int metrics_prometheus(Runtime* rt, Text& t) {
  return report(rt, t, prometheus);
}
int metrics_json(Runtime* rt, Text& t) { return report(rt, t, json); }

}  // namespace thrum
