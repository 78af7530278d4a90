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
  uint64_t preemptions; /* Gs stopped by a signal (thrum_preempt_enable) */
  uint64_t refusals;    /* signals that found nothing to stop */
  int64_t preempt_ns;   /* of the last preemption: from the decision to the
                           switch */
  /* Of thrum_alloc and its kin, by Gs of this P. A block may be freed on another
     P than it was allocated on: what is alive is the difference of the sums over
     all Ps, as far as only their Gs allocate and free. Blocks of a thrum_heap
     are not counted. */
  uint64_t allocs;      /* blocks; a realloc counts as a free and an alloc */
  uint64_t frees;       /* blocks */
  uint64_t cross_frees; /* of these, about how many were of another thread's
                           cache: one in 16 is looked at, drawn by address */
  uint64_t alloc_bytes; /* of whole blocks: thrum_usable_size */
  uint64_t free_bytes;
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

/* ---- Memory -----------------------------------------------------------------
 */
/* Writes what the memory of a runtime is, as JSON with a zero behind it, into
 * `size` bytes at `text`, as far as it fits, and returns its length without the
 * zero: call it again with more if that is not below `size`. text NULL with size
 * 0: just tells the length. Bytes but where the name says otherwise:
 *   live: Gs alive; g_bytes, body_bytes: what one takes beside its stack, from
 *     its spawn and from its first run on
 *   stacks: asleep: Gs that hibernate, used_bytes_of_asleep: what their stacks
 *     take on the heap; trimmed: how often unused pages of one were given back;
 *     for each class of stacks reserved address space and the numbers made, in
 *     use, vacant, and vacant with pages
 *   table: of handles
 *   heaps: what was allocated with each P and is not freed (blocks and bytes:
 *     below 0 where it has freed what others allocated), and counts
 *   process: resident memory, and the kernel's page tables
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int64_t thrum_memory_report(thrum_rt* rt, char* text, size_t size);

/* Returns how far down its stack a G has been, in bytes, in whole pages; 0: it
 * has not begun, or hibernates. What was given back meanwhile (thrum_trim) is
 * not counted.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a G of another runtime) THRUM_ESTALE
 *   THRUM_EFORKED */
THRUM_API int64_t thrum_high_water(thrum_rt* rt, thrum_g g);

/* ---- Watchdog ----------------------------------------------------------------
 * A G that holds out for long without coming to a scheduling point: it blocks
 * or computes in its own code, undeclared, or sits inside a thrum call.
 */
/* One report. Valid during the callback. */
typedef struct thrum_stall {
  uint32_t struct_size; /* bytes that the library has filled in */
  uint32_t state;       /* THRUM_STATE_* of <thrum/host.h> */
  thrum_g g;
  const char* name;  /* "": none */
  int64_t lasted_ns; /* so far */
  uint32_t done;     /* THRUM_STALL_* */
  uint32_t frames;   /* how many addresses pcs has, at least 1 */
  /* Where it is, innermost first, as far as can be told without disturbing it.
   * Of a thread that sleeps in the kernel: the instruction, then what its stack
   * has as return addresses (calls that have ended may be among them). Of one
   * that runs: the place in the program's code where it left thrum. */
  const uint64_t* pcs;
  uint32_t exact; /* 1: it sleeps in the kernel at pcs[0] */
  uint32_t reserved;
} thrum_stall;

#define THRUM_STALL_KEPT \
  0u                           /* it has its P: nobody waits, or no thread is
                                  to be had (thrum_config.max_threads) */
#define THRUM_STALL_RETAKEN 1u /* its P was given to another thread */
#define THRUM_STALL_INSIDE 2u  /* it is inside a thrum call */

/* Switches the watchdog on: fn(arg, stall) is called, on a thread of thrum's,
 * for each G that holds out longer than limit_ns, once per time that it does. It
 * must not park. fn NULL: on stderr, with function names. limit_ns 0: 100 ms;
 * below 0: off. When the call returns, no callback of before is running.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (from the callback) THRUM_ENOTSUP (hosted
 *   and deterministic runtimes have no thread that could look) THRUM_ECLOSED
 *   THRUM_EFORKED */
THRUM_API int thrum_watchdog(thrum_rt* rt, int64_t limit_ns,
                             void (*fn)(void* arg, const thrum_stall* stall),
                             void* arg);

/* A hash over the order of events of a deterministic runtime: equal for equal
 * seeds and guests. 0 for other runtimes.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API uint64_t thrum_trace_hash(thrum_rt* rt);

#ifdef __cplusplus
}
#endif
#endif
