/* <thrum/observe.h>: what a runtime does, and what delays its Gs: counters, traces,
 * profiles, for people and tools.
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

/* ---- Metrics -----------------------------------------------------------------
 * Counted all the time, at less than one per cent. Latencies are measured of one
 * G in 64: read their distribution, not their sum.
 */
/* What a runtime is and did. Append-only. */
typedef struct thrum_stats {
  uint32_t struct_size; /* in: of the caller's; out: bytes filled in */
  uint32_t procs;       /* Ps in service */
  uint32_t procs_idle;  /* of these, without a thread */
  uint32_t threads; /* Ms: its own, and those inside thrum_run, thrum_pump */
  uint32_t threads_idle;
  uint32_t threads_spinning; /* look for work */
  uint64_t gs;               /* alive */
  uint64_t queued_global;    /* Gs in the global queue */
  uint64_t dispatches;       /* switches to a G; they end in one of: */
  uint64_t parks;            /*   waits begun */
  uint64_t yields;           /*   yields, and ends of a slice */
  uint64_t exits;            /*   Gs that ended on a P */
  uint64_t spawns;           /* Gs made by Gs, and by thrum_run */
  uint64_t steals;           /* visits to another P that found work */
  uint64_t handoffs;         /* Ps let go in declared blocking calls */
  uint64_t retakes;          /* Ps taken from undeclared ones */
  uint64_t preemptions;      /* Gs stopped by a signal */
  /* From ready to run, in ns: bounds that 50, 90 and 99 of 100 do not exceed, as
   * powers of two. */
  uint64_t ready_p50_ns, ready_p90_ns, ready_p99_ns;
  /* The same of locks of a mutex that had to wait. */
  uint64_t mutex_p50_ns, mutex_p90_ns, mutex_p99_ns;
  /* The same of how late timers fire. */
  uint64_t timer_p50_ns, timer_p90_ns, timer_p99_ns;
  /* The same of the way from an event of a descriptor to the G that waited for it, in
   * parts, of one in 16: the watching thread could run and the kernel had no CPU for it
   * yet (only where one had to be woken); from the look at the kernel that found the
   * event to the G's being ready; from there until an M takes it; until it goes on. */
  uint64_t net_kernel_p50_ns, net_kernel_p90_ns, net_kernel_p99_ns;
  uint64_t net_poll_p50_ns, net_poll_p90_ns, net_poll_p99_ns;
  uint64_t net_queue_p50_ns, net_queue_p90_ns, net_queue_p99_ns;
  uint64_t net_dispatch_p50_ns, net_dispatch_p90_ns, net_dispatch_p99_ns;
} thrum_stats;

/* Fills in *out as far as out->struct_size goes.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a struct_size below 8) THRUM_EFORKED */
THRUM_API int thrum_stats_get(thrum_rt* rt, thrum_stats* out);

/* Reports as text. */
#define THRUM_REPORT_METRICS 1u /* all counters and histograms */
#define THRUM_REPORT_HEATMAP 2u /* latencies over time (thrum_waits_start) */
#define THRUM_REPORT_WAITS 3u   /* what delayed whom (thrum_waits_start) */

#define THRUM_FORMAT_JSON 1u
#define THRUM_FORMAT_PROMETHEUS 2u /* text format 0.0.4 */
#define THRUM_FORMAT_CSV 3u
#define THRUM_FORMAT_TEXT 4u /* for a terminal, the heat map with its colours */

/* Writes a report with a zero behind it into `size` bytes at `text`, as far as it
 * fits, and returns its length without the zero: call it again with more if that
 * is not below `size`. text NULL with size 0: just tells the length.
 *   metrics: JSON (a flat object, as Go's expvar has it) and Prometheus
 *   heat map: JSON ([column, row, count] of each cell; a row has what is below
 *     2^row ns, the last one, 39, also what is longer; `python -m thrum.trace
 *     heatmap FILE` draws it), CSV, text; of all, and by class: each G is in
 *     migrate, pinned or domain, and in normal, high or low (THRUM_PRIO_*, as it
 *     was spawned)
 *   waits: JSON (ns by cause: of all, by class, of the 20 Gs alive that were
 *     delayed most, and by column of time), text
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a format that this report does not have, and a report
 *   of what was never measured) THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int64_t thrum_report(thrum_rt* rt, uint32_t report, uint32_t format,
                               char* text, size_t size);

/* A line on stderr every `every_ns`, in the manner of Go's schedtrace; 0: no more.
 * $THRUM_DEBUG=schedtrace=1000 asks for the same, in ms, of every runtime of the
 * process that has threads of its own.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (every_ns from 1 to 999,999, or below 0) THRUM_ENOMEM
 *   THRUM_ENOTSUP (hosted and deterministic runtimes; no thread is to be had)
 *   THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_schedtrace(thrum_rt* rt, int64_t every_ns);

/* Lets thrum_top (examples/tools), or whatever speaks its few words, look at rt from
 * another process of the same user, until rt stops: a thread of thrum's listens at a
 * local socket that it makes at `path`, mode 0600, and takes away at the end. %p in the
 * path becomes the process's id, %r the runtime's number. What an ended process has left
 * at the path is replaced. Who asks for what delays Gs switches on thrum_waits_start for
 * as long as it looks. The child of a fork does not serve. $THRUM_DEBUG_SOCKET=PATH
 * asks for the same of every runtime of the process that has threads of its own.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (path NULL or empty) THRUM_ENAMETOOLONG (more than 107 bytes)
 *   THRUM_EBUSY (rt is served already) THRUM_EADDRINUSE (somebody else listens there,
 *   or it is no socket of this user) THRUM_EACCES and others of bind THRUM_ENOMEM
 *   THRUM_ENOTSUP (hosted and deterministic runtimes; no thread is to be had)
 *   THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_debug_socket(thrum_rt* rt, const char* path);

/* ---- Trace -------------------------------------------------------------------
 * A flight recorder: while it is on, every event of a G (spawn, ready, run, park
 * and more: core/probe/events.def) goes into a ring of its P, where it overwrites
 * the oldest. It costs some 15 ns an event, and less than 1 ns while it is off.
 */
/* Takes `n` bytes; valid during the call. Not 0: no more of them. It must not
 * park. */
typedef int (*thrum_write_fn)(void* arg, const char* bytes, size_t n);

/* Switches the recorder on; it keeps what it has if it was on before. events: how
 * many a P keeps, at 24 bytes each, rounded up to a power of two; 0: 65,536. The
 * first call decides, and what it takes stays until the runtime is freed.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_trace_start(thrum_rt* rt, uint64_t events);

/* Switches it off; what was recorded can still be written.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_trace_stop(thrum_rt* rt);

/* Writes what was recorded in the last `last_ns` (THRUM_FOREVER: all) as a timeline
 * in JSON that ui.perfetto.dev and chrome://tracing show: a row for each P, each M
 * and each G, with an arrow from where a G is made ready to where it runs. The
 * runtime goes on meanwhile. Returns the number of events; `lost` in the file counts
 * those that were overwritten.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also: was never switched on) THRUM_ENOMEM THRUM_ECANCELED
 *   (`write` wanted no more) THRUM_EFORKED */
THRUM_API int64_t thrum_trace_write(thrum_rt* rt, int64_t last_ns,
                                    thrum_write_fn write, void* arg);

/* ---- Waits -------------------------------------------------------------------
 * What delayed a G: thrum, the kernel, or a CPU quota.
 */
/* The time of a G by what became of it, in ns. Append-only. */
typedef struct thrum_waits {
  uint32_t struct_size; /* in: of the caller's; out: bytes filled in */
  uint32_t reserved;
  uint64_t ran_ns; /* on a CPU */
  uint64_t
      blocked_ns; /* by its own choice: parked, in a declared block, or asleep
                          in a system call */
  uint64_t queued_ns; /* runnable, behind others of this runtime */
  uint64_t
      kernel_ns; /* its thread, or the one whose P it waited for, was runnable
                          and the kernel ran others */
  uint64_t throttled_ns; /* the same because a CPU quota (cgroup) was used up */
} thrum_waits;

/* Measures every wait from now on, until thrum_trace_stop, and switches the recorder
 * on as well (thrum_trace_start). column_ns: how long a column of the heat map is, from
 * 1 us to 1 s; 0: 10 ms; the first call decides, and the newest 512 are kept. Needs
 * no privilege. What the kernel took is looked up when a G has run for 100 us, so
 * it is exact to about that much.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_waits_start(thrum_rt* rt, int64_t column_ns);

/* Fills in *out for one G, up to its last event, as far as out->struct_size goes.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a G of another runtime, and waits that were never
 *   measured) THRUM_ESTALE THRUM_EFORKED */
THRUM_API int thrum_waits_get(thrum_rt* rt, thrum_g g, thrum_waits* out);

/* ---- Profiles ----------------------------------------------------------------
 * Call stacks with counts and ns, sampled. Calls are found by unwind tables; calls
 * inside thrum are left out where it is an object of its own.
 */
/* Who holds locks (thrum_mutex) that others wait for: the stack of the unlock, and how
 * long the one who is woken has waited. Uncontended locks cost nothing more. */
#define THRUM_PROFILE_MUTEX 1u
/* What Gs wait for: the stack of the park, and how long until it runs again. Also
 * switches the recorder on (thrum_trace_start). */
#define THRUM_PROFILE_BLOCK 2u
/* Where Gs compute: the stack, and how much CPU time its thread has used since it was
 * looked at last; all that it uses inside thrum is one entry. Threads are asked by a
 * signal, the one of thrum_preempt_enable, at most so often as the rate says, and only
 * while they run; a G that has never come to a scheduling point since the profile began
 * is not seen. Of functions compiled without unwind tables the stack ends there. */
#define THRUM_PROFILE_CPU 3u
#define THRUM_FORMAT_PPROF 5u  /* protobuf: `go tool pprof`, speedscope */
#define THRUM_FORMAT_FOLDED 6u /* "main;f;[mutex] ns" lines for flame graphs */

/* From now on one event in `rate` is looked at (1: each); of THRUM_PROFILE_CPU: each
 * thread `rate` times a second, at most 1,000 (100 is usual); 0: none. May be changed at any
 * time: samples are scaled by the rate of their moment. Of locks and waits a quarter is
 * drawn while a CPU quota is used up, and those that overlap it have the label
 * "throttled". Returns the former rate.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a rate above 1,000,000) THRUM_ENOMEM THRUM_ECLOSED
 *   THRUM_EFORKED; of THRUM_PROFILE_CPU: THRUM_ENOTSUP (hosted and deterministic
 *   runtimes; under a sanitizer that holds signals back) THRUM_EBUSY (no real-time
 *   signal is free) */
THRUM_API int thrum_profile_rate(thrum_rt* rt, uint32_t profile, uint32_t rate);

/* Writes all that was sampled since the runtime was made. Returns the number of
 * different stacks.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a profile that never had a rate) THRUM_ENOMEM
 *   THRUM_ECANCELED (`write` wanted no more) THRUM_EFORKED */
THRUM_API int64_t thrum_profile_write(thrum_rt* rt, uint32_t profile,
                                      uint32_t format, thrum_write_fn write,
                                      void* arg);

/* When the watchdog (thrum_watchdog) finds a stall, the last `last_ns` before it are
 * written to the file `path`: of the first stall after this call. path NULL: of none.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a path of more than 255 bytes) THRUM_ENOMEM
 *   THRUM_ENOTSUP (hosted and deterministic runtimes; no thread is to be had)
 *   THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_trace_on_stall(thrum_rt* rt, const char* path,
                                   int64_t last_ns);
/* ---- Stuck Gs ----------------------------------------------------------------
 * Gs that wait and that nobody can ever wake: deadlocks of a part of the program, and
 * leaks. (If all Gs wait for ever, thrum_run returns THRUM_EDEADLOCK.) What is reported
 * is certain: a wait with a deadline or a limit, for a descriptor, or for what a thread
 * of the host or another runtime's G owns is never in it. Of a G in a mutex, an
 * rwmutex that a writer holds, a once or a join it is known whom it waits for. Of the
 * others it is known if the program says so, by thrum_chan_counted and
 * thrum_waker_add. A cancel (thrum_cancel, thrum_rt_stop) ends the wait of a stuck G as
 * any other's. Nothing is paid for it but when it is asked. */
typedef struct thrum_stuck {
  uint32_t struct_size; /* bytes that the library has filled in */
  uint32_t kind;        /* THRUM_STUCK_* */
  thrum_g g;
  const char* name;   /* "": none */
  const char* reason; /* what it waits for: "mutex", "chan_recv", ... */
  const void* object; /* the mutex, channel, ...; NULL: a join, or a select over
                          several channels */
  thrum_g on;      /* the one G that would have to let go or to end; 0: none */
  uint32_t frames; /* how many addresses pcs has; 0: its stack is packed */
  uint32_t reserved;
  const uint64_t* pcs; /* where it waits, innermost first: what its stack has as
                          return addresses (calls that have ended may be among
                          them) */
} thrum_stuck;

#define THRUM_STUCK_CYCLE 1u  /* it waits for itself, by way of `on` */
#define THRUM_STUCK_BEHIND 2u /* for one that is stuck: `on` */
#define THRUM_STUCK_ENDED \
  3u                        /* its owner has ended without letting go (known
                                 until a new G takes the owner's place) */
#define THRUM_STUCK_LEAK 4u /* all who could come are stuck or have ended */

/* Calls fn(arg, stuck) for each G of rt that is stuck, and returns how many. fn NULL:
 * just counts. What fn is given is valid during the call; no lock is held.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int64_t thrum_stuck_each(
    thrum_rt* rt, void (*fn)(void* arg, const thrum_stuck* stuck), void* arg);

/* Says who is stuck on stderr, with function names, and returns how many.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int64_t thrum_stuck_report(thrum_rt* rt);

/* Promises that from now on whoever may use ch has a reference of its own, and that
 * each G that waits in ch has one too. A G in a receive whose is the last reference is
 * stuck then. (A reference that one holds for another to use: say nothing.)
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_chan_counted(thrum_chan* ch);

/* Promises that the waits in an object of the caller's (a channel, or the address of a
 * thrum_cond, thrum_wg, thrum_sem) are ended by g, or by others of which the same is
 * said, and by nobody else; of a counted channel: that g has one of its references.
 * Those who have ended, or are stuck, are not coming. Say it for all of them before
 * anybody looks, and take it back (g 0: of all) before the object goes.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (object NULL, or g is not of rt) THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int thrum_waker_add(thrum_rt* rt, const void* object, thrum_g g);
THRUM_API int thrum_waker_remove(thrum_rt* rt, const void* object, thrum_g g);

/* ---- Debuggers ---------------------------------------------------------------
 * What a debugger must know to find every G of every runtime in a process or a
 * core, also of a stripped program: bindings/gdb/thrum.py reads it. It is found by
 * its symbol, or by its first 16 bytes where there are no symbols. Programs have no
 * use for it.
 */
typedef struct thrum_debug_fact {
  char
      name[24]; /* "G.state": an offset in bytes; "G.bytes": a size; "flag.x" */
  uint64_t value;
} thrum_debug_fact;

typedef struct thrum_debug {
  char magic[16];       /* THRUM_DEBUG_MAGIC */
  uint32_t struct_size; /* bytes of this */
  uint32_t fact_count;  /* later versions add facts, and leave out none */
  const thrum_debug_fact* facts;
  const void* const*
      runtimes;        /* by tag: fact "tags" says how many; NULL: none */
  const char* states;  /* names from 0 on, each with a blank behind it */
  const char* reasons; /* likewise: wait reasons */
} thrum_debug;

#define THRUM_DEBUG_MAGIC "\x7fthrum debug 1\n"

/* Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API extern const thrum_debug thrum_debug_table;

/* A hash over the order of events of a deterministic runtime: equal for equal
 * seeds and guests. 0 for other runtimes.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API uint64_t thrum_trace_hash(thrum_rt* rt);

#ifdef __cplusplus
}
#endif
#endif
