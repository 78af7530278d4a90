/* <thrum/place.h>: a runtime's place on the machine: how many Ps the operating
 * system grants, and why.
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
 * anew each second while Gs run. What the system refuses to tell limits nothing.
 *
 * The number stays as it is from the first thrum_set_procs on; with
 * THRUM_PLACE_ONCE; and in hosted and deterministic runtimes, which have no
 * thread that could look.
 */
#define THRUM_PLACE_ONCE 1u /* thrum_config.place */

/* ---- Classes ------------------------------------------------------------------
 * thrum_spawn_opts.priority puts a G into a class: THRUM_PRIO_HIGH, normal (0) or
 * THRUM_PRIO_LOW. Where Gs of several classes wait for a P, its time goes to them
 * as 12 to 4 to 1: a class that is not there leaves its part to the others, nobody
 * starves, and one that was away gets no credit. A high G that is ready asks a P
 * that runs lower ones to come to it at the next thrum_check or switch; one that
 * computes without either keeps it to the end of its slice, as ever.
 *
 * The owner of a mutex (thrum_mutex) has the class of the highest G of its runtime
 * that waits for it, until it unlocks; that is not handed on to the owner of
 * another mutex that it waits for itself. Other objects lend nothing.
 *
 * A class counts for nothing while a G is bound to a thread or inside a domain,
 * and in deterministic runtimes. Gs of a class cost some 50 ns more per dispatch
 * than normal ones, which pay nothing while there are none.
 */

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
 *   pressure, autogroup: of the kernel's scheduler
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int64_t thrum_os_report(thrum_rt* rt, char* text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
