/* <thrum/place.h>: a runtime's place on the machine: how many Ps the operating
 * system grants, and why; what is near what; the kernel's scheduler.
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_PLACE_H
#define THRUM_PLACE_H

#include <thrum/thrum.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- How many Ps -------------------------------------------------------------
 * With thrum_config.procs 0, and $THRUM_PROCS not set, a runtime has as many Ps
 * as the system grants: the CPUs of the affinity mask, or the CPU quota of the
 * tightest control group around the process (of either version, ancestors
 * included), rounded up, but not more than thrum_config.max_procs. It is granted
 * anew each second while Gs run; a limit that is new further up, and a move to
 * another group, count within eight. What the system refuses to tell limits nothing.
 *
 * The number stays as it is from the first thrum_set_procs on; with
 * THRUM_PLACE_ONCE; and in hosted and deterministic runtimes, which have no
 * thread that could look.
 */
#define THRUM_PLACE_ONCE 1u /* thrum_config.place */

/* ---- Pacing ------------------------------------------------------------------
 * The kernel stops a control group that has used its quota for the rest of the
 * period: at half a CPU, two busy threads stand still for 75 ms of each 100. A
 * runtime whose quota is less than its Ps therefore pauses them for a millisecond
 * or two at a time, before the kernel would: it lets the process use some 96 per
 * cent of the quota, less if the kernel throttled all the same. Where the quota is
 * a CPU and more, one P goes on while there is a reserve. Only Gs that come to a
 * scheduling point (thrum_check is one) can be paused, and hosted runtimes are not
 * paced. thrum_os_report tells how much was paused, and how much was throttled.
 */
#define THRUM_PLACE_UNPACED 2u /* thrum_config.place: never pause */

/* ---- Where -------------------------------------------------------------------
 * On a machine with several last-level caches or nodes a P takes work from those
 * nearest to it first: from its own cache, from its node, from other nodes by their
 * distance; who wakes a P takes one close by; and stacks come from the memory of
 * the P's node. A P is where its thread was seen last, which is the kernel's choice.
 * Where there is one last-level cache nothing of this costs anything.
 *
 * Threads can be pinned: those that hold a P to one CPU each, or to the CPUs of a
 * node, of those that the process may have (or thrum_pin_threads says). Ps get CPUs
 * node by node and cache by cache, one of each core first; more Ps than CPUs begin
 * anew. What a thread allocates then comes from its node too. When the process may
 * have others, that is followed within a second. Threads that the host lends, and
 * those of a locked G, are not pinned. It has its price: a pinned thread cannot
 * give way to what else runs on its CPU, a second one that takes the P of a G that
 * computes on shares the CPU with it, and threads and processes that a G makes have
 * the CPUs of its thread. Memory is left alone where the host has a policy
 * of its own (numactl). What is refused changes nothing else: thrum_os_report tells.
 * At most one of the three; hosted and deterministic runtimes know no places.
 */
#define THRUM_PLACE_FLAT 4u      /* thrum_config.place: CPUs are alike */
#define THRUM_PLACE_PIN_CPU 8u   /* thrum_config.place: to a CPU each */
#define THRUM_PLACE_PIN_NODE 16u /* thrum_config.place: to those of a node */

/* ---- Classes ------------------------------------------------------------------
 * thrum_spawn_opts.priority puts a G into a class: THRUM_PRIO_HIGH, normal (0) or
 * THRUM_PRIO_LOW. Where Gs of several classes wait for a P, its time goes to them
 * as 9 to 3 to 1: a class that is not there leaves its part to the others, nobody
 * starves, and one that was away gets no credit. A high G that is ready asks a P
 * that runs lower ones to come to it at the next thrum_check or switch; one that
 * computes without either keeps it to the end of its slice, as ever.
 *
 * The owner of a mutex (thrum_mutex) has the class of the highest G of its runtime
 * that waits for it, until it unlocks. Where it waits for a mutex itself, so has that
 * one's owner, and so on through up to 64 of them. Other objects lend nothing.
 *
 * A class counts for nothing while a G is bound to a thread or inside a domain,
 * and in deterministic runtimes. Gs of a class cost some 35 ns more per dispatch
 * than normal ones, which pay nothing while there are none.
 */

/* ---- Threads -----------------------------------------------------------------
 * What the kernel's scheduler makes of a runtime's threads. A class of Gs that is
 * to have threads of its own is a runtime of its own (channels and locks are shared
 * between runtimes): one for what must answer soon with a slice of, say, 0.5 ms,
 * one for what computes with 20 ms. A thread with a short slice is let in soon
 * where others compute; with a long one it lets others in and is left alone then.
 */
/* Gives all threads that the runtime owns, and those to come, this nice value (-20
 * to 19) and this slice in ns (0: the kernel's; it takes 0.1 to 100 ms). Both are
 * set once per thread; threads that the host makes from a G get the defaults. A
 * slice needs no privilege, and Linux 6.12; a nice below the present one does, and
 * one that was raised stays so without it. What is refused is left as it is, the
 * rest is in force, and the first refusal is the result; thrum_os_report (threads)
 * tells what the last thread reads back, also of those to come.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM THRUM_ENOTSUP (hosted and deterministic
 *   runtimes; or something else reads back) THRUM_ECLOSED THRUM_EFORKED THRUM_ENOSYS
 */
THRUM_API int thrum_sched_threads(thrum_rt* rt, int32_t nice, int64_t slice_ns);

/* ---- Report ------------------------------------------------------------------
 */
/* Writes what the operating system grants this process and what thrum made of it,
 * as JSON with a zero behind it, into `size` bytes at `text`, as far as it fits,
 * and returns its length without the zero: call it again with more if that is not
 * below `size`. text NULL with size 0: just tells the length. rt NULL: the calling
 * G's runtime; outside a G, of the process alone. It reads files; `error` is the
 * negated errno of what could not be read, which then limits nothing.
 *   affinity: CPUs of the calling thread's mask
 *   quota: the control groups around the process, the own one first: their path,
 *     version of cgroups, cpus (null: no limit), how many periods there were, and
 *     in how many, and for how long, they were throttled
 *   procs: granted: how many Ps; bound: affinity, quota, cap (max_procs) or
 *     limit (1024); reason: in words; of a runtime now, changes: how many there
 *     are, and how often they followed a change, and by: who says how many, the
 *     system or the program
 *   pacing: on: whether the quota binds; share: of it that is used; pauses of Ps,
 *     and how long they were in sum
 *   throttled: periods and time in which the kernel stopped the group since the
 *     runtime was made
 *   threads: what thrum_sched_threads asked for, and what reads back
 *   topology: nodes with their CPUs, whether they have memory, and distances; CPUs
 *     by last-level cache (caches), and of cores that have several (cores)
 *   places: distances: whether any count; of each P its number, its node (null:
 *     there is one), and its CPUs if it is pinned; steals, and those from elsewhere
 *     than the own cache; pin: cpu, node or null, how often threads were pinned,
 *     how often that was refused or not all of it granted, and the last refusal;
 *     memory: arenas of stacks on a node, refused ones, heaps that were refused
 *   pressure, autogroup: of the kernel's scheduler
 *   calls: system calls that a runtime can do without, as this process is
 *     answered now: 0, or the negated errno of a kernel that does not have it or
 *     of a filter that refuses it; what thrum would do with it is then left out,
 *     or done in a slower way
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int64_t thrum_os_report(thrum_rt* rt, char* text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
