/* misuse.c: what a host must not do, as a matrix: every function of the library
 * with NULL, garbage, stale and foreign handles, from a thread, from a G of
 * each kind of runtime, and after stop. Each cell has its documented code; none
 * may crash, hang or harm the runtime. A function without a row fails: see
 * every_function_has_a_row. */
#include "../support/check.h"

#include <dlfcn.h>
#include <limits.h>
#include <thrum/host.h>
#include <thrum/net.h>
#include <thrum/os.h>
#include <thrum/place.h>
#if __has_include(<thrum/observe.h>)
#include <thrum/observe.h>
#define OBSERVES 1
#else
#define OBSERVES 0
#endif

#include "../support/rt.h"

static void nothing(void* arg) { (void)arg; }
static void never(void* arg) {
  (void)arg;
  check_fail(__FILE__, __LINE__, "a callback of a refused call was called");
}
static void never_each(void* arg, const thrum_g_info* info) {
  (void)info;
  never(arg);
}
static void see_each(void* arg, const thrum_g_info* info) {
  (void)arg;
  CHECK(info->g != 0);
}
#if OBSERVES
static void never_p(void* arg, const thrum_p_stats* stats) {
  (void)stats;
  never(arg);
}
static int never_write(void* arg, const char* bytes, size_t n) {
  (void)bytes, (void)n;
  never(arg);
  return 1;
}
#define OBSERVE_ROWS(R)                                                        \
  R(thrum_live, "rt NULL", thrum_live(NULL), THRUM_EINVAL, SOME)               \
  R(thrum_memory_report, "rt NULL", thrum_memory_report(NULL, NULL, 0),        \
    THRUM_EINVAL, SOME)                                                        \
  R(thrum_memory_report, "text NULL", thrum_memory_report(w->rt, NULL, 1),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_sched_threads, "rt NULL", thrum_sched_threads(NULL, 0, 0),           \
    THRUM_EINVAL, ANY)                                                         \
  R(thrum_sched_threads, "nice", thrum_sched_threads(w->rt, 20, 0),            \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_os_report, "text NULL", thrum_os_report(w->rt, NULL, 1),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_high_water, "rt NULL", thrum_high_water(NULL, 0), THRUM_EINVAL,      \
    THRUM_EINVAL)                                                              \
  R(thrum_high_water, "g 0", thrum_high_water(w->rt, 0), THRUM_EINVAL,         \
    THRUM_EINVAL)                                                              \
  R(thrum_trim, "rt NULL", thrum_trim(NULL), THRUM_EINVAL, 0)                  \
  R(thrum_p_each, "rt NULL",                                                   \
    thrum_p_each(NULL, thrum_self() ? see_p : never_p, NULL), THRUM_EINVAL, 0) \
  R(thrum_p_each, "fn NULL", thrum_p_each(w->rt, NULL, NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_watchdog, "rt NULL, off", thrum_watchdog(NULL, -1, NULL, NULL),      \
    THRUM_EINVAL, ANY)                                                         \
  R(thrum_stats_get, "rt NULL",                                                \
    thrum_stats_get(NULL, &(thrum_stats){.struct_size = sizeof(thrum_stats)}), \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_stats_get, "out NULL", thrum_stats_get(w->rt, NULL), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_stats_get, "struct_size 0",                                          \
    thrum_stats_get(w->rt, &(thrum_stats){.struct_size = 0}), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_report, "rt NULL",                                                   \
    thrum_report(NULL, THRUM_REPORT_METRICS, THRUM_FORMAT_JSON, NULL, 0),      \
    THRUM_EINVAL, SOME)                                                        \
  R(thrum_report, "text NULL",                                                 \
    thrum_report(w->rt, THRUM_REPORT_METRICS, THRUM_FORMAT_JSON, NULL, 1),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_report, "no such report",                                            \
    thrum_report(w->rt, 77, THRUM_FORMAT_JSON, NULL, 0), THRUM_EINVAL,         \
    THRUM_EINVAL)                                                              \
  R(thrum_schedtrace, "rt NULL", thrum_schedtrace(NULL, 0), THRUM_EINVAL, ANY) \
  R(thrum_schedtrace, "too often", thrum_schedtrace(w->rt, 999999),            \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_debug_socket, "rt NULL", thrum_debug_socket(NULL, "x"),              \
    THRUM_EINVAL, ANY)                                                         \
  R(thrum_debug_socket, "path NULL", thrum_debug_socket(w->rt, NULL),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_trace_start, "rt NULL", thrum_trace_start(NULL, 64), THRUM_EINVAL,   \
    0)                                                                         \
  R(thrum_trace_stop, "rt NULL", thrum_trace_stop(NULL), THRUM_EINVAL, 0)      \
  R(thrum_trace_write, "write NULL",                                           \
    thrum_trace_write(w->rt, THRUM_FOREVER, NULL, NULL), THRUM_EINVAL,         \
    THRUM_EINVAL)                                                              \
  R(thrum_trace_write, "last_ns < 0",                                          \
    thrum_trace_write(w->rt, -1, never_write, NULL), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_profile_rate, "rt NULL",                                             \
    thrum_profile_rate(NULL, THRUM_PROFILE_MUTEX, 0), THRUM_EINVAL, SOME)      \
  R(thrum_profile_rate, "no such profile", thrum_profile_rate(w->rt, 9, 1),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_profile_rate, "rate",                                                \
    thrum_profile_rate(w->rt, THRUM_PROFILE_MUTEX, 1000001), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_profile_write, "write NULL",                                         \
    thrum_profile_write(w->rt, THRUM_PROFILE_MUTEX, THRUM_FORMAT_PPROF, NULL,  \
                        NULL),                                                 \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_profile_write, "no such format",                                     \
    thrum_profile_write(w->rt, THRUM_PROFILE_MUTEX, 77, never_write, NULL),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_waits_start, "rt NULL", thrum_waits_start(NULL, 0), THRUM_EINVAL, 0) \
  R(thrum_waits_start, "column < 0", thrum_waits_start(w->rt, -1),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_waits_get, "out NULL", thrum_waits_get(w->rt, 0, NULL),              \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_waits_get, "struct_size 0",                                          \
    thrum_waits_get(w->rt, 0, &(thrum_waits){.struct_size = 0}), THRUM_EINVAL, \
    THRUM_EINVAL)                                                              \
  R(thrum_trace_on_stall, "rt NULL", thrum_trace_on_stall(NULL, NULL, 0),      \
    THRUM_EINVAL, ANY)                                                         \
  R(thrum_trace_on_stall, "last_ns < 0",                                       \
    thrum_trace_on_stall(w->rt, NULL, -1), THRUM_EINVAL, THRUM_EINVAL)         \
  R(thrum_stuck_each, "rt NULL", thrum_stuck_each(NULL, NULL, NULL),           \
    THRUM_EINVAL, SOME)                                                        \
  R(thrum_stuck_report, "rt NULL", thrum_stuck_report(NULL), THRUM_EINVAL,     \
    SOME)                                                                      \
  R(thrum_chan_counted, "ch NULL", thrum_chan_counted(NULL), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_waker_add, "object NULL", thrum_waker_add(w->rt, NULL, w->stale),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_waker_add, "g of another runtime",                                   \
    thrum_waker_add(w->rt, &w->wg, w->alien), THRUM_EINVAL, THRUM_EINVAL)      \
  R(thrum_waker_add, "g 0", thrum_waker_add(w->rt, &w->wg, 0), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_waker_remove, "object NULL", thrum_waker_remove(w->rt, NULL, 0),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_trace_hash, "rt NULL", DONE(thrum_trace_hash(NULL)), 0, 0)
static void see_p(void* arg, const thrum_p_stats* stats) {
  (void)arg;
  CHECK(stats->struct_size >= 8);
}
#else
#define OBSERVE_ROWS(R)
#endif
static void never_elem(void* arg, void* elem) {
  (void)elem;
  never(arg);
}
static int never_visit(void* arg, const void* elem) {
  (void)elem;
  never(arg);
  return 0;
}

/* What the rows use. */
struct world {
  thrum_rt* rt;         /* the one under test */
  thrum_rt* other;      /* another one, running */
  thrum_g stale, alien; /* an ended G of rt; a living G of other */
  thrum_g gone;         /* an ended G of other */
  thrum_chan* ch;       /* elements of 4 bytes, one fits, none in it */
  thrum_chan* closed;
  thrum_domain* domain;  /* of rt, not pumped */
  thrum_domain* foreign; /* of other */
  thrum_domain* shut;    /* of rt, closed */
  thrum_mutex unlocked, *theirs;
  thrum_rwmutex rw;
  thrum_cond cond;
  thrum_wg wg;
  thrum_sem sem;
  uint64_t none; /* a mask of no CPU */
  thrum_once once;
};

static thrum_config config_with(uint32_t size, uint32_t flags) {
  thrum_config c;
  memset(&c, 0, sizeof c);
  c.struct_size = size;
  c.flags = flags;
  return c;
}
static int new_with(uint32_t size, uint32_t flags) {
  thrum_config c = config_with(size, flags);
  thrum_rt* rt = NULL;
  return thrum_rt_new(&rt, &c);
}
struct opts_newer {
  thrum_spawn_opts known;
  uint64_t later;
};
enum opts_field { SIZE, AFFINITY, PRIORITY, FLAGS, DOMAIN, LATER };
static int spawn_with(thrum_rt* rt, enum opts_field field, uint64_t value,
                      thrum_fn fn) {
  struct opts_newer o;
  memset(&o, 0, sizeof o);
  o.known.struct_size = sizeof o.known;
  switch (field) {
    case SIZE:
      o.known.struct_size = (uint32_t)value;
      break;
    case AFFINITY:
      o.known.affinity = (uint32_t)value;
      break;
    case PRIORITY:
      o.known.priority = (uint32_t)value;
      break;
    case FLAGS:
      o.known.flags = (uint32_t)value;
      break;
    case DOMAIN:
      o.known.domain = (thrum_domain*)(uintptr_t)value;
      break;
    case LATER:
      o.known.struct_size = sizeof o;
      o.later = value;
      break;
  }
  return thrum_spawn(rt, &o.known, fn, NULL, NULL);
}
/* Stops the world and starts it again, twice over. */
static int nested_stop(thrum_rt* rt) {
  int rc = thrum_world_stop(rt, THRUM_FOREVER);
  if (rc)
    return rc;
  CHECK_EQ(thrum_world_stop(rt, THRUM_TRY), 0);
  CHECK_EQ(thrum_world_start(rt), 0);
  return thrum_world_start(rt);
}
static int domain_with(thrum_rt* rt, uint32_t size, uint32_t flags) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = size;
  ops.flags = flags;
  int rc = thrum_domain_new(rt, &ops, NULL, &d);
  thrum_domain_release(d);
  return rc;
}
static int select_with(thrum_chan* ch, void* elem, uint32_t op,
                       int64_t deadline) {
  thrum_case c = {ch, elem, op, 12345};
  int rc = thrum_select(&c, 1, deadline);
  CHECK_EQ(c.result, 12345);
  return rc;
}
static int enter_and_exit(void) {
  int rc = thrum_enter_blocking();
  return rc ? rc : thrum_exit_blocking();
}
static int lock_and_unlock_thread(void) {
  int rc = thrum_lock_thread();
  return rc ? rc : thrum_unlock_thread();
}
static uint32_t key;
static int elem;
static thrum_domain* unwanted;

/* Answers that are no error codes. */
#define SOME (1 << 20)     /* >= 0 */
#define ANY (1 << 21)      /* whatever, as long as it comes back */
#define NEGATIVE (1 << 22) /* an error that the contract does not name */
#define DONE(call) ((call), 0)

/* function, what is wrong, the call, the answer to a thread, the answer to a G
 * of w->rt */
#define ROWS(R)                                                                \
  R(thrum_version, "fine", thrum_version(), SOME, SOME)                        \
  R(thrum_version_string, "fine", thrum_version_string() != NULL, 1, 1)        \
  R(thrum_build_info, "fine", thrum_build_info() != NULL, 1, 1)                \
  R(thrum_strerror, "unknown code", thrum_strerror(INT_MIN) != NULL, 1, 1)     \
  R(thrum_errname, "unknown code", thrum_errname(INT_MIN) != NULL, 1, 1)       \
  R(thrum_now, "fine", thrum_now(), SOME, SOME)                                \
  R(thrum_after, "below zero", thrum_after(INT64_MIN), SOME, SOME)             \
  R(thrum_config_init, "NULL", DONE(thrum_config_init(NULL, 40)), 0, 0)        \
  R(thrum_config_init, "NULL, no size", DONE(thrum_config_init(NULL, 0)), 0,   \
    0)                                                                         \
  R(thrum_rt_new, "out NULL", thrum_rt_new(NULL, NULL), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_rt_new, "struct_size 0", new_with(0, 0), THRUM_EINVAL, THRUM_EINVAL) \
  R(thrum_rt_new, "unknown flag", new_with(sizeof(thrum_config), 8),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_rt_new, "all flags", new_with(sizeof(thrum_config), UINT32_MAX),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_rt_stop, "rt NULL", thrum_rt_stop(NULL, THRUM_TRY), THRUM_EINVAL,    \
    THRUM_EDEADLOCK)                                                           \
  R(thrum_rt_retain, "NULL", DONE(thrum_rt_retain(NULL)), 0, 0)                \
  R(thrum_rt_free, "NULL", DONE(thrum_rt_free(NULL)), 0, 0)                    \
  R(thrum_rt_current, "anywhere",                                              \
    thrum_rt_current() == (thrum_self() ? w->rt : NULL), 1, 1)                 \
  R(thrum_run, "rt NULL", thrum_run(NULL, never, NULL), THRUM_EINVAL,          \
    THRUM_EPERM)                                                               \
  R(thrum_run, "fn NULL", thrum_run(w->rt, NULL, NULL), THRUM_EINVAL,          \
    NEGATIVE)                                                                  \
  R(thrum_run, "in a G",                                                       \
    thrum_self() ? thrum_run(w->rt, never, NULL) : THRUM_EPERM, THRUM_EPERM,   \
    THRUM_EPERM)                                                               \
  R(thrum_pump, "rt NULL", thrum_pump(NULL, THRUM_TRY), THRUM_EINVAL,          \
    THRUM_EPERM)                                                               \
  R(thrum_pump, "in a G",                                                      \
    thrum_self() ? thrum_pump(w->rt, THRUM_TRY) : THRUM_EPERM, THRUM_EPERM,    \
    THRUM_EPERM)                                                               \
  R(thrum_next_wake, "rt NULL", thrum_next_wake(NULL), THRUM_EINVAL, SOME)     \
  R(thrum_wake_fd, "rt NULL", thrum_wake_fd(NULL), THRUM_EINVAL, ANY)          \
  R(thrum_procs, "rt NULL", thrum_procs(NULL), THRUM_EINVAL, SOME)             \
  R(thrum_set_procs, "rt NULL", thrum_set_procs(NULL, 0), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_set_procs, "none", thrum_set_procs(w->rt, 0), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_set_procs, "far too many", thrum_set_procs(w->rt, UINT32_MAX),       \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_available_procs, "fine", thrum_available_procs(), SOME, SOME)        \
  R(thrum_spawn, "rt NULL", thrum_spawn(NULL, NULL, nothing, NULL, NULL),      \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_spawn, "fn NULL", thrum_spawn(w->rt, NULL, NULL, NULL, NULL),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_spawn, "struct_size 0", spawn_with(w->rt, SIZE, 0, never),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_spawn, "newer options", spawn_with(w->rt, LATER, 1, never),          \
    THRUM_E2BIG, THRUM_E2BIG)                                                  \
  R(thrum_spawn, "unknown affinity", spawn_with(w->rt, AFFINITY, 3, never),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_spawn, "unknown priority", spawn_with(w->rt, PRIORITY, 3, never),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_spawn, "unknown flag", spawn_with(w->rt, FLAGS, 2, never),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_spawn, "pinned from outside",                                        \
    thrum_self() ? THRUM_ENOTG                                                 \
                 : spawn_with(w->rt, AFFINITY, THRUM_PIN_M, never),            \
    THRUM_ENOTG, THRUM_ENOTG)                                                  \
  R(thrum_spawn, "pinned elsewhere",                                           \
    spawn_with(w->other, AFFINITY, THRUM_PIN_M, never), THRUM_ENOTG,           \
    THRUM_ENOTG)                                                               \
  R(thrum_spawn, "another's domain",                                           \
    spawn_with(w->rt, DOMAIN, (uintptr_t)w->foreign, never), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_spawn, "closed domain",                                              \
    spawn_with(w->rt, DOMAIN, (uintptr_t)w->shut, never), THRUM_ECLOSED,       \
    THRUM_ECLOSED)                                                             \
  R(thrum_join, "rt NULL", thrum_join(NULL, w->stale, THRUM_TRY),              \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_join, "no G", thrum_join(w->rt, 0, THRUM_FOREVER), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_join, "all bits", thrum_join(w->rt, UINT64_MAX, THRUM_FOREVER),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_join, "another runtime's",                                           \
    thrum_join(w->rt, w->alien, THRUM_FOREVER), THRUM_EINVAL, THRUM_EINVAL)    \
  R(thrum_join, "another runtime's, ended",                                    \
    thrum_join(w->rt, w->gone, THRUM_FOREVER), THRUM_EINVAL, THRUM_EINVAL)     \
  R(thrum_join, "itself", thrum_join(w->rt, thrum_self(), THRUM_FOREVER),      \
    THRUM_EINVAL, THRUM_EDEADLOCK)                                             \
  R(thrum_join, "stale", thrum_join(w->rt, w->stale, THRUM_FOREVER), 0, 0)     \
  R(thrum_cancel, "rt NULL", thrum_cancel(NULL, w->stale), THRUM_EINVAL,       \
    THRUM_ESTALE)                                                              \
  R(thrum_cancel, "no G", thrum_cancel(w->rt, 0), THRUM_EINVAL, THRUM_EINVAL)  \
  R(thrum_cancel, "all bits", thrum_cancel(w->rt, UINT64_MAX), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_cancel, "another runtime's", thrum_cancel(w->rt, w->alien),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_cancel, "another runtime's, ended", thrum_cancel(w->rt, w->gone),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_cancel, "stale", thrum_cancel(w->rt, w->stale), THRUM_ESTALE,        \
    THRUM_ESTALE)                                                              \
  R(thrum_cancelled, "anywhere", thrum_cancelled(), THRUM_ENOTG, 0)            \
  R(thrum_cancel_clear, "anywhere", thrum_cancel_clear(), THRUM_ENOTG, 0)      \
  R(thrum_shield, "below zero", thrum_shield(-1), THRUM_ENOTG, THRUM_EINVAL)   \
  R(thrum_shield, "far below zero", thrum_shield(INT32_MIN), THRUM_ENOTG,      \
    THRUM_EINVAL)                                                              \
  R(thrum_limit, "anywhere", thrum_limit(THRUM_FOREVER), THRUM_ENOTG, SOME)    \
  R(thrum_self, "anywhere", thrum_self() != 0, 0, 1)                           \
  R(thrum_yield, "anywhere", thrum_yield(), THRUM_ENOTG, 0)                    \
  R(thrum_sleep, "below zero", thrum_sleep(INT64_MIN), 0, 0)                   \
  R(thrum_check, "anywhere", thrum_check(), THRUM_ENOTG, 0)                    \
  R(thrum_enter_blocking, "anywhere", enter_and_exit(), THRUM_ENOTG, 0)        \
  R(thrum_exit_blocking, "without enter", thrum_exit_blocking(), THRUM_ENOTG,  \
    THRUM_EPERM)                                                               \
  R(thrum_lock_thread, "anywhere", lock_and_unlock_thread(), THRUM_ENOTG, 0)   \
  R(thrum_unlock_thread, "not locked", thrum_unlock_thread(), THRUM_ENOTG,     \
    THRUM_EPERM)                                                               \
  R(thrum_alloc, "nothing", DONE(thrum_free(thrum_alloc(0))), 0, 0)            \
  R(thrum_calloc, "nothing", DONE(thrum_free(thrum_calloc(0, 0))), 0, 0)       \
  R(thrum_realloc, "nothing", DONE(thrum_free(thrum_realloc(NULL, 0))), 0, 0)  \
  R(thrum_free, "NULL", DONE(thrum_free(NULL)), 0, 0)                          \
  R(thrum_alloc_aligned, "align 0", thrum_alloc_aligned(64, 0) != NULL, 0, 0)  \
  R(thrum_alloc_aligned, "align 48", thrum_alloc_aligned(64, 48) != NULL, 0,   \
    0)                                                                         \
  R(thrum_usable_size, "NULL", (int)thrum_usable_size(NULL), 0, 0)             \
  R(thrum_heap_new, "out NULL", thrum_heap_new(NULL), THRUM_EINVAL,            \
    THRUM_EINVAL)                                                              \
  R(thrum_heap_alloc, "NULL", thrum_heap_alloc(NULL, 8) != NULL, 0, 0)         \
  R(thrum_heap_calloc, "NULL", thrum_heap_calloc(NULL, 8, 8) != NULL, 0, 0)    \
  R(thrum_heap_realloc, "NULL", thrum_heap_realloc(NULL, NULL, 8) != NULL, 0,  \
    0)                                                                         \
  R(thrum_heap_free, "NULL", DONE(thrum_heap_free(NULL, NULL)), 0, 0)          \
  R(thrum_heap_free, "heap NULL", DONE(thrum_heap_free(NULL, &elem)), 0, 0)    \
  R(thrum_heap_destroy, "NULL", thrum_heap_destroy(NULL), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_chan_new, "out NULL", thrum_chan_new(4, 1, NULL), THRUM_EINVAL,      \
    THRUM_EINVAL)                                                              \
  R(thrum_chan_retain, "NULL", DONE(thrum_chan_retain(NULL)), 0, 0)            \
  R(thrum_chan_release, "NULL", DONE(thrum_chan_release(NULL)), 0, 0)          \
  R(thrum_chan_send, "NULL", thrum_chan_send(NULL, &elem, THRUM_FOREVER),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_chan_send, "source NULL", thrum_chan_send(w->ch, NULL, THRUM_TRY),   \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_chan_send, "closed",                                                 \
    thrum_chan_send(w->closed, &elem, THRUM_FOREVER), THRUM_ECLOSED,           \
    THRUM_ECLOSED)                                                             \
  R(thrum_chan_recv, "NULL", thrum_chan_recv(NULL, &elem, THRUM_FOREVER),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_chan_recv, "destination NULL",                                       \
    thrum_chan_recv(w->ch, NULL, THRUM_TRY), THRUM_EINVAL, THRUM_EINVAL)       \
  R(thrum_chan_recv, "closed",                                                 \
    thrum_chan_recv(w->closed, &elem, THRUM_FOREVER), THRUM_ECLOSED,           \
    THRUM_ECLOSED)                                                             \
  R(thrum_chan_close, "NULL", thrum_chan_close(NULL), THRUM_EINVAL,            \
    THRUM_EINVAL)                                                              \
  R(thrum_chan_close, "twice", thrum_chan_close(w->closed), THRUM_ECLOSED,     \
    THRUM_ECLOSED)                                                             \
  R(thrum_chan_len, "NULL", thrum_chan_len(NULL), 0, 0)                        \
  R(thrum_chan_cap, "NULL", thrum_chan_cap(NULL), 0, 0)                        \
  R(thrum_select, "NULL", thrum_select(NULL, 1, THRUM_FOREVER), THRUM_EINVAL,  \
    THRUM_EINVAL)                                                              \
  R(thrum_select, "too many", thrum_select(NULL, 65536, THRUM_FOREVER),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_select, "far too many",                                              \
    thrum_select(NULL, UINT32_MAX, THRUM_FOREVER), THRUM_EINVAL, THRUM_EINVAL) \
  R(thrum_select, "no arm", thrum_select(NULL, 0, THRUM_FOREVER),              \
    THRUM_EDEADLOCK, THRUM_EDEADLOCK)                                          \
  R(thrum_select, "no live arm",                                               \
    select_with(NULL, &elem, THRUM_RECV, THRUM_FOREVER), THRUM_EDEADLOCK,      \
    THRUM_EDEADLOCK)                                                           \
  R(thrum_select, "no operation", select_with(w->ch, &elem, 0, THRUM_FOREVER), \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_select, "unknown operation",                                         \
    select_with(w->ch, &elem, 3, THRUM_FOREVER), THRUM_EINVAL, THRUM_EINVAL)   \
  R(thrum_select, "element NULL",                                              \
    select_with(w->ch, NULL, THRUM_SEND, THRUM_TRY), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_mutex_lock, "NULL", thrum_mutex_lock(NULL, THRUM_FOREVER),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_mutex_unlock, "NULL", thrum_mutex_unlock(NULL), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_mutex_unlock, "not locked", thrum_mutex_unlock(&w->unlocked),        \
    THRUM_EPERM, THRUM_EPERM)                                                  \
  R(thrum_mutex_unlock, "another's", thrum_mutex_unlock(w->theirs),            \
    THRUM_EPERM, THRUM_EPERM)                                                  \
  R(thrum_rwmutex_rlock, "NULL", thrum_rwmutex_rlock(NULL, THRUM_FOREVER),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_rwmutex_runlock, "NULL", thrum_rwmutex_runlock(NULL), THRUM_EINVAL,  \
    THRUM_EINVAL)                                                              \
  R(thrum_rwmutex_runlock, "not locked", thrum_rwmutex_runlock(&w->rw),        \
    THRUM_EPERM, THRUM_EPERM)                                                  \
  R(thrum_rwmutex_lock, "NULL", thrum_rwmutex_lock(NULL, THRUM_FOREVER),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_rwmutex_unlock, "NULL", thrum_rwmutex_unlock(NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_rwmutex_unlock, "not locked", thrum_rwmutex_unlock(&w->rw),          \
    THRUM_EPERM, THRUM_EPERM)                                                  \
  R(thrum_cond_wait, "NULL",                                                   \
    thrum_cond_wait(NULL, &w->unlocked, THRUM_FOREVER), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_cond_wait, "mutex NULL",                                             \
    thrum_cond_wait(&w->cond, NULL, THRUM_FOREVER), THRUM_EINVAL,              \
    THRUM_EINVAL)                                                              \
  R(thrum_cond_wait, "not locked",                                             \
    thrum_cond_wait(&w->cond, &w->unlocked, THRUM_FOREVER), THRUM_EPERM,       \
    THRUM_EPERM)                                                               \
  R(thrum_cond_wait, "another's",                                              \
    thrum_cond_wait(&w->cond, w->theirs, THRUM_FOREVER), THRUM_EPERM,          \
    THRUM_EPERM)                                                               \
  R(thrum_cond_signal, "NULL", thrum_cond_signal(NULL), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_cond_broadcast, "NULL", thrum_cond_broadcast(NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_wg_add, "NULL", thrum_wg_add(NULL, 1), THRUM_EINVAL, THRUM_EINVAL)   \
  R(thrum_wg_add, "below zero", thrum_wg_add(&w->wg, -1), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_wg_add, "far below zero", thrum_wg_add(&w->wg, INT32_MIN),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_wg_done, "NULL", thrum_wg_done(NULL), THRUM_EINVAL, THRUM_EINVAL)    \
  R(thrum_wg_done, "below zero", thrum_wg_done(&w->wg), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_wg_wait, "NULL", thrum_wg_wait(NULL, THRUM_FOREVER), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_sem_release, "NULL", thrum_sem_release(NULL, 1), THRUM_EINVAL,       \
    THRUM_EINVAL)                                                              \
  R(thrum_sem_acquire, "NULL", thrum_sem_acquire(NULL, THRUM_FOREVER),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_once_do, "NULL", thrum_once_do(NULL, never, NULL), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_once_do, "fn NULL", thrum_once_do(&w->once, NULL, NULL),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_domain_new, "rt NULL",                                               \
    domain_with(NULL, sizeof(thrum_domain_ops), 0), THRUM_EINVAL, 0)           \
  R(thrum_domain_new, "ops NULL",                                              \
    thrum_domain_new(w->rt, NULL, NULL, &unwanted), THRUM_EINVAL,              \
    THRUM_EINVAL)                                                              \
  R(thrum_domain_new, "struct_size 0", domain_with(w->rt, 0, 0), THRUM_EINVAL, \
    THRUM_EINVAL)                                                              \
  R(thrum_domain_new, "unknown flag",                                          \
    domain_with(w->rt, sizeof(thrum_domain_ops), 4), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_domain_retain, "NULL", DONE(thrum_domain_retain(NULL)), 0, 0)        \
  R(thrum_domain_release, "NULL", DONE(thrum_domain_release(NULL)), 0, 0)      \
  R(thrum_domain_leave, "not inside", thrum_domain_leave(), THRUM_ENOTG,       \
    THRUM_EPERM)                                                               \
  R(thrum_domain_enter, "not left", thrum_domain_enter(), THRUM_ENOTG,         \
    THRUM_EPERM)                                                               \
  R(thrum_domain_pump, "NULL", thrum_domain_pump(NULL, THRUM_TRY),             \
    THRUM_EINVAL, NEGATIVE)                                                    \
  R(thrum_domain_pump, "not pumped", thrum_domain_pump(w->domain, THRUM_TRY),  \
    THRUM_EINVAL, NEGATIVE)                                                    \
  R(thrum_domain_wake_fd, "NULL", thrum_domain_wake_fd(NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_domain_close, "NULL", thrum_domain_close(NULL), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_domain_close, "twice", thrum_domain_close(w->shut), THRUM_ECLOSED,   \
    THRUM_ECLOSED)                                                             \
  R(thrum_park, "anywhere", thrum_park(NULL, THRUM_TRY), THRUM_ENOTG,          \
    THRUM_EAGAIN)                                                              \
  R(thrum_unpark, "rt NULL", thrum_unpark(NULL, w->stale), THRUM_EINVAL,       \
    THRUM_ESTALE)                                                              \
  R(thrum_unpark, "no G", thrum_unpark(w->rt, 0), THRUM_EINVAL, THRUM_EINVAL)  \
  R(thrum_unpark, "another runtime's", thrum_unpark(w->rt, w->alien),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_unpark, "stale", thrum_unpark(w->rt, w->stale), THRUM_ESTALE,        \
    THRUM_ESTALE)                                                              \
  R(thrum_local_new, "out NULL", thrum_local_new(never, NULL), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_local_set, "no such key", thrum_local_set(UINT32_MAX, NULL),         \
    THRUM_ENOTG, THRUM_EINVAL)                                                 \
  R(thrum_local_set, "anywhere", thrum_local_set(key, NULL), THRUM_ENOTG, 0)   \
  R(thrum_local_get, "no such key", thrum_local_get(UINT32_MAX) == NULL, 1, 1) \
  R(thrum_g_each, "rt NULL",                                                   \
    thrum_g_each(NULL, thrum_self() ? see_each : never_each, NULL),            \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_g_each, "fn NULL", thrum_g_each(w->rt, NULL, NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_stack, "anywhere", thrum_stack(NULL, NULL), THRUM_ENOTG, 0)          \
  R(thrum_on_thread, "rt NULL", thrum_on_thread(NULL, never, never, NULL),     \
    THRUM_EINVAL, NEGATIVE)                                                    \
  R(thrum_on_thread, "too late", thrum_on_thread(w->rt, never, never, NULL),   \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_world_stop, "rt NULL", nested_stop(NULL), THRUM_EINVAL, 0)           \
  R(thrum_world_start, "rt NULL", thrum_world_start(NULL), THRUM_EINVAL,       \
    THRUM_EPERM)                                                               \
  R(thrum_world_start, "not stopped", thrum_world_start(w->rt), THRUM_EPERM,   \
    THRUM_EPERM)                                                               \
  R(thrum_pin_cpu, "not locked", thrum_pin_cpu(NULL, 0), THRUM_ENOTG,          \
    THRUM_EPERM)                                                               \
  R(thrum_pin_threads, "rt NULL", thrum_pin_threads(NULL, NULL, 0),            \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_pin_threads, "no CPU", thrum_pin_threads(w->rt, &w->none, 1),        \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_cpus, "NULL", thrum_cpus(NULL, 1), THRUM_EINVAL, THRUM_EINVAL)       \
  R(thrum_chan_set_drop, "NULL", thrum_chan_set_drop(NULL, never_elem, NULL),  \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_chan_each, "NULL", thrum_chan_each(NULL, never_visit, NULL),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_preempt_enable, "rt NULL, no such signal",                           \
    thrum_preempt_enable(NULL, 1), THRUM_EINVAL, NEGATIVE)                     \
  R(thrum_preempt_enable, "not a real-time signal",                            \
    thrum_preempt_enable(w->rt, SIGUSR1), NEGATIVE, NEGATIVE)                  \
  R(thrum_preempt_disable, "rt NULL", thrum_preempt_disable(NULL),             \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_preempt_disable, "off", thrum_preempt_disable(w->rt), 0, 0)          \
  R(thrum_overflow_enable, "rt NULL", thrum_overflow_enable(NULL),             \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_overflow_enable, "twice", thrum_overflow_enable(w->rt), 0, 0)        \
  R(thrum_overflow_disable, "rt NULL", thrum_overflow_disable(NULL),           \
    THRUM_EINVAL, 0)                                                           \
  R(thrum_overflow_disable, "twice", thrum_overflow_disable(w->rt), 0, 0)      \
  R(thrum_preempt_region, "empty", thrum_preempt_region(&elem, &elem, 0),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_preempt_region, "unknown flag",                                      \
    thrum_preempt_region(&elem, &elem + 1, 2), THRUM_EINVAL, THRUM_EINVAL)     \
  R(thrum_preempt_region, "everything",                                        \
    thrum_preempt_region(NULL, (void*)UINTPTR_MAX, 0), THRUM_EINVAL,           \
    THRUM_EINVAL)                                                              \
  R(thrum_preempt_forget, "never declared",                                    \
    thrum_preempt_forget(&elem, &elem + 1), THRUM_ENOENT, THRUM_ENOENT)        \
  R(thrum_preempt_hold, "below 0", thrum_preempt_hold(-1), THRUM_ENOTG,        \
    THRUM_EINVAL)                                                              \
  R(thrum_preempt_hold, "not 1", thrum_preempt_hold(3), THRUM_ENOTG,           \
    THRUM_EINVAL)

/* What the rows of <thrum/net.h> use. */
static thrum_addr addr, nowhere, loopback;
static char text[8];
static thrum_buf piece = {text, sizeof text};
static thrum_listener* no_listener;
static thrum_conn* no_conn;
static thrum_udp* no_udp;
static thrum_fd* no_fd;
#define NET_ROWS(R)                                                            \
  R(thrum_addr_parse, "out NULL", thrum_addr_parse(NULL, "::1", 1),            \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_addr_parse, "text NULL", thrum_addr_parse(&addr, NULL, 1),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_addr_parse, "a name", thrum_addr_parse(&addr, "localhost", 1),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_addr_text, "NULL", thrum_addr_text(NULL, text, 8), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_addr_text, "text NULL", thrum_addr_text(&loopback, NULL, 8),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_addr_text, "no address", thrum_addr_text(&nowhere, text, 8),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_addr_port, "NULL", thrum_addr_port(NULL), THRUM_EINVAL,              \
    THRUM_EINVAL)                                                              \
  R(thrum_addr_port, "no address", thrum_addr_port(&nowhere), 0, 0)            \
  R(thrum_resolve, "out NULL",                                                 \
    thrum_resolve(w->rt, "a", 1, NULL, 1, THRUM_TRY), THRUM_EINVAL,            \
    THRUM_EINVAL)                                                              \
  R(thrum_resolve, "n 0", thrum_resolve(w->rt, "a", 1, &addr, 0, THRUM_TRY),   \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_resolve, "rt NULL",                                                  \
    thrum_resolve(NULL, "::1", 1, &addr, 1, THRUM_TRY), THRUM_EINVAL, 1)       \
  R(thrum_tcp_listen, "out NULL", thrum_tcp_listen(w->rt, NULL, 0, 0, NULL),   \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_tcp_listen, "rt NULL",                                               \
    thrum_self() ? THRUM_EINVAL                                                \
                 : thrum_tcp_listen(NULL, NULL, 0, 0, &no_listener),           \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_listen, "out NULL", thrum_listen(w->rt, &loopback, 0, 0, NULL),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_listen, "at NULL", thrum_listen(w->rt, NULL, 0, 0, &no_listener),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_listen, "no address",                                                \
    thrum_listen(w->rt, &nowhere, 0, 0, &no_listener), THRUM_EINVAL,           \
    THRUM_EINVAL)                                                              \
  R(thrum_listen, "unknown flag",                                              \
    thrum_listen(w->rt, &loopback, 0, 4, &no_listener), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_listener_port, "NULL", thrum_listener_port(NULL), 0, 0)              \
  R(thrum_listener_fd, "NULL", thrum_listener_fd(NULL), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_accept, "NULL", thrum_accept(NULL, &no_conn, THRUM_FOREVER),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_accept, "out NULL", thrum_accept(NULL, NULL, THRUM_FOREVER),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_listener_close, "NULL", thrum_listener_close(NULL), THRUM_EINVAL,    \
    THRUM_EINVAL)                                                              \
  R(thrum_listener_release, "NULL", DONE(thrum_listener_release(NULL)), 0, 0)  \
  R(thrum_tcp_dial, "out NULL",                                                \
    thrum_tcp_dial(w->rt, NULL, 1, NULL, THRUM_TRY), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_tcp_dial, "rt NULL",                                                 \
    thrum_self() ? THRUM_EINVAL                                                \
                 : thrum_tcp_dial(NULL, NULL, 1, &no_conn, THRUM_TRY),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_dial, "out NULL", thrum_dial(w->rt, &loopback, NULL, THRUM_TRY),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_dial, "to NULL", thrum_dial(w->rt, NULL, &no_conn, THRUM_TRY),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_dial, "no address",                                                  \
    thrum_dial(w->rt, &nowhere, &no_conn, THRUM_TRY), THRUM_EINVAL,            \
    THRUM_EINVAL)                                                              \
  R(thrum_conn_adopt, "out NULL", thrum_conn_adopt(w->rt, 0, NULL),            \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_conn_adopt, "no descriptor", thrum_conn_adopt(w->rt, -1, &no_conn),  \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_read, "NULL", thrum_read(NULL, text, 8, THRUM_FOREVER),              \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_write, "NULL", thrum_write(NULL, text, 8, THRUM_FOREVER),            \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_write_some, "NULL", thrum_write_some(NULL, text, 8, THRUM_FOREVER),  \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_readv, "NULL", thrum_readv(NULL, &piece, 1, THRUM_FOREVER),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_writev, "NULL", thrum_writev(NULL, &piece, 1, THRUM_FOREVER),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_sendfile, "NULL", thrum_sendfile(NULL, 0, 0, 1, THRUM_FOREVER),      \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_conn_shutdown, "NULL", thrum_conn_shutdown(NULL), THRUM_EINVAL,      \
    THRUM_EINVAL)                                                              \
  R(thrum_conn_close, "NULL", thrum_conn_close(NULL), THRUM_EINVAL,            \
    THRUM_EINVAL)                                                              \
  R(thrum_conn_fd, "NULL", thrum_conn_fd(NULL), THRUM_EINVAL, THRUM_EINVAL)    \
  R(thrum_conn_retain, "NULL", DONE(thrum_conn_retain(NULL)), 0, 0)            \
  R(thrum_conn_release, "NULL", DONE(thrum_conn_release(NULL)), 0, 0)          \
  R(thrum_conn_local, "NULL", thrum_conn_local(NULL, &addr), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_conn_peer, "NULL", thrum_conn_peer(NULL, &addr), THRUM_EINVAL,       \
    THRUM_EINVAL)                                                              \
  R(thrum_conn_set, "NULL", thrum_conn_set(NULL, THRUM_OPT_NODELAY, 1),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_udp_open, "out NULL", thrum_udp_open(w->rt, &loopback, 0, NULL),     \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_udp_open, "at NULL", thrum_udp_open(w->rt, NULL, 0, &no_udp),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_udp_open, "no address", thrum_udp_open(w->rt, &nowhere, 0, &no_udp), \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_udp_open, "unknown flag",                                            \
    thrum_udp_open(w->rt, &loopback, 4, &no_udp), THRUM_EINVAL, THRUM_EINVAL)  \
  R(thrum_udp_connect, "NULL", thrum_udp_connect(NULL, &loopback),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_udp_connect, "to NULL", thrum_udp_connect(NULL, NULL), THRUM_EINVAL, \
    THRUM_EINVAL)                                                              \
  R(thrum_udp_send, "NULL",                                                    \
    thrum_udp_send(NULL, text, 1, NULL, THRUM_FOREVER), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_udp_recv, "NULL",                                                    \
    thrum_udp_recv(NULL, text, 1, NULL, THRUM_FOREVER), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_udp_local, "NULL", thrum_udp_local(NULL, &addr), THRUM_EINVAL,       \
    THRUM_EINVAL)                                                              \
  R(thrum_udp_fd, "NULL", thrum_udp_fd(NULL), THRUM_EINVAL, THRUM_EINVAL)      \
  R(thrum_udp_close, "NULL", thrum_udp_close(NULL), THRUM_EINVAL,              \
    THRUM_EINVAL)                                                              \
  R(thrum_udp_release, "NULL", DONE(thrum_udp_release(NULL)), 0, 0)            \
  R(thrum_poll_fd, "no events", thrum_poll_fd(w->rt, 0, 0, THRUM_TRY),         \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_poll_fd, "unknown events", thrum_poll_fd(w->rt, 0, 5, THRUM_TRY),    \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_poll_fd, "no descriptor", thrum_poll_fd(w->rt, -1, 1, THRUM_TRY),    \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_fd_new, "out NULL", thrum_fd_new(w->rt, 0, NULL), THRUM_EINVAL,      \
    THRUM_EINVAL)                                                              \
  R(thrum_fd_new, "no descriptor", thrum_fd_new(w->rt, -1, &no_fd),            \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_fd_wait, "NULL", thrum_fd_wait(NULL, 1, THRUM_FOREVER),              \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_fd_release, "NULL", DONE(thrum_fd_release(NULL)), 0, 0)

static const char* const no_args[] = {NULL};
static const char* const some_args[] = {"true", NULL};
static thrum_process* no_process;
static thrum_process_opts bad_stdio = {
    sizeof(thrum_process_opts), 0, NULL, NULL, {9, 0, 0}, {0, 0, 0}};
static thrum_process_opts bad_fd = {
    sizeof(thrum_process_opts), 0, NULL, NULL, {3, 0, 0}, {-1, 0, 0}};
static thrum_process_opts no_size;
static thrum_stat no_stat;
static int never_name(void* arg, const char* name, uint32_t kind) {
  (void)name, (void)kind;
  never(arg);
  return 0;
}
#define OS_ROWS(R)                                                             \
  R(thrum_conn_wait, "NULL", thrum_conn_wait(NULL, 1, THRUM_FOREVER),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_conn_set_timeout, "NULL", thrum_conn_set_timeout(NULL, 1, 0),        \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_conn_timeout, "NULL", thrum_conn_timeout(NULL, 1), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_signal_notify, "ch NULL", thrum_signal_notify(w->rt, SIGUSR1, NULL), \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_signal_notify, "rt NULL", thrum_signal_notify(NULL, 0, w->ch),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_signal_notify, "no signal", thrum_signal_notify(w->rt, -1, w->ch),   \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_signal_stop, "ch NULL", thrum_signal_stop(w->rt, NULL),              \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_signal_stop, "never notified", thrum_signal_stop(w->rt, w->ch), 0,   \
    0)                                                                         \
  R(thrum_file_open, "NULL", thrum_file_open(NULL, 0, 0), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_file_read, "no descriptor", thrum_file_read(-1, &elem, 1, 0),        \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_file_read, "buf NULL", thrum_file_read(0, NULL, 1, 0), THRUM_EINVAL, \
    THRUM_EINVAL)                                                              \
  R(thrum_file_write, "no descriptor", thrum_file_write(-1, &elem, 1, 0),      \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_file_write, "buf NULL", thrum_file_write(0, NULL, 1, 0),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_file_sync, "no descriptor", thrum_file_sync(-1, 0), THRUM_EBADF,     \
    THRUM_EBADF)                                                               \
  R(thrum_file_truncate, "no descriptor", thrum_file_truncate(-1, 0),          \
    THRUM_EBADF, THRUM_EBADF)                                                  \
  R(thrum_file_close, "no descriptor", thrum_file_close(-1), THRUM_EBADF,      \
    THRUM_EBADF)                                                               \
  R(thrum_file_stat, "NULL", thrum_file_stat(NULL, 0, &no_stat), THRUM_EINVAL, \
    THRUM_EINVAL)                                                              \
  R(thrum_file_stat, "struct_size 0", thrum_file_stat("/", 0, &no_stat),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_file_fstat, "out NULL", thrum_file_fstat(0, NULL), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_file_rename, "NULL", thrum_file_rename(NULL, "/"), THRUM_EINVAL,     \
    THRUM_EINVAL)                                                              \
  R(thrum_file_remove, "NULL", thrum_file_remove(NULL), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_dir_make, "NULL", thrum_dir_make(NULL, 0), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_dir_list, "fn NULL", thrum_dir_list("/", NULL, NULL), THRUM_EINVAL,  \
    THRUM_EINVAL)                                                              \
  R(thrum_dir_list, "path NULL", thrum_dir_list(NULL, never_name, NULL),       \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_process_new, "out NULL",                                             \
    thrum_process_new(w->rt, some_args, NULL, NULL), THRUM_EINVAL,             \
    THRUM_EINVAL)                                                              \
  R(thrum_process_new, "argv NULL",                                            \
    thrum_process_new(w->rt, NULL, NULL, &no_process), THRUM_EINVAL,           \
    THRUM_EINVAL)                                                              \
  R(thrum_process_new, "no program",                                           \
    thrum_process_new(w->rt, no_args, NULL, &no_process), THRUM_EINVAL,        \
    THRUM_EINVAL)                                                              \
  R(thrum_process_new, "unknown stdio",                                        \
    thrum_process_new(w->rt, some_args, &bad_stdio, &no_process),              \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_process_new, "fd -1",                                                \
    thrum_process_new(w->rt, some_args, &bad_fd, &no_process), THRUM_EINVAL,   \
    THRUM_EINVAL)                                                              \
  R(thrum_process_new, "struct_size 0",                                        \
    thrum_process_new(w->rt, some_args, &no_size, &no_process), THRUM_EINVAL,  \
    THRUM_EINVAL)                                                              \
  R(thrum_process_pid, "NULL", thrum_process_pid(NULL), THRUM_EINVAL,          \
    THRUM_EINVAL)                                                              \
  R(thrum_process_stdio, "NULL", thrum_process_stdio(NULL, 0) != NULL, 0, 0)   \
  R(thrum_process_wait, "NULL",                                                \
    thrum_process_wait(NULL, NULL, NULL, THRUM_FOREVER), THRUM_EINVAL,         \
    THRUM_EINVAL)                                                              \
  R(thrum_process_kill, "NULL", thrum_process_kill(NULL, SIGTERM),             \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_process_release, "NULL", DONE(thrum_process_release(NULL)), 0, 0)

/* The same for a runtime that has stopped: w->rt is that one, the caller a
 * thread or a G of w->other. */
#define STOPPED_ROWS(R)                                                        \
  R(thrum_rt_stop, "stopped", thrum_rt_stop(w->rt, THRUM_FOREVER), 0, 0)       \
  R(thrum_spawn, "stopped", thrum_spawn(w->rt, NULL, never, NULL, NULL),       \
    THRUM_ECLOSED, THRUM_ECLOSED)                                              \
  R(thrum_run, "stopped", thrum_run(w->rt, never, NULL), THRUM_ECLOSED,        \
    THRUM_EPERM)                                                               \
  R(thrum_pump, "stopped", thrum_pump(w->rt, THRUM_FOREVER), THRUM_ECLOSED,    \
    THRUM_EPERM)                                                               \
  R(thrum_trim, "stopped", thrum_trim(w->rt), THRUM_ECLOSED, THRUM_ECLOSED)    \
  R(thrum_set_procs, "stopped", thrum_set_procs(w->rt, 1), THRUM_ECLOSED,      \
    THRUM_ECLOSED)                                                             \
  R(thrum_procs, "stopped", thrum_procs(w->rt), ANY, ANY)                      \
  R(thrum_next_wake, "stopped", thrum_next_wake(w->rt), THRUM_ECLOSED,         \
    THRUM_ECLOSED)                                                             \
  R(thrum_wake_fd, "stopped", thrum_wake_fd(w->rt), THRUM_ECLOSED,             \
    THRUM_ECLOSED)                                                             \
  R(thrum_join, "stopped", thrum_join(w->rt, w->stale, THRUM_FOREVER), 0, 0)   \
  R(thrum_join, "stopped, no G", thrum_join(w->rt, 0, THRUM_FOREVER),          \
    THRUM_EINVAL, THRUM_EINVAL)                                                \
  R(thrum_join, "stopped, another runtime's",                                  \
    thrum_join(w->rt, w->alien, THRUM_FOREVER), THRUM_EINVAL, THRUM_EINVAL)    \
  R(thrum_cancel, "stopped", thrum_cancel(w->rt, w->stale), THRUM_ESTALE,      \
    THRUM_ESTALE)                                                              \
  R(thrum_unpark, "stopped", thrum_unpark(w->rt, w->stale), THRUM_ESTALE,      \
    THRUM_ESTALE)                                                              \
  R(thrum_domain_new, "stopped",                                               \
    domain_with(w->rt, sizeof(thrum_domain_ops), 0), THRUM_ECLOSED,            \
    THRUM_ECLOSED)                                                             \
  R(thrum_domain_pump, "stopped", thrum_domain_pump(w->domain, THRUM_TRY),     \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_domain_wake_fd, "stopped", thrum_domain_wake_fd(w->domain),          \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_domain_close, "stopped", thrum_domain_close(w->domain), ANY, ANY)    \
  R(thrum_g_each, "stopped", thrum_g_each(w->rt, never_each, NULL),            \
    THRUM_ECLOSED, THRUM_ECLOSED)                                              \
  R(thrum_pin_threads, "stopped", thrum_pin_threads(w->rt, NULL, 0),           \
    THRUM_ECLOSED, THRUM_ECLOSED)                                              \
  R(thrum_world_stop, "stopped", thrum_world_stop(w->rt, THRUM_FOREVER),       \
    THRUM_ECLOSED, THRUM_ECLOSED)                                              \
  R(thrum_world_start, "stopped", thrum_world_start(w->rt), THRUM_ECLOSED,     \
    THRUM_ECLOSED)                                                             \
  R(thrum_on_thread, "stopped", thrum_on_thread(w->rt, never, never, NULL),    \
    NEGATIVE, NEGATIVE)                                                        \
  R(thrum_preempt_enable, "stopped", thrum_preempt_enable(w->rt, 0), NEGATIVE, \
    NEGATIVE)                                                                  \
  R(thrum_preempt_disable, "stopped", thrum_preempt_disable(w->rt), 0, 0)      \
  R(thrum_overflow_enable, "stopped", thrum_overflow_enable(w->rt),            \
    THRUM_ECLOSED, THRUM_ECLOSED)                                              \
  R(thrum_overflow_disable, "stopped", thrum_overflow_disable(w->rt), 0, 0)

struct row {
  const char *function, *what;
  int64_t outside, inside;
};
#define TABLE(function, what, call, outside, inside) \
  {#function, what, outside, inside},
#define BRANCH(function, what, call, outside, inside) \
  case __COUNTER__ - FIRST:                           \
    return (int64_t)(call);
#define BRANCH_STOPPED(function, what, call, outside, inside) \
  case __COUNTER__ - FIRST_STOPPED:                           \
    return (int64_t)(call);

static const struct row rows[] = {ROWS(TABLE) OBSERVE_ROWS(TABLE)
                                      NET_ROWS(TABLE) OS_ROWS(TABLE)};
static const struct row stopped_rows[] = {STOPPED_ROWS(TABLE)};

enum { FIRST = __COUNTER__ + 1 };
static int64_t call_row(int n, struct world* w) {
  switch (n) {
    ROWS(BRANCH) OBSERVE_ROWS(BRANCH) NET_ROWS(BRANCH) OS_ROWS(BRANCH)
  }
  return INT64_MIN;
}
enum { FIRST_STOPPED = __COUNTER__ + 1 };
static int64_t call_stopped_row(int n, struct world* w) {
  switch (n) { STOPPED_ROWS(BRANCH_STOPPED) }
  return INT64_MIN;
}

static void check_row(const struct row* row, int64_t got, int64_t want,
                      const char* where) {
  if (want == ANY)
    return;
  if (want == SOME)
    CHECK_MSG(got >= 0, "%s (%s), %s: %" PRId64, row->function, row->what,
              where, got);
  else if (want == NEGATIVE)
    CHECK_MSG(got < 0, "%s (%s), %s: %" PRId64 ", no error", row->function,
              row->what, where, got);
  else
    CHECK_MSG(got == want,
              "%s (%s), %s: %" PRId64 " (%s), not %" PRId64 " (%s)",
              row->function, row->what, where, got,
              got < 0 && got > INT_MIN ? thrum_errname((int)got) : "no error",
              want, want < 0 ? thrum_errname((int)want) : "no error");
}
static void all_rows_outside(struct world* w, const char* where) {
  for (size_t i = 0; i < CHECK_COUNT(rows); i++)
    check_row(&rows[i], call_row((int)i, w), rows[i].outside, where);
}
static void all_rows_inside(void* arg) {
  for (size_t i = 0; i < CHECK_COUNT(rows); i++)
    check_row(&rows[i], call_row((int)i, arg), rows[i].inside, "in a G");
}
static void* rows_on_thread(void* arg) {
  all_rows_outside(arg, "on a thread");
  return NULL;
}
static void all_stopped_rows(void* arg) {
  for (size_t i = 0; i < CHECK_COUNT(stopped_rows); i++)
    check_row(&stopped_rows[i], call_stopped_row((int)i, arg),
              thrum_self() ? stopped_rows[i].inside : stopped_rows[i].outside,
              thrum_self() ? "in a G" : "on a thread");
}

static void hold(void* arg) {
  char c;
  thrum_chan_recv(arg, &c, THRUM_FOREVER);
}
static void own_handle(void* arg) { *(thrum_g*)arg = thrum_self(); }
static thrum_domain* plain_domain(thrum_rt* rt) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
  return d;
}
static void world_open(struct world* w, struct rt_kind kind, thrum_chan* holds,
                       thrum_mutex* theirs) {
  memset(w, 0, sizeof *w);
  w->rt = rt_make(kind);
  w->other = rt_make(RT_P2);
  CHECK_EQ(thrum_run(w->rt, own_handle, &w->stale), 0);
  CHECK_EQ(thrum_run(w->other, own_handle, &w->gone), 0);
  w->alien = go_in(w->other, hold, holds);
  REQUIRE_EQ(thrum_chan_new(4, 1, &w->ch), 0);
  REQUIRE_EQ(thrum_chan_new(4, 1, &w->closed), 0);
  CHECK_EQ(thrum_chan_close(w->closed), 0);
  w->domain = plain_domain(w->rt);
  w->foreign = plain_domain(w->other);
  w->shut = plain_domain(w->rt);
  CHECK_EQ(thrum_domain_close(w->shut), 0);
  w->theirs = theirs;
}

/* A mutex that belongs to neither the caller nor its G. */
struct holder {
  thrum_mutex m;
  word held;
  thrum_chan* until;
};
static void* hold_mutex(void* arg) {
  struct holder* h = arg;
  char c;
  CHECK_EQ(thrum_mutex_lock(&h->m, THRUM_FOREVER), 0);
  set(&h->held, 1);
  CHECK_EQ(thrum_chan_recv(h->until, &c, THRUM_FOREVER), THRUM_ECLOSED);
  CHECK_EQ(thrum_mutex_unlock(&h->m), 0);
  return NULL;
}
static void still_alive(void* arg) {
  word* n = arg;
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_yield(), 0);
  add(n, 1);
}

TEST(matrix) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[4 P]", 4, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  struct holder h;
  pthread_t holder;
  REQUIRE_EQ(thrum_addr_parse(&loopback, "127.0.0.1", 1), 0);
  memset(&h, 0, sizeof h);
  REQUIRE_EQ(thrum_chan_new(1, 0, &h.until), 0);
  REQUIRE_EQ(pthread_create(&holder, NULL, hold_mutex, &h), 0);
  while (!get(&h.held))
    sched_yield();
  CHECK_EQ(thrum_local_new(NULL, &key), 0);
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    struct world w;
    pthread_t t;
    word n = 0;
    check_context = kinds[i].name;
    world_open(&w, kinds[i], h.until, &h.m);
    all_rows_outside(&w, "on the first thread");
    REQUIRE_EQ(pthread_create(&t, NULL, rows_on_thread, &w), 0);
    pthread_join(t, NULL);
    CHECK_EQ(thrum_run(w.rt, all_rows_inside, &w), 0);
    /* None of it has hurt. */
    CHECK_EQ(thrum_run(w.rt, still_alive, &n), 0);
    CHECK_EQ(thrum_run(w.other, still_alive, &n), 0);
    CHECK_EQ(n, 2);
    CHECK_EQ(thrum_join(w.other, w.alien, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_chan_len(w.ch), 0);
    CHECK_EQ(thrum_mutex_lock(&w.unlocked, THRUM_TRY), 0);
    CHECK_EQ(thrum_mutex_unlock(&w.unlocked), 0);
    CHECK_EQ(thrum_rwmutex_lock(&w.rw, THRUM_TRY), 0);
    CHECK_EQ(thrum_rwmutex_unlock(&w.rw), 0);
    CHECK_EQ(thrum_wg_wait(&w.wg, THRUM_TRY), 0);
    /* Stopped. */
    CHECK_EQ(thrum_rt_stop(w.rt, THRUM_FOREVER), 0);
    all_stopped_rows(&w);
    CHECK_EQ(thrum_run(w.other, all_stopped_rows, &w), 0);
    thrum_rt_free(w.rt);
    thrum_domain_release(w.domain);
    thrum_domain_release(w.shut);
    rt_end(w.other);
    thrum_domain_release(w.foreign);
    thrum_chan_release(w.ch);
    thrum_chan_release(w.closed);
  }
  CHECK_EQ(thrum_chan_close(h.until), 0);
  pthread_join(holder, NULL);
  thrum_chan_release(h.until);
}

/* From callbacks of the library: a once's fn, a drop, a local's drop, an
 * enumeration. */
static word callback_calls;
static void refused_calls(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_spawn(NULL, NULL, NULL, NULL, NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_join(NULL, 0, THRUM_FOREVER), THRUM_EINVAL);
  CHECK_EQ(thrum_chan_send(NULL, NULL, THRUM_FOREVER), THRUM_EINVAL);
  CHECK_EQ(thrum_exit_blocking(), THRUM_EPERM);
  CHECK_EQ(thrum_run(thrum_rt_current(), never, NULL), THRUM_EPERM);
  CHECK_EQ(thrum_rt_stop(thrum_rt_current(), THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_yield(), 0);
  add(&callback_calls, 1);
}
static uint32_t callback_key;
static void in_callbacks(void* arg) {
  thrum_once o = THRUM_ONCE_INIT;
  thrum_spawn_opts opts = spawn_opts();
  (void)arg;
  set(&callback_calls, 0);
  CHECK_EQ(thrum_once_do(&o, refused_calls, NULL), 0);
  opts.drop = refused_calls;
  join_g(go_with(&opts, refused_calls, NULL));
  CHECK_EQ(thrum_local_set(callback_key, &callback_calls), 0);
  CHECK_EQ(callback_calls, 3);
}
TEST(inside_callbacks) {
  CHECK_EQ(thrum_local_new(refused_calls, &callback_key), 0);
  everywhere(in_callbacks, NULL);
  /* the local's, when the first G of the last runtime ended */
  CHECK_EQ(callback_calls, 4);
}

/* ---- is everything in the matrix? ---------------------------------------- */

static int has_row(const char* name) {
  for (size_t i = 0; i < CHECK_COUNT(rows); i++)
    if (strcmp(rows[i].function, name) == 0)
      return 1;
  return 0;
}
TEST(every_function_has_a_row) {
  /* The shared library under test: where thrum_version is from, unless this
   * program has it inside. */
  Dl_info info;
  char command[4200], line[512];
  const char* path =
      getenv("THRUM_SO") ? getenv("THRUM_SO") : getenv("THRUM_LIB");
  if (!path) {
    REQUIRE(dladdr((void*)(uintptr_t)thrum_version, &info) != 0);
    path = info.dli_fname;
  }
  if (strchr(path, '\'') || strlen(path) > 4000)
    SKIP("the library's path cannot be quoted");
  if (system("command -v nm >/dev/null 2>&1") != 0)
    SKIP("nm is not installed");
  snprintf(command, sizeof command, "nm -D --defined-only '%s' 2>/dev/null",
           path);
  FILE* nm = popen(command, "r");
  REQUIRE(nm != NULL);
  int functions = 0;
  while (fgets(line, sizeof line, nm)) {
    char kind, name[400];
    if (sscanf(line, "%*s %c %399s", &kind, name) != 2 || kind != 'T')
      continue;
    char* version = strchr(name, '@');
    if (version)
      *version = 0;
    if (strncmp(name, "thrum_", 6) != 0)
      continue;
    functions++;
    CHECK_MSG(has_row(name), "%s has no row in the matrix of misuse", name);
  }
  pclose(nm);
  if (functions == 0)
    SKIP("thrum is linked statically into this program");
}

static const struct check_case cases[] = {
    CASE(matrix),
    CASE(inside_callbacks),
    CASE(every_function_has_a_row),
};
CHECK_MAIN(cases)
