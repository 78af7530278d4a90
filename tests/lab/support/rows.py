"""The rows of tests/lab/run: a program, its arguments, and what is promised of it.

SPDX-License-Identifier: MIT
"""


class Figure:
    """One figure of a row: a key of the JSON and what it must come to.

    limit: what thrum's median must not exceed, a number or a function of the
    medians of the row; least: what it must reach. ratio: what thrum divided
    by Go must not exceed. enough: (key, n): no verdict on fewer than n.
    alone: the twin does not report it.
    """

    def __init__(self, key, words, limit=None, least=None, ratio=None,
                 enough=None, alone=False):
        self.key, self.words, self.limit, self.least = key, words, limit, least
        self.ratio, self.enough, self.alone = ratio, enough, alone


class Row:
    """A program with its arguments; --quick puts `quick` behind them.

    hist: the series whose histogram is shown. said: what the library must have
    said on stderr.
    """

    def __init__(self, name, subject, args, quick, metrics, go=False, hist=None,
                 said=()):
        self.name, self.subject, self.args = name, subject, args.split()
        self.quick, self.metrics = quick.split(), metrics
        self.hist, self.said = hist, said
        self.variants = {"thrum": [[]], "go": [[]] if go else []}


def plus_tick(us):
    """A time, and one tick of the kernel that the program ran on."""
    return lambda medians: us + medians["tick_us"]


def blocked(name, slice_us, p50, p99, calm):
    return Row(name, "blocked", f"--mode undeclared --slice-us {slice_us}",
               "--runtimes 8", [
        Figure("first_p50_us", "wait p50, us", p50),
        Figure("first_p99_us", "wait p99, us", plus_tick(p99)),
        Figure("first_max_us", "wait max, us"),
        Figure("first_calm_n", "calm rounds"),
        Figure("first_calm_p99_us", "wait p99 in calm rounds, us", calm,
               enough=("first_calm_n", 20)),
        Figure("later_p50_us", "wait p50, place known, us"),
        Figure("later_p99_us", "wait p99, place known, us"),
        Figure("late", "rounds not helped before the end", 0),
        Figure("base_p50_us", "baseline p50, us"),
        Figure("base_p99_us", "baseline p99, us")], hist="first")


def declared(name, slice_us):
    return Row(name, "blocked",
               f"--mode declared --slice-us {slice_us} --calls 6",
               "--runtimes 8", [
        Figure("first_p50_us", "first call p50, us"),
        Figure("first_p99_us", "first call p99, us", slice_us / 4 + 200),
        Figure("second_p99_us", "second call p99, us"),
        Figure("later_p50_us", "third and later p50, us"),
        Figure("later_p99_us", "third and later p99, us", 300),
        Figure("base_p99_us", "baseline p99, us")], hist="later")


def hog(name, slice_us, limit, go):
    def versus(most):
        return most if go else None
    args = "--procs 1 --n 60 --neighbours 4 --length-ms 100"
    args += "" if go else f" --slice-us {slice_us}"
    return Row(name, "hog", args, "--n 12", [
        Figure("first_p50_us", "ready at its begin p50, us",
               ratio=versus(0.7)),
        Figure("first_p99_us", "ready at its begin p99, us", limit),
        Figure("first_max_us", "ready at its begin max, us",
               ratio=versus(1.0)),
        Figure("known_p50_us", "the same, place known, p50, us", alone=True),
        Figure("late_p50_us", "1 ms sleeps, late p50, us", ratio=versus(0.7)),
        Figure("late_p99_us", "1 ms sleeps, late p99, us", limit),
        Figure("late_max_us", "1 ms sleeps, late max, us", ratio=versus(1.0))],
        go=go, hist="first")


def overrun(name, mode, quick):
    return Row(name, "overrun", f"--samples 100000 --slice-us 1000 --mode {mode}",
               quick, [
        Figure("end_p50_us", "from the slice's end p50, us", 200),
        Figure("end_p99_us", "from the slice's end p99, us", 350),
        Figure("end_p999_us", "from the slice's end p99.9, us", 1000),
        Figure("end_max_us", "from the slice's end max, us"),
        Figure("decision_p50_us", "from sysmon's decision p50, us"),
        Figure("decision_p99_us", "from sysmon's decision p99, us", 100),
        Figure("decision_max_us", "from sysmon's decision max, us"),
        Figure("plain_p99_us", "a plain thread's sleep, late p99, us"),
        Figure("plain_p999_us", "a plain thread's sleep, late p99.9, us"),
        Figure("early", "stopped before the end"),
        Figure("refusals", "signals that found nothing")], hist="end")


def threads_of(extra):
    """That many beside the program's own and those of the runtime's cap."""
    return lambda medians: (medians["threads_own"] + medians["max_threads"]
                            + extra)


def storm(name, args, gap=None, said=()):
    return Row(name, "storm", args, "", [
        Figure("ended", "Gs that ended"),
        Figure("gap_max_ms", "largest gap, ms", gap),
        Figure("threads_peak", "most threads", threads_of(4)),
        Figure("threads_after", "threads 5 s later",
               lambda medians: medians["threads_own"] + 10),
        Figure("interrupted", "calls interrupted", 0),
        Figure("stall_p99_us", "the blocking calls took p99, us"),
        Figure("took_ms", "all took, ms")], said=said)


ROWS = [
    blocked("blocked_10ms", 10000, 13000, 13000, None),
    blocked("blocked_1ms", 1000, 1500, 1250, 2000),
    declared("declared_10ms", 10000),
    declared("declared_1ms", 1000),
    hog("hog", 10000, 13000, True),
    hog("hog_1ms", 1000, None, False),
    overrun("overrun", "steady", "--samples 5000"),
    overrun("overrun_cold", "cold", "--samples 5000"),
    storm("storm", "--n 1000 --batch 128",
          lambda medians: medians["gap_bound_ms"]),
    storm("storm_10k", "--n 10000 --batch 0"),
    # Long enough that the cap is reached: the library must say so, and where.
    storm("storm_capped", "--n 300 --batch 0 --block-ms 200",
          said=("max_threads", "left thrum for")),
    Row("affinity", "affinity", "--turns 3", "--turns 1", [
        Figure("plain_moves", "moves, plain thread"),
        Figure("free_moves", "moves, free G"),
        Figure("locked_moves", "moves, locked G", least=1),
        Figure("pinned_moves", "moves, locked and pinned G", 0),
        Figure("locked_threads", "threads of the locked G", 1),
        Figure("locked_warm_p50_us", "a walk of 1 MiB, p50, us")]),
    Row("procs", "procs", "--most 8", "--seconds 2", [
        Figure("changes", "changes of the number"),
        Figure("lost", "Gs lost", 0),
        Figure("ping_p50_us", "round trip p50, us"),
        Figure("ping_p99_us", "round trip p99, us", lambda medians:
               10000 + 2 * medians["tick_us"]),
        Figure("ping_max_us", "round trip max, us"),
        Figure("base_p99_us", "the same with 8 Ps at rest p99, us"),
        Figure("base_max_us", "the same with 8 Ps at rest max, us")],
        hist="ping"),
    *(Row(name, "connections", args, "--comings 5000", [
        Figure("left_fds", "descriptors left after 50,000", 0),
        Figure("left_kib", "memory left after 50,000, KiB"),
        Figure("kib_each", "memory of each of 10,000 idle, KiB", 6)])
      for name, args in (("connections", ""),
                         ("connections_hibernated",
                          "--buffer 4096 --hibernate 1"))),
    # Of the bounds, 6 ms is for a probe of the high class.
    *(Row(name, "quota", args, "--seconds 1", [
        Figure("late_p50_us", "probe late p50, us"),
        Figure("late_p99_us", "probe late p99, us", p99),
        Figure("throttled", "periods throttled", throttled),
        Figure("periods", "  of so many"),
        Figure("used", "of the quota used", least=used)])
      for name, args, p99, throttled, used in (
          ("quota_high", "--high 1", 6000, 2, 0.92),
          ("quota_normal", "--high 0", None, 2, 0.92),
          ("quota_unpaced", "--paced 0 --procs 2", None, None, None))),
    Row("slice", "slice", "", "--turns 1", [
        Figure("plain_p90_us", "the kernel's slices: wake p90, us"),
        Figure("sliced_p90_us", "0.5 ms beside 20 ms: wake p90, us"),
        Figure("niced_p90_us", "with nice -5, too: wake p90, us"),
        Figure("ratio", "slices alone, times better", least=10)]),
    Row("classes", "classes", "--seconds 3", "--seconds 1", [
        Figure("late_high_p99_us", "high probe among low ones p99, us",
               lambda medians: 2 * medians["slice_us"]),
        Figure("late_low_p99_us", "low probe among low ones p99, us"),
        Figure("share_high", "side by side, of the work: high"),
        Figure("share_normal", "  normal"),
        Figure("share_low", "  low", least=0.05)]),
    Row("oversub", "oversub", "--turns 3 --most 4", "--turns 1", [
        Figure("one_speed", "1 P: work, of that of as many as CPUs"),
        Figure("one_late_p99_us", "  probe late p99, us"),
        Figure("x1_late_p50_us", "Ps as CPUs: probe late p50, us"),
        Figure("x1_late_p99_us", "  p99, us"),
        Figure("x1_waiting", "  threads that wait for a CPU"),
        Figure("x2_speed", "twice as many: work"),
        Figure("x2_late_p99_us", "  probe late p99, us"),
        Figure("x2_waiting", "  threads that wait for a CPU"),
        Figure("x4_speed", "four times as many: work"),
        Figure("x4_late_p50_us", "  probe late p50, us"),
        Figure("x4_late_p99_us", "  p99, us"),
        Figure("x4_waiting", "  threads that wait for a CPU"),
        Figure("x4_procs", "  Ps"),
        Figure("x4_threads", "  threads of the process",
               lambda medians: medians["x4_procs"] + 4)]),
    Row("sysmon", "sysmon", "--turn-ms 3000", "--turn-ms 1000", [
        figure
        for period in (100, 1000, 10000) for figure in (
            Figure(f"p{period}_r0_over_p50_us",
                   f"every {period} us: over the slice p50, us"),
            Figure(f"p{period}_r0_over_max_us", "  max, us"),
            Figure(f"p{period}_r3_over_max_us", "  beside 3 rivals max, us"),
            Figure(f"p{period}_r0_sysmon_percent", "  monitor, % of a CPU"),
            Figure(f"p{period}_r3_spread_p99_us", "  vruntime spread p99, us"),
            Figure(f"p{period}_r3_drift_ms", "  vruntime drift, ms"))]),
    Row("signal_numa", "signal_numa", "--n 100000", "--n 10000", [
        Figure("same_node_on_p50_us", "another core: signal p50, us"),
        Figure("same_node_on_p99_us", "  p99, us"),
        Figure("same_node_late", "  1 ms late, both on their CPUs"),
        Figure("same_node_off_n", "  one taken off meanwhile"),
        Figure("same_cpu_off_p50_us", "same CPU: signal p50, us"),
        Figure("other_node_n", "to another node (0: one node here)")]),
    Row("numa", "numa", "--turns 3", "--turns 1", [
        Figure("ratio", "the farthest load, times the local one")]),
    Row("pages", "pages", "--rounds 5", "--rounds 2", [
        Figure("touch", "a page first touched, ns"),
        Figure("drop", "dropped, ns"),
        Figure("guard", "made a guard, ns"),
        Figure("unguard", "no guard any more, ns"),
        Figure("again", "touched again, ns")]),
    *(Row(f"blame_{cause}", "blame", f"--cause {cause}", "--ms 300", [
        Figure("named_percent", "named, % of what it did not run", least=90),
        Figure("queued_percent", "queued, %"),
        Figure("kernel_percent", "kernel, %"),
        Figure("throttled_percent", "throttled, %"),
        Figure("blocked_percent", "blocked, %")])
      for cause in ("queue", "rival", "quota", "sleep")),
    Row("idle", "idle", "--procs 2", "--window-ms 1000", [
        Figure("quiet_cpu_us", "nothing lives: CPU, us"),
        Figure("quiet_sysmon_us", "  of this sysmon, us", 0),
        Figure("sleep100_cpu_us", "sleeps of 100 ms: CPU, us"),
        Figure("sleep100_sysmon_percent", "  sysmon, % of a CPU", 0.1),
        Figure("sleep100_thread_cpu_us", "  in a plain thread: CPU, us"),
        Figure("sleep10_cpu_us", "sleeps of 10 ms: CPU, us"),
        Figure("sleep10_sysmon_percent", "  sysmon, % of a CPU", 0.1),
        Figure("sleep10_thread_cpu_us", "  in a plain thread: CPU, us"),
        Figure("compute_sysmon_percent", "computes: sysmon, % of a CPU"),
        Figure("compute_rate", "  work, % of a plain thread's")]),
]
