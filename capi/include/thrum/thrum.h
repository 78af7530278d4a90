/* thrum: green threads on all cores, for any language that can call C.
 *
 * A G is a green thread: a function, its stack, its state. An M is an OS
 * thread. A P is the right to run Gs: a run queue, timers and caches. A
 * runtime has `procs` Ps, so at most `procs` Gs run at once; an M must hold a P
 * to run a G. A G whose P was taken away, because it blocked or computed long
 * outside thrum, runs on beside them until its next parking call.
 *
 * This header is the reference. Under each declaration stand
 *   Threads      any: from a G or from any OS thread, which then blocks as a
 *                thread does. in-G: only from a G, elsewhere THRUM_ENOTG.
 *                host: only from an OS thread, from a G THRUM_EPERM.
 *   Class        plain: never looks at the scheduler. non-parking: never waits
 *                and never changes the OS thread. parking: may wait, and a
 *                migrating G may return on another OS thread. With THRUM_TRY
 *                every call that takes a deadline is non-parking.
 *   Parks        no, yes, or until a deadline.
 *   Signal-safe  yes: may be called from a signal handler.
 *   Errors       every negative result. Since: the first version that has it.
 *
 * Rules that hold everywhere:
 * - Arguments. NULL where an object is needed, an unknown flag and struct_size
 *   0 give THRUM_EINVAL. `rt` NULL means the calling G's runtime; outside a G
 *   that is THRUM_EINVAL too. Retaining, releasing or freeing NULL does
 *   nothing.
 * - Memory. Objects and handles come from _new and go by _release or _free.
 *   thrum frees nothing of the caller's and keeps no pointer after a call
 *   unless the declaration says so. Channels and synchronisation objects
 *   belong to the process, not to a runtime: Gs of several runtimes and
 *   threads of the host may share them.
 * - Structs begin with struct_size = sizeof(the struct), only ever grow at the
 *   end, and zero is the default of every field. A shorter one means defaults
 *   for the rest; a longer one whose unknown tail is not zero: THRUM_E2BIG.
 * - Callbacks run with no lock of thrum's held and may call thrum, unless the
 *   declaration says otherwise. A C++ exception, a longjmp or a pthread_exit
 *   must not leave one: the process dies with a message that names the G.
 * - Loading the library starts no thread and installs no handler, and there is
 *   no hidden default runtime. Several runtimes, and several copies of the
 *   library, live in one process. Stop and free every runtime before dlclose:
 *   then nothing of it runs any more. It stays mapped all the same (nodelete),
 *   because a thread of the host that has used it ends in its allocator's code;
 *   loading it again finds it as it was (examples/learn: plugin_dlopen).
 *
 * Beside this header: <thrum/host.h> for language hosts and embedders, and
 * <thrum/thrum.hpp>, a C++17 skin.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_THRUM_H
#define THRUM_THRUM_H
#include <stddef.h>
#include <stdint.h>

/* Linkage. THRUM_STATIC: linking the static library. THRUM_BUILDING: set by
 * the library's own build. */
#if defined(THRUM_STATIC) || defined(SWIG)
#define THRUM_API
#elif defined(_WIN32) && defined(THRUM_BUILDING)
#define THRUM_API __declspec(dllexport)
#elif defined(_WIN32)
#define THRUM_API __declspec(dllimport)
#elif defined(__GNUC__)
#define THRUM_API __attribute__((visibility("default")))
#else
#define THRUM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version ----------------------------------------------------------------
 * The macros are what the program was compiled with, the functions what it
 * runs with. Before 1.0 a new minor version may break the ABI, and then the
 * soname changes; from 1.0 on the same major version means the same ABI. A
 * host that uses dlopen compares before it calls anything else: until 1.0 the
 * upper 24 bits of both must be equal, and the function's result not be the
 * smaller one (examples/learn: plugin_dlopen).
 */
#define THRUM_VERSION_MAJOR 0
#define THRUM_VERSION_MINOR 1
#define THRUM_VERSION_PATCH 0
#define THRUM_VERSION                                         \
  ((THRUM_VERSION_MAJOR << 16) | (THRUM_VERSION_MINOR << 8) | \
   THRUM_VERSION_PATCH)

/* Returns the library's version, (major << 16) | (minor << 8) | patch.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API uint32_t thrum_version(void);

/* Returns the library's version as text, "0.1.0". Static storage.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API const char* thrum_version_string(void);

/* Returns one line about the build: compiler, debug or release, versions of
 * libuv and mimalloc, features, sanitizers. For people and bug reports; the
 * wording may change. Static storage.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API const char* thrum_build_info(void);

/* ---- Errors -----------------------------------------------------------------
 * An `int` (or `int64_t`) result is >= 0 for success and < 0 for a THRUM_E...
 * The numbers never change: errno-like codes have their Linux numbers on every
 * platform, thrum's own begin at -1001. A negative result that a declaration
 * does not list is the negated Linux errno of the operation that failed in the
 * operating system.
 *
 * Results come by value only. Every thrum call leaves errno as it was, on the
 * thread that it returns on.
 *
 * After a fork a runtime belongs to the parent: in the child every call that
 * needs it, named or as the calling G's, gives THRUM_EFORKED; calls that
 * return nothing do nothing. The child may make runtimes of its own.
 *
 * The child of a G goes on with the G's function, which is no G any more: its
 * in-G calls, and whatever would have to wait, give THRUM_EFORKED (THRUM_TRY
 * THRUM_EAGAIN; what can complete at once completes; thrum_join in a runtime of
 * the child's waits as a thread). It may unlock what the G held. When the
 * function returns, so does the call that lent the thread, with THRUM_EFORKED;
 * on a thread of the runtime's the child ends by exit(0). Either way the G's
 * drop is not called. The same holds for callbacks and hooks that fork.
 *
 * What belongs to no runtime stays as it was at that moment: a lock that
 * another G or thread held is held for ever, a value that is sent to a waiting
 * G is lost, and what another thread waited on, or was in a call on, must not
 * be used. The same goes for the allocator's own locks: it may never answer in
 * the child if another thread was just getting memory from the system (not seen
 * in thousands of forks amid allocations, but nothing rules it out).
 *
 * All this is about fork(3). The children of vfork, _Fork and clone may only
 * exec or _exit, and so may that of a signal handler that forks while its
 * thread is inside a call of thrum's. posix_spawn, and fork with exec, need
 * nothing: no descriptor of the library's is inherited.
 */
#define THRUM_EPERM (-1)        /* not allowed to this caller, or here */
#define THRUM_E2BIG (-7)        /* a newer struct sets fields not known here */
#define THRUM_EAGAIN (-11)      /* would block, with THRUM_TRY */
#define THRUM_ENOMEM (-12)      /* out of memory, Gs or keys */
#define THRUM_EBUSY (-16)       /* in use, or too late to change */
#define THRUM_EINVAL (-22)      /* an argument is wrong */
#define THRUM_ENOTSUP (-95)     /* not supported here */
#define THRUM_ETIMEDOUT (-110)  /* the deadline or the G's limit passed */
#define THRUM_ECANCELED (-125)  /* thrum_cancel, or the runtime is stopping */
#define THRUM_ENOTG (-1001)     /* in-G call from outside a G */
#define THRUM_ESTALE (-1002)    /* the G has ended; its slot is another's */
#define THRUM_ECLOSED (-1003)   /* closed; the runtime is stopping or stopped */
#define THRUM_EDEADLOCK (-1004) /* this wait can never end */
#define THRUM_EFORKED (-1005)   /* the runtime belongs to the parent process */

/* From the operating system. (Linux's own ESTALE, 116, is THRUM_ESTALEFH.) */
#define THRUM_ENOENT (-2)
#define THRUM_ESRCH (-3)
#define THRUM_EINTR (-4) /* never from a wait */
#define THRUM_EIO (-5)
#define THRUM_ENXIO (-6)
#define THRUM_ENOEXEC (-8)
#define THRUM_EBADF (-9)
#define THRUM_ECHILD (-10)
#define THRUM_EACCES (-13)
#define THRUM_EFAULT (-14)
#define THRUM_EEXIST (-17)
#define THRUM_EXDEV (-18)
#define THRUM_ENODEV (-19)
#define THRUM_ENOTDIR (-20)
#define THRUM_EISDIR (-21)
#define THRUM_ENFILE (-23)
#define THRUM_EMFILE (-24)
#define THRUM_ENOTTY (-25)
#define THRUM_ETXTBSY (-26)
#define THRUM_EFBIG (-27)
#define THRUM_ENOSPC (-28)
#define THRUM_ESPIPE (-29)
#define THRUM_EROFS (-30)
#define THRUM_EMLINK (-31)
#define THRUM_EPIPE (-32)
#define THRUM_EDOM (-33)
#define THRUM_ERANGE (-34)
#define THRUM_ENAMETOOLONG (-36)
#define THRUM_ENOLCK (-37)
#define THRUM_ENOSYS (-38)
#define THRUM_ENOTEMPTY (-39)
#define THRUM_ELOOP (-40)
#define THRUM_ENODATA (-61)
#define THRUM_EPROTO (-71)
#define THRUM_EBADMSG (-74)
#define THRUM_EOVERFLOW (-75)
#define THRUM_EILSEQ (-84)
#define THRUM_EUSERS (-87)
#define THRUM_ENOTSOCK (-88)
#define THRUM_EDESTADDRREQ (-89)
#define THRUM_EMSGSIZE (-90)
#define THRUM_EPROTOTYPE (-91)
#define THRUM_ENOPROTOOPT (-92)
#define THRUM_EPROTONOSUPPORT (-93)
#define THRUM_ESOCKTNOSUPPORT (-94)
#define THRUM_EPFNOSUPPORT (-96)
#define THRUM_EAFNOSUPPORT (-97)
#define THRUM_EADDRINUSE (-98)
#define THRUM_EADDRNOTAVAIL (-99)
#define THRUM_ENETDOWN (-100)
#define THRUM_ENETUNREACH (-101)
#define THRUM_ENETRESET (-102)
#define THRUM_ECONNABORTED (-103)
#define THRUM_ECONNRESET (-104)
#define THRUM_ENOBUFS (-105)
#define THRUM_EISCONN (-106)
#define THRUM_ENOTCONN (-107)
#define THRUM_ESHUTDOWN (-108)
#define THRUM_ETOOMANYREFS (-109)
#define THRUM_ECONNREFUSED (-111)
#define THRUM_EHOSTDOWN (-112)
#define THRUM_EHOSTUNREACH (-113)
#define THRUM_EALREADY (-114)
#define THRUM_EINPROGRESS (-115)
#define THRUM_ESTALEFH (-116)
#define THRUM_EREMOTEIO (-121)
#define THRUM_EDQUOT (-122)
#define THRUM_ENOMEDIUM (-123)

/* Returns the text of a code in English, "deadline passed". Never NULL:
 * "success" for 0, "unknown error" for a code that does not exist. Static
 * storage.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API const char* thrum_strerror(int code);

/* Returns the name of a code without THRUM_, "ETIMEDOUT". Never NULL: "OK" for
 * 0, "E?" for a code that does not exist. Static storage.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API const char* thrum_errname(int code);

/* ---- Time -------------------------------------------------------------------
 * Times are int64_t nanoseconds on the monotonic clock. Every call that waits
 * takes an absolute deadline (only thrum_sleep, thrum_once_do and thrum_run
 * take none), usually thrum_after(ns). An operation that can complete at once
 * does so whatever the deadline. Otherwise THRUM_TRY gives THRUM_EAGAIN and
 * any other past or negative deadline THRUM_ETIMEDOUT. No wait ends with
 * EINTR. In a G, a wait with a deadline needs room for its timer, and without
 * any memory left gives THRUM_ENOMEM. (examples/learn: select, game_pump)
 */
#define THRUM_TRY 0
#define THRUM_FOREVER 9223372036854775807LL

/* Returns the time now in ns: CLOCK_MONOTONIC; in a G of a deterministic
 * runtime that runtime's virtual time.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API int64_t thrum_now(void);

/* Returns the deadline `ns` nanoseconds from now. It saturates at
 * THRUM_FOREVER, takes ns < 0 for 0, and never returns 0 (THRUM_TRY).
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API int64_t thrum_after(int64_t ns);

/* ---- Runtime ----------------------------------------------------------------
 * A runtime is Ps, Ms and Gs. thrum_rt_new starts no thread; Ms come with the
 * work. A program usually makes one, calls thrum_run with its main function,
 * then thrum_rt_stop and thrum_rt_free (examples/learn: hello).
 *
 * $THRUM_DEBUG=1 is slow, and says on stderr when a G parks while its thread holds
 * a pthread mutex (std::mutex is one), as far as that can be known (glibc; on the G's
 * stack, behind pointers there, or in the program's data). See thrum_schedtrace, too.
 *
 * A thread of the host takes part in one of three ways: it lends itself until
 * one G has ended (thrum_run), it lends itself for a time (thrum_pump; with
 * THRUM_RT_HOSTED the only way in which Gs run; examples/learn: game_pump), or
 * it stays outside and spawns, joins, sends, receives and locks, blocking as a
 * thread does (examples/learn: plugin_dlopen).
 *
 * Calls on a stopped runtime give THRUM_ECLOSED. Those that name a G still
 * answer, for it has ended: thrum_join 0, thrum_cancel and thrum_unpark
 * THRUM_ESTALE.
 */
typedef struct thrum_rt thrum_rt;
typedef uint64_t thrum_g; /* handle of a G: tag, slot, generation; 0: none */
typedef void (*thrum_fn)(void* arg);

/* A host's allocator for what a runtime itself takes: the runtime, its Ps and Ms,
 * records and stacks of Gs. Not for thrum_alloc and its kin, nor for what grows
 * under a lock or belongs to the process (timers, channels). The functions are
 * called by any thread, also by several at once, with no lock of thrum's held;
 * they must not call thrum. alloc and free come together, and so do reserve and
 * release. */
typedef struct thrum_allocator {
  uint32_t struct_size; /* bytes: sizeof(thrum_allocator) */
  uint32_t reserved;    /* 0 */
  void* arg;            /* the first argument of each */
  void* (*alloc)(void* arg, size_t size, size_t align); /* NULL: no memory */
  void (*free)(void* arg, void* p, size_t size); /* size: as it was allocated */
  /* Address space for stacks, `size` bytes in whole pages, readable, writable
   * and zero; best if committed as it is touched. NULL: the system's. */
  void* (*reserve)(void* arg, size_t size);
  void (*release)(void* arg, void* p, size_t size);
} thrum_allocator;

/* Zero is the default of every field. thrum_config_init sets it up. */
typedef struct thrum_config {
  uint32_t struct_size; /* bytes: sizeof(thrum_config) */
  uint32_t procs;       /* at most 1024. 0: $THRUM_PROCS, else see place.h */
  uint32_t max_threads; /* Ms at most. 0: 10000 */
  uint32_t flags;       /* THRUM_RT_* */
  uint64_t stack_size;  /* virtual bytes per G, committed as used. 0: 256 KiB */
  int64_t slice_ns;     /* how long a G keeps its P while others wait.
                           0: $THRUM_SLICE_US, else 10 ms */
  uint64_t seed;        /* with THRUM_RT_DETERMINISTIC */
  int64_t sysmon_ns; /* how often busy Ps are looked at: what holds out beside
                           thrum loses its P within a slice and such a period.
                           0: $THRUM_SYSMON_US, else slice_ns / 4; from 50 us */
  int64_t idle_ns;   /* a G that waits so long gives unused pages of its
                           stack back, and hibernates if it may. 0: those that
                           may do so after 2 s, others keep what they have */
  /* For what the runtime takes for itself; copied. NULL: thrum's own. */
  const thrum_allocator* allocator;
  uint32_t max_procs; /* cap on what the OS grants (place.h); 0: none */
  uint32_t place;     /* THRUM_PLACE_* */
} thrum_config;

/* One M; every free choice comes from the seed; a virtual clock that begins at
 * 1 s and jumps when all Gs sleep. The same seed replays the same run, as far
 * as only this runtime's Gs are concerned. */
#define THRUM_RT_DETERMINISTIC 1u
/* Owns no thread: Gs run only inside thrum_run and thrum_pump, on the threads
 * that call them, and undeclared blocking is not detected. */
#define THRUM_RT_HOSTED 2u
/* All Gs are spawned as with THRUM_G_HIBERNATE; guards are small, see host.h. */
#define THRUM_RT_HIBERNATE 4u

/* Sets all `struct_size` bytes of *config to the defaults and its struct_size
 * field. Call it with sizeof(thrum_config).
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none; NULL or a size below 4: does nothing */
THRUM_API void thrum_config_init(thrum_config* config, uint32_t struct_size);

/* Makes a runtime, owned by the caller: thrum_rt_stop, then thrum_rt_free.
 * Starts no thread yet. `config` NULL: all defaults; it is copied.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_E2BIG THRUM_ENOMEM THRUM_EAGAIN (255 runtimes
 *   exist) THRUM_EMFILE THRUM_ENFILE */
THRUM_API int thrum_rt_new(thrum_rt** out, const thrum_config* config);

/* Stops a runtime: refuses spawns (THRUM_ECLOSED), makes cancellation sticky
 * (from now on every interruptible wait of its Gs gives THRUM_ECANCELED, again
 * and again; shields hold), waits until all Gs have ended, joins every M.
 * THRUM_ETIMEDOUT, with THRUM_TRY THRUM_EAGAIN: it is still stopping, call
 * again. A second caller waits for the first; of a stopped runtime the answer is 0.
 * A hosted runtime's Gs run meanwhile on the calling thread. Gs bound to a thread of
 * the host need it, inside run, pump or stop; a pumped domain's its pump or its
 * close. From another runtime's G it blocks that G's thread, and no cancel ends it.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_EDEADLOCK (from one
 *   of its own Gs) THRUM_EFORKED */
THRUM_API int thrum_rt_stop(thrum_rt* rt, int64_t deadline_ns);

/* Adds a reference, for hosts whose finalizers run in any order: the handle
 * stays valid until thrum_rt_free was called once for it too.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_rt_retain(thrum_rt* rt);

/* Releases one reference. The last one frees a stopped runtime, after waiting
 * for calls in flight; one that is not stopped it keeps, with the reference,
 * and says so once on stderr. Connections and domains may be released after.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_rt_free(thrum_rt* rt);

/* Returns the runtime of the calling G, NULL outside a G. Borrowed: valid while
 * the G lives.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API thrum_rt* thrum_rt_current(void);

/* Lends the calling thread one of the Ps and runs fn(arg) as a G until that G
 * has ended. Other Gs may run on the thread too, and the G on other threads.
 * THRUM_EDEADLOCK: every G is blocked for ever and nothing outside could wake
 * one; the G is still there, with arg, until the runtime stops.
 * Threads: host  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EPERM (from a G) THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED
 *   THRUM_EDEADLOCK THRUM_EFORKED */
THRUM_API int thrum_run(thrum_rt* rt, thrum_fn fn, void* arg);

/* Runs Gs on the calling thread until the deadline, which is checked at each
 * switch, or until none is runnable, after one poll that does not sleep.
 * THRUM_TRY: one G. THRUM_FOREVER: until none is runnable. Returns 0 if no G
 * is left, 1 if all that are left wait, 2 if runnable work is left.
 * Threads: host  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EPERM (from a G) THRUM_EINVAL THRUM_EAGAIN (no P is free)
 *   THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_pump(thrum_rt* rt, int64_t deadline_ns);

/* Returns the earliest time in ns at which pumping is worth while: not later
 * than now if a G is runnable, THRUM_FOREVER if only the outside can make one.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int64_t thrum_next_wake(thrum_rt* rt);

/* Returns a descriptor that polls readable when pumping is worth while (ready
 * Gs, due timers, ready descriptors), and not otherwise. For the host's event
 * loop: poll it, never read, write or close it; it lives as long as rt.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOTSUP (neither hosted nor deterministic: its own
 *   Ms do the work) THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_wake_fd(thrum_rt* rt);

/* Returns the number of Ps, at least 1.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_procs(thrum_rt* rt);

/* Sets the number of Ps, live, and returns the former value. A surplus P
 * retires at its next scheduling point and hands its queue on.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also n 0, n above 1024, or n other than 1 in a
 *   deterministic runtime) THRUM_ENOMEM THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_set_procs(thrum_rt* rt, uint32_t n);

/* Returns what the OS grants this process now: the smaller of affinity mask
 * and CPU quota (rounded up), at least 1.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API int thrum_available_procs(void);

/* ---- Green threads ----------------------------------------------------------
 * thrum_spawn is cheap: a G gets its stack when it first runs. Handles are
 * integers that never dangle: one of a G that has ended is answered, not
 * followed (examples/learn: hello, fan_in).
 *
 * State. A G starts in the default floating-point environment. Rounding mode,
 * mxcsr, x87 control word and C++ exception globals (a park inside a catch
 * block is fine) are its own across every park. What belongs to an OS thread
 * is not: locale (uselocale), signal mask, thread_local variables.
 *
 * Migration. A THRUM_MIGRATE G may return from any parking call on another OS
 * thread. Compilers cache the thread's address within a function: code that
 * reads errno, pthread_self() or a thread_local both before and after a
 * parking call may see the old thread's. Such a function must not migrate:
 * THRUM_PIN_M or thrum_lock_thread. The same goes for Rust code that holds a
 * reference into a thread-local across a park.
 * Never park while holding a pthread or std mutex: the one who runs next on the
 * thread may want it.
 *
 * Fairness. What a G readies and runs next shares the rest of its slice, so a
 * chattering pair cannot starve others.
 *
 * Cancellation. thrum_cancel leaves one request; requests do not count up. The
 * first call that answers THRUM_ECANCELED consumes it: a wait, yield, check or
 * sleep. An operation completes or is cancelled, never both: one that can
 * complete at once completes and leaves the request pending; THRUM_TRY calls
 * do not consume it; a wait that was already satisfied (signalled, k bytes
 * written) answers with that. Neither a cancel nor a limit interrupts a mutex
 * or rwmutex lock with THRUM_FOREVER, thrum_cond_wait's re-lock, waiters of
 * thrum_once_do, thrum_exit_blocking.
 *
 * Order between threads. These are release/acquire pairs: spawn to fn, the G's
 * drop to join, send to recv, close to THRUM_ECLOSED, unlock to lock, done to
 * wait, unpark to park, and thrum_once_do's fn to each return.
 */
/* Zero is the default of every field but struct_size. */
typedef struct thrum_spawn_opts {
  uint32_t struct_size;    /* bytes: sizeof(thrum_spawn_opts) */
  uint32_t affinity;       /* THRUM_MIGRATE | THRUM_PIN_STARTED | THRUM_PIN_M */
  uint64_t stack_size;     /* virtual bytes; 0: the runtime's */
  const char* name;        /* UTF-8, copied, at most 47 bytes; NULL: none */
  void (*drop)(void* arg); /* takes arg back at the end; see thrum_spawn */
  uint32_t priority;       /* 0 normal, THRUM_PRIO_* */
  uint32_t flags;          /* THRUM_G_* */
  struct thrum_domain* domain; /* <thrum/host.h>; NULL: none */
} thrum_spawn_opts;

/* May run on any M and move at every parking call. */
#define THRUM_MIGRATE 0u
/* May be stolen until it first runs, then stays on its M. A lent thread (run,
 * pump) never starts one unless the runtime is hosted. */
#define THRUM_PIN_STARTED 1u
/* Only on the M of the spawning G; THRUM_ENOTG if spawned elsewhere. */
#define THRUM_PIN_M 2u

#define THRUM_PRIO_HIGH 1u /* classes: see <thrum/place.h> */
#define THRUM_PRIO_LOW 2u

/* The guest hands out no pointer into its stack while it parks, so that the
 * stack of a G parked for long may be stored away: it hibernates. The used bytes
 * go to the heap, and come back to the same addresses before the G runs again.
 * Meanwhile its stack traps (and thrum_g_each tells no sp). What the G passes to
 * thrum may lie on its stack: an element of a channel, the cases of a select. A
 * mutex, wait group, ... that lies there itself keeps it awake, as do
 * thrum_lock_thread and more than 16 KiB in use. Not before Linux 6.13, nor with
 * locked memory (which is said once on stderr), nor under ASan, TSan, valgrind. */
#define THRUM_G_HIBERNATE 1u

/* Makes a G that will run fn(arg). `opts` NULL: defaults. `out` NULL: no handle
 * wanted; the G runs all the same. If the call fails, arg stays the caller's
 * and drop is not called. Else drop(arg) is called exactly once, as the last
 * act of the G: on its stack, in its domain and affinity (on a G of the same
 * class if it never ran), shielded; it may park. Joiners wake only after it,
 * and then nothing that the spawner handed over is used again.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also a domain of another runtime) THRUM_E2BIG
 *   THRUM_ENOMEM THRUM_ENOTG (THRUM_PIN_M) THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_spawn(thrum_rt* rt, const thrum_spawn_opts* opts,
                          thrum_fn fn, void* arg, thrum_g* out);

/* Waits until g has ended, its drop included. 0: it has, however long ago (an
 * older generation of the slot counts as ended). Many may join one G.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (never a G of this runtime) THRUM_ENOMEM THRUM_EAGAIN
 *   THRUM_ETIMEDOUT THRUM_ECANCELED (the caller was) THRUM_ECLOSED (its domain
 *   closed: it will never end) THRUM_EDEADLOCK (itself) THRUM_EFORKED */
THRUM_API int thrum_join(thrum_rt* rt, thrum_g g, int64_t deadline_ns);

/* Asks g to end: leaves a cancel request and wakes it from an interruptible
 * wait. The rules stand at the head of this chapter.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (never a G of this runtime) THRUM_ESTALE (ended)
 *   THRUM_EFORKED */
THRUM_API int thrum_cancel(thrum_rt* rt, thrum_g g);

/* Returns 1 if the calling G was cancelled and has not cleared it since,
 * whether or not a call has answered THRUM_ECANCELED, or if its runtime is
 * stopping; else 0.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EFORKED */
THRUM_API int thrum_cancelled(void);

/* Takes a pending or delivered cancel back; returns 1 if there was one, else
 * 0. It cannot lift the sticky cancellation of thrum_rt_stop.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EFORKED */
THRUM_API int thrum_cancel_clear(void);

/* Adds `delta` (+1 or -1) to the shield of the calling G, which nests: above 0
 * no wait ends by cancel or limit, and requests stay pending. Returns 0.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EINVAL (another delta, or below 0)
 *   THRUM_EFORKED */
THRUM_API int thrum_shield(int32_t delta);

/* Sets the limit of the calling G and returns the former one: no wait of this
 * G lasts beyond it (THRUM_ETIMEDOUT). THRUM_FOREVER, at first, means none;
 * below 0 counts as 0, long past. It replaces the former limit: to nest, pass
 * the earlier of the two and put the former back.
 * Threads: in-G  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EFORKED */
THRUM_API int64_t thrum_limit(int64_t deadline_ns);

/* Returns the handle of the calling G, 0 outside a G.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API thrum_g thrum_self(void);

/* Lets others run: goes to the back of the queue.
 * Threads: in-G  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_yield(void);

/* Sleeps for at least `ns` nanoseconds; ns <= 0 yields.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOMEM THRUM_ECANCELED THRUM_ETIMEDOUT (the G's limit)
 *   THRUM_EFORKED */
THRUM_API int thrum_sleep(int64_t ns);

/* Marks a safepoint in a long computation (about 1 ns): yields if the slice is
 * over or the scheduler asked.
 * Threads: in-G  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_check(void);

/* ---- Blocking and threads ---------------------------------------------------
 * A G that blocks its OS thread (a file read, a library that waits) does not
 * stop its neighbours: between thrum_enter_blocking and thrum_exit_blocking
 * its P may leave for another M. Code that does not declare it is found out and
 * loses its P too, only later. The pair is cheap; declare what may take longer
 * than some microseconds (examples/apps: tgrep declares its reads).
 *
 * A G whose P is gone runs on, is never interrupted by a signal of thrum's and
 * keeps its OS thread through plain and non-parking calls. Its next parking
 * call takes a free P or queues for one. Who is bound to its thread (pinned,
 * locked, inside a domain) waits there: Gs pinned to an M, and Gs of the same
 * domain, wait while one of theirs blocks undeclared; everybody else goes on.
 * A call costs its neighbours up to 1.25 slices; from a place that was found
 * three times in a row, and from a declared one, 0.2 ms or less.
 * thrum_config.max_threads bounds how many may block at once; what is beyond
 * keeps its P, and is reported once on stderr.
 */
/* Declares that the G may block its thread now. Nests. Calls in between are
 * allowed: a parking one takes a P back for its time.
 * Threads: in-G  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EFORKED */
THRUM_API int thrum_enter_blocking(void);

/* Ends the innermost thrum_enter_blocking; waits for a P if the outermost ends
 * and the P had left. No cancel or limit ends that wait.
 * Threads: in-G  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (without enter) THRUM_EFORKED */
THRUM_API int thrum_exit_blocking(void);

/* Ties this G and its M together until thrum_unlock_thread: the G runs nowhere
 * else, the M runs nothing else. Nests. For code that keeps state in the OS
 * thread: locale, signal mask, GL contexts, errno across parks. A G that ends
 * locked takes a thread of thrum's with it; one of the host's is just unlocked.
 * Threads: in-G  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (inside a domain) THRUM_EFORKED */
THRUM_API int thrum_lock_thread(void);

/* Undoes the innermost thrum_lock_thread.
 * Threads: in-G  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (not locked) THRUM_EFORKED */
THRUM_API int thrum_unlock_thread(void);

/* Pins the thread of the calling G, which must be locked to it
 * (thrum_lock_thread), to the CPUs of a mask: CPU n is bit n % 64 of word
 * n / 64, and there are `words` words. It lasts until the last unlock, or a
 * mask NULL: then the thread has the CPUs back that it had. Locked alone, a G
 * moves between CPUs as the kernel likes.
 * Threads: in-G  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_ENOTG THRUM_EPERM (not locked) THRUM_EINVAL (no CPU of the
 *   mask may be used, or one above 1023) */
THRUM_API int thrum_pin_cpu(const uint64_t* mask, uint32_t words);

/* Sets the CPUs of every thread that rt has made or will make; NULL: those of
 * the calling thread. Threads that the host lends, and those that are pinned for
 * a locked G, keep theirs.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (as above) THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_pin_threads(thrum_rt* rt, const uint64_t* mask,
                                uint32_t words);

/* Reads the CPUs that the calling thread may use into a mask of `words` words,
 * and returns their number, also of those that do not fit. NULL with 0 words:
 * just counts.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (NULL with words) */
THRUM_API int thrum_cpus(uint64_t* mask, uint32_t words);

/* ---- Memory -----------------------------------------------------------------
 * A general allocator with a cache per P; outside a G it serves any thread.
 * Memory belongs to the process and may outlive the runtime. Never mix it with
 * malloc and free (examples/learn: pipeline).
 */
/* Returns `size` bytes, 16-byte aligned, uninitialised; NULL if out of memory.
 * Size 0 gives a pointer that may only be freed. Owner: the caller.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_alloc(size_t size);

/* Returns zeroed memory for `count` elements of `size` bytes; NULL also when
 * the product overflows.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_calloc(size_t count, size_t size);

/* Resizes p to `size` bytes, moving it if need be; p NULL allocates. NULL: out
 * of memory, and p is still valid and the caller's. Size 0 does not free.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_realloc(void* p, size_t size);

/* Gives memory back, from any thread, whoever allocated it.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_free(void* p);

/* Returns `size` zeroed bytes at a multiple of `align`, a power of two.
 * thrum_realloc may move them to a 16-byte boundary. NULL: out of memory, or
 * `align` is no power of two.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: NULL */
THRUM_API void* thrum_alloc_aligned(size_t size, size_t align);

/* Returns how many bytes may be used at p, at least as many as were asked for;
 * 0 for NULL.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API size_t thrum_usable_size(const void* p);

/* ---- Channels and select ----------------------------------------------------
 * A channel carries elements of one size, in order, between Gs and threads.
 * Capacity 0 is a rendezvous: a send completes when a receiver takes the
 * element. Elements move by memcpy. Waiters are served first come, first
 * served (examples/learn: ping_pong, pipeline, fan_in, select).
 *
 * A negative result of send, recv or select took and wrote nothing: the source
 * is still the caller's, the destination unchanged.
 *
 * Destruction safety, here and in the next chapter: the storage may be reused,
 * and a channel released, as soon as its owner has seen the effect of the last
 * operation on it (the last value was received, thrum_wg_wait returned, the
 * lock was taken). The other side's call, which may still be on its way out,
 * touches the object no more.
 */
typedef struct thrum_chan thrum_chan;

/* Makes an open channel for elements of `elem_size` bytes (0 is allowed) with
 * a buffer of `capacity` elements, and gives the caller one reference.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM */
THRUM_API int thrum_chan_new(uint32_t elem_size, uint32_t capacity,
                             thrum_chan** out);

/* Adds a reference. Whoever uses a channel holds one, or knows who does.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_chan_retain(thrum_chan* ch);

/* Releases a reference; the last one frees the channel and what is left in its
 * buffer (thrum_chan_set_drop in <thrum/host.h> sees those elements).
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_chan_release(thrum_chan* ch);

/* Sends a copy of the element at `src` (NULL is allowed if elem_size is 0).
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_chan_send(thrum_chan* ch, const void* src,
                              int64_t deadline_ns);

/* Receives one element into `dst` (NULL is allowed if elem_size is 0). A
 * closed channel gives THRUM_ECLOSED once it is drained.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_chan_recv(thrum_chan* ch, void* dst, int64_t deadline_ns);

/* Closes the channel: waiting and later sends give THRUM_ECLOSED; receivers
 * get what is buffered, then THRUM_ECLOSED.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED (it was closed already) */
THRUM_API int thrum_chan_close(thrum_chan* ch);

/* Returns how many elements are buffered now; 0 for NULL.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API uint32_t thrum_chan_len(thrum_chan* ch);

/* Returns the capacity that the channel was made with; 0 for NULL.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API uint32_t thrum_chan_cap(thrum_chan* ch);

/* One arm of a select. */
typedef struct thrum_case {
  thrum_chan* chan; /* NULL: never ready */
  void* elem;       /* send: source; recv: destination */
  uint32_t op;      /* THRUM_SEND | THRUM_RECV */
  int32_t result;   /* written for the chosen arm only: 0 or THRUM_ECLOSED */
} thrum_case;

#define THRUM_SEND 1u
#define THRUM_RECV 2u

/* Waits until one of `n` (at most 65535) arms can proceed, does that one, and
 * returns its index; among several ready arms the choice is uniform. A closed
 * channel is ready. A channel may stand in several arms, but a select never
 * pairs with itself. No live arm (n 0, or every chan NULL): THRUM_EDEADLOCK
 * with THRUM_FOREVER, else as if nothing became ready.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EDEADLOCK THRUM_EFORKED */
THRUM_API int thrum_select(thrum_case* cases, uint32_t n, int64_t deadline_ns);

/* ---- Synchronisation --------------------------------------------------------
 * Storage is the caller's, all-zero is valid (or THRUM_MUTEX_INIT and so on),
 * nothing needs to be destroyed, and an object must not move while in use. Gs
 * and threads may wait on the same object. Destruction safety is stated in the
 * chapter before (examples/learn: fan_in).
 */
typedef struct thrum_mutex {
  uint64_t opaque[4];
} thrum_mutex;
typedef struct thrum_rwmutex {
  uint64_t opaque[8];
} thrum_rwmutex;
typedef struct thrum_cond {
  uint64_t opaque[4];
} thrum_cond;
typedef struct thrum_wg {
  uint64_t opaque[4];
} thrum_wg;
typedef struct thrum_sem {
  uint64_t opaque[4];
} thrum_sem;
typedef struct thrum_once {
  uint64_t opaque[4];
} thrum_once;

/* clang-format off */
#define THRUM_MUTEX_INIT {{0}}
#define THRUM_RWMUTEX_INIT {{0}}
#define THRUM_COND_INIT {{0}}
#define THRUM_WG_INIT {{0}}
#define THRUM_SEM_INIT {{0}}
#define THRUM_ONCE_INIT {{0}}
/* clang-format on */

/* Locks. Whoever locks, G or thread, unlocks. With THRUM_FOREVER neither a
 * cancel nor a limit ends the wait. The mutex becomes first come, first served
 * once a waiter has waited long.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EDEADLOCK (the caller holds it; with THRUM_TRY
 *   THRUM_EAGAIN) THRUM_EFORKED */
THRUM_API int thrum_mutex_lock(thrum_mutex* m, int64_t deadline_ns);

/* Unlocks.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (not locked by the caller) */
THRUM_API int thrum_mutex_unlock(thrum_mutex* m);

/* Locks for reading, together with other readers. Not recursive: a waiting
 * writer stops new readers. With THRUM_FOREVER neither a cancel nor a limit
 * ends the wait.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EDEADLOCK (the caller holds it for writing; with
 *   THRUM_TRY THRUM_EAGAIN) THRUM_EFORKED */
THRUM_API int thrum_rwmutex_rlock(thrum_rwmutex* m, int64_t deadline_ns);

/* Ends a read lock.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (no reader holds it) */
THRUM_API int thrum_rwmutex_runlock(thrum_rwmutex* m);

/* Locks for writing, alone. A reader must not upgrade: it would wait for
 * itself. With THRUM_FOREVER neither a cancel nor a limit ends the wait.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EDEADLOCK (the caller holds it for writing; with
 *   THRUM_TRY THRUM_EAGAIN) THRUM_EFORKED */
THRUM_API int thrum_rwmutex_lock(thrum_rwmutex* m, int64_t deadline_ns);

/* Ends a write lock.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (not locked for writing by the caller) */
THRUM_API int thrum_rwmutex_unlock(thrum_rwmutex* m);

/* Unlocks m, waits for a signal, locks m again. It returns with m held in every
 * case but THRUM_EINVAL and THRUM_EPERM. The re-lock is never interrupted. All
 * waiters of one cond use one mutex. Check the condition in a loop.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM (m is not held by the caller) THRUM_ENOMEM
 *   THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_cond_wait(thrum_cond* c, thrum_mutex* m,
                              int64_t deadline_ns);

/* Wakes one waiter, if there is one. The mutex need not be held.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_cond_signal(thrum_cond* c);

/* Wakes all waiters.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_cond_broadcast(thrum_cond* c);

/* Adds `delta` to the counter; reaching 0 wakes the waiters. Add before the
 * spawn that the wait is for, not inside it.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also below 0 or above INT32_MAX; nothing changes) */
THRUM_API int thrum_wg_add(thrum_wg* wg, int32_t delta);

/* Adds -1.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also below 0) */
THRUM_API int thrum_wg_done(thrum_wg* wg);

/* Waits until the counter is 0.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_wg_wait(thrum_wg* wg, int64_t deadline_ns);

/* Adds `n` permits and wakes up to n waiters, in the order of their arrival. A
 * zeroed semaphore has none.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also above 2^40 permits; nothing changes) */
THRUM_API int thrum_sem_release(thrum_sem* s, uint32_t n);

/* Takes one permit.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_EAGAIN THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EFORKED */
THRUM_API int thrum_sem_acquire(thrum_sem* s, int64_t deadline_ns);

/* Runs fn(arg) if no call on `o` has done so, and returns 0 when fn has
 * returned, to every caller. fn may park; callers that wait for it meanwhile
 * are not interruptible.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EDEADLOCK (from fn itself) THRUM_EFORKED */
THRUM_API int thrum_once_do(thrum_once* o, thrum_fn fn, void* arg);

#ifdef __cplusplus
}
#endif
#endif
