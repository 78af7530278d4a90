/* The numbers of the headers are frozen: codes, flags, sizes and offsets are
 * baked into bindings and into programs that were compiled years ago. They are
 * spelled out here once more, by hand, and compared when this compiles; the
 * names and texts of codes are compared when it runs. */
#include "check.h"

#include <limits.h>
#include <thrum/host.h>
#include <thrum/net.h>
#include <thrum/thrum.h>
/* A second time: the guards hold. */
#include <thrum/host.h>
#include <thrum/net.h>
#include <thrum/thrum.h>

#define HOLDS_AT(line, cond) typedef char holds_##line[(cond) ? 1 : -1]
#define HOLDS_ON(line, cond) HOLDS_AT(line, cond)
#define HOLDS(cond) HOLDS_ON(__LINE__, cond)

/* ---- codes --------------------------------------------------------------- */

/* Codes that are Linux errno values under Linux's name. */
#define LINUX_CODES(X)    \
  X(EPERM, -1)            \
  X(ENOENT, -2)           \
  X(ESRCH, -3)            \
  X(EINTR, -4)            \
  X(EIO, -5)              \
  X(ENXIO, -6)            \
  X(E2BIG, -7)            \
  X(ENOEXEC, -8)          \
  X(EBADF, -9)            \
  X(ECHILD, -10)          \
  X(EAGAIN, -11)          \
  X(ENOMEM, -12)          \
  X(EACCES, -13)          \
  X(EFAULT, -14)          \
  X(EBUSY, -16)           \
  X(EEXIST, -17)          \
  X(EXDEV, -18)           \
  X(ENODEV, -19)          \
  X(ENOTDIR, -20)         \
  X(EISDIR, -21)          \
  X(EINVAL, -22)          \
  X(ENFILE, -23)          \
  X(EMFILE, -24)          \
  X(ENOTTY, -25)          \
  X(ETXTBSY, -26)         \
  X(EFBIG, -27)           \
  X(ENOSPC, -28)          \
  X(ESPIPE, -29)          \
  X(EROFS, -30)           \
  X(EMLINK, -31)          \
  X(EPIPE, -32)           \
  X(EDOM, -33)            \
  X(ERANGE, -34)          \
  X(ENAMETOOLONG, -36)    \
  X(ENOLCK, -37)          \
  X(ENOSYS, -38)          \
  X(ENOTEMPTY, -39)       \
  X(ELOOP, -40)           \
  X(ENODATA, -61)         \
  X(EPROTO, -71)          \
  X(EBADMSG, -74)         \
  X(EOVERFLOW, -75)       \
  X(EILSEQ, -84)          \
  X(EUSERS, -87)          \
  X(ENOTSOCK, -88)        \
  X(EDESTADDRREQ, -89)    \
  X(EMSGSIZE, -90)        \
  X(EPROTOTYPE, -91)      \
  X(ENOPROTOOPT, -92)     \
  X(EPROTONOSUPPORT, -93) \
  X(ESOCKTNOSUPPORT, -94) \
  X(ENOTSUP, -95)         \
  X(EPFNOSUPPORT, -96)    \
  X(EAFNOSUPPORT, -97)    \
  X(EADDRINUSE, -98)      \
  X(EADDRNOTAVAIL, -99)   \
  X(ENETDOWN, -100)       \
  X(ENETUNREACH, -101)    \
  X(ENETRESET, -102)      \
  X(ECONNABORTED, -103)   \
  X(ECONNRESET, -104)     \
  X(ENOBUFS, -105)        \
  X(EISCONN, -106)        \
  X(ENOTCONN, -107)       \
  X(ESHUTDOWN, -108)      \
  X(ETOOMANYREFS, -109)   \
  X(ETIMEDOUT, -110)      \
  X(ECONNREFUSED, -111)   \
  X(EHOSTDOWN, -112)      \
  X(EHOSTUNREACH, -113)   \
  X(EALREADY, -114)       \
  X(EINPROGRESS, -115)    \
  X(EREMOTEIO, -121)      \
  X(EDQUOT, -122)         \
  X(ENOMEDIUM, -123)      \
  X(ECANCELED, -125)

/* Codes under a name of thrum's. */
#define OWN_CODES(X)  \
  X(ESTALEFH, -116)   \
  X(ENOTG, -1001)     \
  X(ESTALE, -1002)    \
  X(ECLOSED, -1003)   \
  X(EDEADLOCK, -1004) \
  X(EFORKED, -1005)

#define FROZEN(NAME, NUMBER) \
  typedef char frozen_##NAME[THRUM_##NAME == (NUMBER) ? 1 : -1];
LINUX_CODES(FROZEN)
OWN_CODES(FROZEN)

struct code {
  const char* name;
  int value;
  int os_errno; /* 0: none */
};

#define ROW_LINUX(NAME, NUMBER) {#NAME, THRUM_##NAME, NAME},
#define ROW_OWN(NAME, NUMBER) {#NAME, THRUM_##NAME, 0},
static const struct code codes[] = {LINUX_CODES(ROW_LINUX) OWN_CODES(ROW_OWN)};

TEST(names_and_texts) {
  for (size_t i = 0; i < CHECK_COUNT(codes); i++) {
    const struct code* c = &codes[i];
    CHECK_STR(thrum_errname(c->value), c->name);
    CHECK(strcmp(thrum_strerror(c->value), "unknown error") != 0);
    CHECK(strlen(thrum_strerror(c->value)) > 0);
    for (size_t k = 0; k < i; k++) {
      CHECK(strcmp(thrum_strerror(c->value), thrum_strerror(codes[k].value)) !=
            0);
    }
  }
  CHECK_STR(thrum_errname(0), "OK");
  CHECK_STR(thrum_strerror(0), "success");
}

TEST(unknown_codes) {
  static const int unknown[] = {1,     11,      -999,    -1000,
                                -1006, INT_MAX, INT_MIN, -35};
  for (size_t i = 0; i < CHECK_COUNT(unknown); i++) {
    CHECK_STR(thrum_errname(unknown[i]), "E?");
    CHECK_STR(thrum_strerror(unknown[i]), "unknown error");
  }
}

/* The library knows no code that this list does not freeze. */
TEST(no_other_codes) {
  size_t named = 0;
  for (int code = -5000; code < 0; code++) {
    named += strcmp(thrum_errname(code), "E?") != 0;
  }
  CHECK_EQ(named, CHECK_COUNT(codes));
}

TEST(numbers_of_linux) {
#ifdef __linux__
  for (size_t i = 0; i < CHECK_COUNT(codes); i++) {
    if (codes[i].os_errno != 0) {
      CHECK_EQ(codes[i].value, -codes[i].os_errno);
    }
  }
  CHECK_EQ(THRUM_ESTALEFH, -ESTALE);
#else
  SKIP("not Linux");
#endif
}

/* ---- flags and times ------------------------------------------------------ */

HOLDS(THRUM_TRY == 0);
HOLDS(THRUM_FOREVER == INT64_MAX);
HOLDS(sizeof THRUM_FOREVER == 8);
HOLDS(THRUM_RT_DETERMINISTIC == 1u);
HOLDS(THRUM_RT_HOSTED == 2u);
HOLDS(THRUM_MIGRATE == 0u);
HOLDS(THRUM_PIN_STARTED == 1u);
HOLDS(THRUM_PIN_M == 2u);
HOLDS(THRUM_PRIO_HIGH == 1u);
HOLDS(THRUM_PRIO_LOW == 2u);
HOLDS(THRUM_G_HIBERNATE == 1u);
HOLDS(THRUM_SEND == 1u);
HOLDS(THRUM_RECV == 2u);
HOLDS(THRUM_DOMAIN_HOST_LOCK == 1u);
HOLDS(THRUM_DOMAIN_PUMPED == 2u);
HOLDS(THRUM_PREEMPT_MIGRATE == 1u);
HOLDS(THRUM_STATE_RUNNABLE == 1u);
HOLDS(THRUM_STATE_RUNNING == 2u);
HOLDS(THRUM_STATE_WAITING == 3u);
HOLDS(THRUM_STATE_BLOCKING == 4u);

/* The preprocessor can compare them too. */
#if THRUM_TRY != 0 || THRUM_SEND != 1u || THRUM_EINVAL != -22
#error "constants are not plain literals"
#endif
#if THRUM_VERSION != (THRUM_VERSION_MAJOR << 16 | THRUM_VERSION_MINOR << 8 | \
                      THRUM_VERSION_PATCH)
#error "THRUM_VERSION is not made of its parts"
#endif

/* ---- layouts -------------------------------------------------------------- */

HOLDS(sizeof(thrum_g) == 8);
HOLDS(sizeof(thrum_mutex) == 32);
HOLDS(sizeof(thrum_rwmutex) == 64);
HOLDS(sizeof(thrum_cond) == 32);
HOLDS(sizeof(thrum_wg) == 32);
HOLDS(sizeof(thrum_sem) == 32);
HOLDS(sizeof(thrum_once) == 32);

HOLDS(offsetof(thrum_config, struct_size) == 0);
HOLDS(offsetof(thrum_config, procs) == 4);
HOLDS(offsetof(thrum_config, max_threads) == 8);
HOLDS(offsetof(thrum_config, flags) == 12);
HOLDS(offsetof(thrum_config, stack_size) == 16);
HOLDS(offsetof(thrum_config, slice_ns) == 24);
HOLDS(offsetof(thrum_config, seed) == 32);
HOLDS(offsetof(thrum_config, sysmon_ns) == 40);
HOLDS(offsetof(thrum_config, idle_ns) == 48);
HOLDS(offsetof(thrum_config, allocator) == 56);

/* <thrum/net.h> */
HOLDS(sizeof(thrum_addr) == 136);
HOLDS(sizeof(thrum_buf) == 2 * sizeof(void*));
HOLDS(offsetof(thrum_buf, base) == 0);
HOLDS(offsetof(thrum_buf, size) == sizeof(void*));
HOLDS(THRUM_LISTEN_REUSEPORT == 1 && THRUM_LISTEN_V6ONLY == 2);
HOLDS(THRUM_OPT_NODELAY == 1 && THRUM_OPT_KEEPALIVE == 2);
HOLDS(THRUM_OPT_LINGER == 3 && THRUM_OPT_RCVBUF == 4);
HOLDS(THRUM_OPT_SNDBUF == 5);
HOLDS(THRUM_READABLE == 1 && THRUM_WRITABLE == 2);

/* Structs with pointers: of the 64-bit platforms. */
#define HOLDS_64(cond) HOLDS(sizeof(void*) != 8 || (cond))

HOLDS_64(sizeof(thrum_config) == 72);
HOLDS_64(offsetof(thrum_config, max_procs) == 64);
HOLDS_64(offsetof(thrum_config, place) == 68);
HOLDS_64(sizeof(thrum_allocator) == 48);
HOLDS_64(offsetof(thrum_allocator, struct_size) == 0);
HOLDS_64(offsetof(thrum_allocator, reserved) == 4);
HOLDS_64(offsetof(thrum_allocator, arg) == 8);
HOLDS_64(offsetof(thrum_allocator, alloc) == 16);
HOLDS_64(offsetof(thrum_allocator, free) == 24);
HOLDS_64(offsetof(thrum_allocator, reserve) == 32);
HOLDS_64(offsetof(thrum_allocator, release) == 40);

HOLDS_64(sizeof(thrum_spawn_opts) == 48);
HOLDS_64(offsetof(thrum_spawn_opts, struct_size) == 0);
HOLDS_64(offsetof(thrum_spawn_opts, affinity) == 4);
HOLDS_64(offsetof(thrum_spawn_opts, stack_size) == 8);
HOLDS_64(offsetof(thrum_spawn_opts, name) == 16);
HOLDS_64(offsetof(thrum_spawn_opts, drop) == 24);
HOLDS_64(offsetof(thrum_spawn_opts, priority) == 32);
HOLDS_64(offsetof(thrum_spawn_opts, flags) == 36);
HOLDS_64(offsetof(thrum_spawn_opts, domain) == 40);

HOLDS_64(sizeof(thrum_case) == 24);
HOLDS_64(offsetof(thrum_case, chan) == 0);
HOLDS_64(offsetof(thrum_case, elem) == 8);
HOLDS_64(offsetof(thrum_case, op) == 16);
HOLDS_64(offsetof(thrum_case, result) == 20);

HOLDS_64(sizeof(thrum_domain_ops) == 48);
HOLDS_64(offsetof(thrum_domain_ops, struct_size) == 0);
HOLDS_64(offsetof(thrum_domain_ops, flags) == 4);
HOLDS_64(offsetof(thrum_domain_ops, handover_ns) == 8);
HOLDS_64(offsetof(thrum_domain_ops, acquire) == 16);
HOLDS_64(offsetof(thrum_domain_ops, release) == 24);
HOLDS_64(offsetof(thrum_domain_ops, switch_to) == 32);
HOLDS_64(offsetof(thrum_domain_ops, preempt) == 40);

HOLDS_64(sizeof(thrum_g_info) == 80);
HOLDS_64(offsetof(thrum_g_info, struct_size) == 0);
HOLDS_64(offsetof(thrum_g_info, state) == 4);
HOLDS_64(offsetof(thrum_g_info, g) == 8);
HOLDS_64(offsetof(thrum_g_info, domain) == 16);
HOLDS_64(offsetof(thrum_g_info, name) == 24);
HOLDS_64(offsetof(thrum_g_info, reason) == 32);
HOLDS_64(offsetof(thrum_g_info, since_ns) == 40);
HOLDS_64(offsetof(thrum_g_info, arg) == 48);
HOLDS_64(offsetof(thrum_g_info, stack_lo) == 56);
HOLDS_64(offsetof(thrum_g_info, stack_hi) == 64);
HOLDS_64(offsetof(thrum_g_info, sp) == 72);

/* ---- initialisers --------------------------------------------------------- */

static thrum_mutex mutex = THRUM_MUTEX_INIT;
static thrum_rwmutex rwmutex = THRUM_RWMUTEX_INIT;
static thrum_cond cond = THRUM_COND_INIT;
static thrum_wg wg = THRUM_WG_INIT;
static thrum_sem sem = THRUM_SEM_INIT;
static thrum_once once = THRUM_ONCE_INIT;

static int all_zero(const void* p, size_t n) {
  const unsigned char* byte = p;
  while (n > 0 && *byte == 0) {
    byte++;
    n--;
  }
  return n == 0;
}

TEST(initialisers_are_zero) {
  CHECK(all_zero(&mutex, sizeof mutex));
  CHECK(all_zero(&rwmutex, sizeof rwmutex));
  CHECK(all_zero(&cond, sizeof cond));
  CHECK(all_zero(&wg, sizeof wg));
  CHECK(all_zero(&sem, sizeof sem));
  CHECK(all_zero(&once, sizeof once));
}

TEST(version_and_build) {
  char text[32];
  CHECK_EQ(thrum_version(), THRUM_VERSION);
  snprintf(text, sizeof text, "%d.%d.%d", THRUM_VERSION_MAJOR,
           THRUM_VERSION_MINOR, THRUM_VERSION_PATCH);
  CHECK_STR(thrum_version_string(), text);
  CHECK(strstr(thrum_build_info(), text) != NULL);
  CHECK(strchr(thrum_build_info(), '\n') == NULL);
}

static const struct check_case cases[] = {
    CASE(names_and_texts),       CASE(unknown_codes),
    CASE(no_other_codes),        CASE(numbers_of_linux),
    CASE(initialisers_are_zero), CASE(version_and_build),
};
CHECK_MAIN(cases)
