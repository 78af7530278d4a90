/* thrum for language hosts and embedders: domains, park and unpark, G-local
 * storage, and what a host may see. The rules and the tags are those of
 * <thrum/thrum.h>. Bindings use public headers only.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_HOST_H
#define THRUM_HOST_H
#include "thrum.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Domains ----------------------------------------------------------------
 * A domain is a token that at most one M holds, for host code that must not
 * run twice at once: a Python interpreter's GIL, a lua_State, a UI thread. A G
 * spawned with thrum_spawn_opts.domain runs only while its M holds the token.
 * The M drains the domain's queue with direct switches and lets go when it is
 * empty or the slice ends; no M waits for the host's lock while it holds a P.
 *
 * The hooks. All but preempt run on the M's own stack with no lock of thrum's
 * held, outside any G; they may call plain functions and thrum_unpark. acquire
 * has no P, so it may block (with THRUM_DOMAIN_HOST_LOCK it is called again with
 * one if none was idle); the others keep one from working and should be short.
 * acquire and release come in pairs on the same M. switch_to is called once per
 * switch: on the way in (from NULL), from G to G, and on the way out (to NULL).
 *
 * Gs of a domain hold it: release it as soon as no further spawns into it are
 * wanted.
 */
typedef struct thrum_domain thrum_domain;

/* Zero is the default of every field but struct_size. A hook that is NULL is
 * not called. */
typedef struct thrum_domain_ops {
  uint32_t struct_size; /* bytes: sizeof(thrum_domain_ops) */
  uint32_t flags;       /* THRUM_DOMAIN_* */
  int64_t handover_ns;  /* THRUM_DOMAIN_HOST_LOCK only. 0: the slice */
  /* Takes the host's lock; may block the M. < 0: the host is ending, and the
   * domain closes. */
  int (*acquire)(void* arg);
  /* Gives the host's lock back, on the M that acquired it. */
  void (*release)(void* arg);
  /* Makes the host's state that of another G. `from` and `to` are the Gs'
   * spawn args, NULL: none. Must not park. */
  void (*switch_to)(void* arg, void* from, void* to);
  /* Asks running host code to come to a thrum call soon (lua_sethook). Called
   * from a signal handler: must be async-signal-safe. */
  void (*preempt)(void* arg, void* running);
} thrum_domain_ops;

/* acquire itself excludes (a GIL). While a G of the domain has been outside
 * thrum for longer than handover_ns and others wait, another M may call
 * acquire; at its next thrum call that G is switched out and queued. Without
 * this flag there are never two Ms inside. */
#define THRUM_DOMAIN_HOST_LOCK 1u
/* Its Gs run only inside thrum_domain_pump, on the thread that pumps (a game's
 * main thread, a UI thread, the thread that owns a lua_State). */
#define THRUM_DOMAIN_PUMPED 2u

/* Makes a domain of rt and gives the caller one reference. *ops is copied;
 * `arg` is handed to every hook and must stay valid until the domain is closed
 * or rt has stopped.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_E2BIG THRUM_ENOMEM THRUM_EMFILE THRUM_ENFILE
 *   THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_domain_new(thrum_rt* rt, const thrum_domain_ops* ops,
                               void* arg, thrum_domain** out);

/* Adds a reference.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_domain_retain(thrum_domain* d);

/* Releases a reference; allowed after thrum_rt_free too.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_domain_release(thrum_domain* d);

/* Leaves the domain: the calling G goes on outside as a migrating G, so that
 * long native work does not hold the host up. Never ended by cancel or limit.
 * Threads: in-G  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (not inside a domain) THRUM_EFORKED */
THRUM_API int thrum_domain_leave(void);

/* Comes back into the domain that was left. Shielded: no cancel or limit ends
 * the wait. If the domain was closed meanwhile the G stays outside: it must not
 * touch the host, and ends without its drops: nobody is there to take arg back.
 * Threads: in-G  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (no domain was left, or the G is locked to
 *   its thread) THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_domain_enter(void);

/* Runs the Gs of a pumped domain on the calling thread, as thrum_pump does:
 * until the deadline or until none is runnable. Returns 0 if the domain has no
 * G left, 1 if all that are left wait, 2 if runnable work is left.
 * Threads: host  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EPERM (from a G) THRUM_EINVAL (also a domain that is not
 *   THRUM_DOMAIN_PUMPED) THRUM_EBUSY (another thread pumps it)
 *   THRUM_EAGAIN (no P is free) THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_domain_pump(thrum_domain* d, int64_t deadline_ns);

/* Returns a descriptor that polls readable when pumping this domain is worth
 * while, and not otherwise. Poll it, never read, write or close it; it lives
 * as long as the domain.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a domain that is not THRUM_DOMAIN_PUMPED)
 *   THRUM_EFORKED */
THRUM_API int thrum_domain_wake_fd(thrum_domain* d);

/* Closes the domain, because the host is ending: the Gs inside never run again,
 * with no drop and no unwinding; joining one gives THRUM_ECLOSED, and so does
 * spawning one. What they wait in passes them by: a value that is sent, or a lock
 * that is given back, goes to the next. What one has had before, also from a wait
 * that it did not come back from, nobody else gets: a lock is held for ever. The
 * host's memory that they held is the host's to forget; once rt is freed, an object
 * that one of them waited in must not be touched. Gs that have left it go on
 * outside.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED (it was closed already) THRUM_EFORKED */
THRUM_API int thrum_domain_close(thrum_domain* d);

/* ---- Park and unpark --------------------------------------------------------
 * One permit per G, from which a host builds waits of its own: check the
 * condition, park, check again. An unpark before the park is not lost. Neither
 * disturbs any other wait of the G.
 */
/* Takes the permit of the calling G, else waits for it. `reason` is shown in
 * traces and must be a static string; NULL shows "park".
 * Threads: in-G  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_park(const char* reason, int64_t deadline_ns);

/* Gives g its permit; at most one is kept. Allowed in hooks too.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (never a G of this runtime) THRUM_ESTALE (ended)
 *   THRUM_EFORKED */
THRUM_API int thrum_unpark(thrum_rt* rt, thrum_g g);

/* ---- G-local storage --------------------------------------------------------
 * What thread_local is to a thread. Keys belong to the process and are never
 * given back: make one per use in the program, not one per object.
 */
/* Makes a key. `drop` (NULL: none) gets each value that is not NULL when its G
 * ends: on that G, before the G's own drop, shielded; it may park.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM (also: no key is left) */
THRUM_API int thrum_local_new(void (*drop)(void* value), uint32_t* out);

/* Sets the calling G's value. The former value is not dropped; NULL unsets.
 * Threads: in-G  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EINVAL (no such key) THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int thrum_local_set(uint32_t key, void* value);

/* Returns the calling G's value; NULL if unset, if there is no such key, or
 * outside a G.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_local_get(uint32_t key);

/* ---- Preemption ---------------------------------------------------------------
 * Off by default, and nothing is installed until it is asked for. A G that
 * computes past its slice while others wait is otherwise let alone, without a
 * P. With preemption it is stopped by a signal to its thread and queued behind
 * the others, but only inside code that the host has declared with
 * thrum_preempt_region, and only
 * - outside thrum, outside thrum_enter_blocking and with no
 *   thrum_preempt_hold;
 * - on the G's own stack, with room for its registers and the way out (up to
 *   8 KiB: half of the smallest stack);
 * - on x86-64 with no AMX tile in use, on arm64 not in streaming mode.
 * Elsewhere the signal does nothing, and the scheduler does what it does
 * without.
 *
 * What may be declared is code that could be descheduled by the kernel between
 * any two instructions, and other Gs run on its thread meanwhile: computations.
 * Code that holds a lock of the C library, of the host or of any other library
 * must hold (thrum_preempt_hold) or stay outside: another G on the same thread
 * would wait for it for ever. So must callbacks that such code calls, and
 * signal handlers. A G that was stopped goes on on the same OS thread, so
 * thread-locals stay right; errno is kept in any case. Code that touches no
 * thread-local may be registered with THRUM_PREEMPT_MIGRATE: then it goes on
 * anywhere, and who calls it must expect that as of a parking call.
 *
 *   #define COMPUTES __attribute__((noinline, section("computes")))
 *   COMPUTES static double integrate(...) {...}
 *   extern const char __start_computes[], __stop_computes[];
 *   thrum_preempt_region(__start_computes, __stop_computes, 0);
 *
 * System calls that declared code makes by itself may end with EINTR, although
 * the signal is installed with SA_RESTART; threads that sleep in the kernel are
 * not sent one.
 *
 * Each thread that runs Gs gets an alternate signal stack, unless it has one
 * that is large enough, and has the signal unblocked; a lent thread gets back
 * what it had when its call returns. Gs in a domain are stopped only by its
 * preempt hook, or in THRUM_PREEMPT_MIGRATE regions.
 */
#define THRUM_PREEMPT_MIGRATE 1u

/* Turns preemption on for rt and returns the number of the signal, which all
 * runtimes of this copy of the library share. signo 0: one already in use, else
 * a real-time signal without a handler. A signal of that number that is not
 * thrum's goes to the handler that was there before, and thrum's own never
 * does. A handler that the host installs later must hand on to thrum's what it
 * does not know (sa_sigaction, with all three arguments).
 *
 * Call it before the first spawn: threads that exist already take part from
 * their next switch on.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also: not a real-time signal) THRUM_EBUSY (no number is
 *   free: name one; or another one is in use) THRUM_ENOTSUP (hosted and
 *   deterministic runtimes, shadow stacks, TSan) THRUM_ENOMEM THRUM_ECLOSED
 *   THRUM_EFORKED */
THRUM_API int thrum_preempt_enable(thrum_rt* rt, int signo);

/* Turns it off again, as the runtime's stop does; 0 also if it was off. With the
 * last runtime the former handler comes back. If the host has put one over
 * thrum's, or holds the signal blocked, thrum's stays below and only hands on.
 * May take some ms.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_preempt_disable(thrum_rt* rt);

/* Declares the machine code in [lo, hi) preemptible, for every runtime of the
 * process. Ranges may overlap: code in several is MIGRATE if all of them say so.
 * Must not hold thrum's or the C library's own code.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM */
THRUM_API int thrum_preempt_region(const void* lo, const void* hi,
                                   uint32_t flags);

/* Takes back one declaration with just these bounds: before the code is
 * unloaded. Gs that were stopped there go on there all the same.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOENT (there is none) THRUM_ENOMEM */
THRUM_API int thrum_preempt_forget(const void* lo, const void* hi);

/* Counts up (+1) or down (-1) how often the calling G must not be preempted.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EINVAL (another delta, or below 0) */
THRUM_API int thrum_preempt_hold(int32_t delta);

/* ---- Stack overflow -----------------------------------------------------------
 * A guard of at least 108 KiB lies below each stack: a G that runs over the end of
 * its own never writes into another's. (A single frame that is larger than the
 * guard may reach over it, unless its code was built to touch each page:
 * -fstack-clash-protection. With THRUM_RT_HIBERNATE, where each page of a guard
 * counts, that is one of 4 KiB, or of 20 KiB below a stack of up to 64 KiB.) The
 * fault is a SIGSEGV like any other, and by
 * default nothing more is known about it. With this a line on stderr names the G,
 * the size of its stack and the place, and then the fault takes its course: the
 * handler that was there before runs as if thrum had none, else the process ends
 * by SIGSEGV and its core dump shows the instruction. All other faults go there at
 * once, and so do signals that somebody sends.
 *
 * Each thread that runs Gs gets an alternate signal stack, unless it has one that
 * is large enough, and has SIGSEGV unblocked; a lent thread gets back what it had
 * when its call returns. A handler that the host installs later must hand on to
 * thrum's what it does not know (sa_sigaction, with all three arguments); one
 * that does not ends thrum's word about overflows, and nothing else.
 *
 * Where the kernel refuses a guard (it has no MADV_GUARD_INSTALL, and the process
 * has vm.max_map_count mappings), a gap of the same size stands in for it: a G
 * that has written there ends the process when it ends, enabled or not.
 */
/* Turns it on for rt; 0 also if it was on. Call it before the first spawn:
 * threads that exist already take part from their next switch on.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_overflow_enable(thrum_rt* rt);

/* Turns it off again, as the runtime's stop does; 0 also if it was off. With the
 * last runtime the former handler comes back, unless the host has put one over
 * thrum's: then thrum's stays below and only hands on.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_overflow_disable(thrum_rt* rt);

/* ---- What a host may see ----------------------------------------------------
 * For debuggers, collectors and crash reports.
 */
/* Filled in by the library; read only what struct_size covers. */
typedef struct thrum_g_info {
  uint32_t struct_size;
  uint32_t state; /* THRUM_STATE_* */
  thrum_g g;
  thrum_domain* domain; /* NULL: none */
  const char* name;     /* "": none; valid during the callback */
  const char* reason;   /* what it waits for, "": nothing; valid during the
                           callback */
  int64_t since_ns;     /* in this state since (thrum_now of its runtime) */
  void* arg;            /* the spawn arg, also of a G that has not begun */
  void* stack_lo;       /* NULL before it first runs */
  void* stack_hi;       /* NULL before it first runs */
  void* sp;             /* NULL before it first runs and while it runs; the
                           callee-saved registers lie above it, but for a G in
                           thrum_enter_blocking: its frames lie above, and what
                           its registers held then is known to itself alone */
} thrum_g_info;

#define THRUM_STATE_RUNNABLE 1u /* waits for its turn; stack_lo NULL: new */
#define THRUM_STATE_RUNNING 2u  /* on an M, with or without a P */
#define THRUM_STATE_WAITING 3u  /* parked: see reason */
#define THRUM_STATE_BLOCKING 4u /* inside thrum_enter_blocking */

/* Calls fn once for every G of rt that has not ended and returns 0. A snapshot:
 * Gs that begin or end meanwhile may be missing. fn must not park; it may call
 * plain functions only.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_g_each(thrum_rt* rt,
                           void (*fn)(void* arg, const thrum_g_info* info),
                           void* arg);

/* Tells the bounds of the calling G's stack, lowest address and end; they are
 * constant for its life. Either pointer may be NULL.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EFORKED */
THRUM_API int thrum_stack(void** lo, void** hi);

/* Sets what runs first (`start`) and last (`stop`) on each M that thrum
 * creates for rt, with no P held: to make an OS thread known to the host. Call
 * it before the runtime's first spawn. Either may be NULL. They may block the
 * thread and call plain functions. Lent threads are not told.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EBUSY (a G was spawned already) THRUM_ECLOSED
 *   THRUM_EFORKED */
THRUM_API int thrum_on_thread(thrum_rt* rt, void (*start)(void* arg),
                              void (*stop)(void* arg), void* arg);

/* ---- Giving memory back -------------------------------------------------------
 */
/* Gives back what memory is not needed now: pages of stacks that nobody has,
 * pages below the stack pointers of all Gs that wait, the stacks of those that
 * may hibernate, what Ps without work have in stock. For a host that is told
 * of memory pressure, or that owns the threads (THRUM_RT_HOSTED: nobody else
 * does it; other runtimes see to most of it when they have been idle for a
 * second). Takes up to a microsecond per G.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_trim(thrum_rt* rt);

/* ---- Stopping the world -----------------------------------------------------
 * For hosts with a collector. While the world is stopped no G of the runtime
 * runs guest code, but for the one that stopped it: all others are parked, wait
 * for their turn at a safepoint, or are declared blocking and held in
 * thrum_exit_blocking. Safepoints are thrum_check and every parking call. Of all
 * but the caller thrum_g_each tells sp meanwhile. Code between
 * thrum_enter_blocking and thrum_exit_blocking must not touch what a collector
 * moves, and must not keep references in registers only: a host puts them on
 * the stack first (__builtin_unwind_init).
 * (examples/learn: collector)
 */
/* Stops the world and returns 0, or gives up at the deadline: a G is in code
 * that calls no thrum (it is named on stderr), and the world runs on. Nests: as
 * many thrum_world_start are due. A second G or thread waits for the first to
 * start the world again. A G that has stopped the world must not park before it
 * starts it: nobody would run it again. Stopped or not, threads of the host run
 * on, and what they spawn or ready waits.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN (with THRUM_TRY) THRUM_ETIMEDOUT
 *   THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_world_stop(thrum_rt* rt, int64_t deadline_ns);

/* Starts the world again; from any thread.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (it is not stopped) THRUM_ECLOSED
 *   THRUM_EFORKED */
THRUM_API int thrum_world_start(thrum_rt* rt);

/* Sets what becomes of elements that are left in the buffer when the channel
 * is freed: drop(arg, elem) for each, on the thread of the last release, with
 * no lock held; it must not park. Call it before the channel's first use.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_chan_set_drop(thrum_chan* ch,
                                  void (*drop)(void* arg, void* elem),
                                  void* arg);

/* Calls visit(arg, elem) for each element in the buffer, the oldest first, until
 * one returns something else than 0; returns what the last one did, 0 without
 * any. For a garbage collector that looks where references lead. `elem` is the
 * buffer's own: it is only to be read, and only during the call. The channel is
 * locked meanwhile: visit must be short and must not call thrum.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL, and what visit returns */
THRUM_API int thrum_chan_each(thrum_chan* ch,
                              int (*visit)(void* arg, const void* elem),
                              void* arg);

/* ---- Heaps -------------------------------------------------------------------
 * A heap whose blocks go all at once, for the Gs of one script or request. Any
 * G of any runtime and any thread may use it, at the same time. Its blocks are
 * resized and freed by its own functions only.
 */
typedef struct thrum_heap thrum_heap;

/* Makes an empty heap, owned by the caller: thrum_heap_destroy.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM */
THRUM_API int thrum_heap_new(thrum_heap** out);

/* Like thrum_alloc, from a heap. Owner: the heap. NULL also for heap NULL.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_heap_alloc(thrum_heap* heap, size_t size);

/* Like thrum_calloc, from a heap. Owner: the heap. NULL also for heap NULL.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_heap_calloc(thrum_heap* heap, size_t count, size_t size);

/* Like thrum_realloc, for a block of this heap, or NULL. NULL also for heap NULL.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_heap_realloc(thrum_heap* heap, void* p, size_t size);

/* Gives one block of this heap back, before the heap goes.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_heap_free(thrum_heap* heap, void* p);

/* Frees all blocks of a heap, and the heap. No other call may be using it,
 * then or later: its pointer is as dead as theirs.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_heap_destroy(thrum_heap* heap);

#ifdef __cplusplus
}
#endif
#endif
