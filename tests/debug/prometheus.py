#!/usr/bin/env python3
"""thrum's metrics, read by Prometheus' own parser.

usage: prometheus.py LIBRARY BUSY
"""

import math
import os
import subprocess
import sys

from common import Cases, expect, scratch, skip, with_comma

try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    skip("python3-prometheus-client is not installed")

HISTOGRAMS = {
    "thrum_ready_seconds": ("class", {"migrate", "pinned", "domain"}),
    "thrum_ready_by_priority_seconds": ("priority", {"normal", "high", "low"}),
    "thrum_net_ready_seconds": ("part", {"kernel", "poll", "queue", "dispatch"}),
    "thrum_mutex_wait_seconds": (None, {None}),
    "thrum_timer_late_seconds": (None, {None}),
    "thrum_poll_seconds": (None, {None}),
    "thrum_idle_seconds": (None, {None}),
}


def one_of_each(families):
    names = [family.name for family in families]
    expect(len(names) == len(set(names)), "a name twice:", names)
    for family in families:
        expect(family.documentation, family.name, "has no help")
        expect(family.type in ("gauge", "counter", "histogram"), family)
        expect(family.samples, family.name, "has no sample")
        keys = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        expect(len(keys) == len(set(keys)), family.name, "has a sample twice")


def check_histogram(family, label, value):
    mine = [s for s in family.samples if s.labels.get(label) == value]
    buckets = [(float(s.labels["le"]), s.value)
               for s in mine if s.name.endswith("_bucket")]
    count, = (s.value for s in mine if s.name.endswith("_count"))
    total, = (s.value for s in mine if s.name.endswith("_sum"))
    expect(buckets == sorted(buckets), family.name, "is not in order", buckets)
    expect(all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])),
           family.name, "does not add up", buckets)
    expect(buckets[-1] == (math.inf, count), family.name, buckets[-1], count)
    expect((total > 0) == (count > 0), family.name, total, count)


def histograms(families):
    found = {f.name: f for f in families if f.type == "histogram"}
    expect(set(found) == set(HISTOGRAMS), sorted(found))
    for name, (label, values) in HISTOGRAMS.items():
        have = {s.labels.get(label) for s in found[name].samples}
        expect(have == values, name, have)
        for value in values:
            check_histogram(found[name], label, value)


def says_what_stats_say(families, stats):
    value = {s.name: s.value for f in families for s in f.samples if not s.labels}
    for name in ("exits", "parks", "dispatches"):
        expect(value[f"thrum_{name}_total"] == stats[name], name,
               value[f"thrum_{name}_total"], stats[name])
    expect(value["thrum_procs"] == stats["procs"] == 2, value["thrum_procs"])
    expect(stats["exits"] == 45, "44 Gs and the first:", stats["exits"])
    waits, = (f for f in families if f.name == "thrum_waits")
    expect(sum(s.value for s in waits.samples) == stats["parks"], waits)


def main():
    with scratch() as folder:
        out = subprocess.run([sys.argv[2], "metrics"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True, timeout=240,
                             check=True, env=os.environ | with_comma(folder)).stdout
    text, _, rest = out.removeprefix("ready\n").partition("---\n")
    families = list(text_string_to_metric_families(text))
    stats = {name: int(n) for name, n in map(str.split, rest.splitlines())}
    cases = Cases()
    cases.case("one_of_each", one_of_each, families)
    cases.case("histograms", histograms, families)
    cases.case("says_what_stats_say", says_what_stats_say, families, stats)
    cases.end()


main()
