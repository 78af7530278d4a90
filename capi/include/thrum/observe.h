/* <thrum/observe.h>: counters of a runtime, for people and tools.
 *
 * Reading never stops a P: the numbers are of about one moment.
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_OBSERVE_H
#define THRUM_OBSERVE_H

#include <thrum/thrum.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one P did since the runtime was made. */
typedef struct thrum_p_stats {
  uint32_t struct_size; /* bytes that the library has filled in */
  uint32_t p;           /* its number */
  uint64_t dispatches;  /* switches to a G */
  uint64_t steals;      /* successful visits to another P's queues */
  uint64_t spawns;      /* Gs made by Gs of this P */
  uint64_t parks;       /* waits begun */
  uint64_t handoffs;    /* times it left an M in a declared blocking call */
  uint64_t retakes;     /* times it was taken from an M outside thrum, whose G
                           blocked or computed longer than the slice */
} thrum_p_stats;

/* Calls fn(arg, stats) for each P ever in service, in order of their numbers.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_p_each(thrum_rt* rt,
                           void (*fn)(void* arg, const thrum_p_stats* stats),
                           void* arg);

/* Gs alive: spawned and not ended.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int64_t thrum_live(thrum_rt* rt);

/* A hash over the order of events of a deterministic runtime: equal for equal
 * seeds and guests. 0 for other runtimes.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API uint64_t thrum_trace_hash(thrum_rt* rt);

#ifdef __cplusplus
}
#endif
#endif
