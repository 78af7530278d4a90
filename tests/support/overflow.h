/* overflow.h: Gs that run over the end of their stacks, where a guard traps. */
#ifndef THRUM_TESTS_OVERFLOW_H
#define THRUM_TESTS_OVERFLOW_H

#include "check.h"

#include <sys/mman.h>
#include <sys/wait.h>

/* An emulator may say yes to MADV_GUARD_INSTALL and do nothing. */
static inline int guards_work(void) {
  int status = 0;
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    char* p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (madvise(p, 4096, 102) == 0)
      *(volatile char*)p = 1;
    _exit(madvise(p, 4096, 102) == 0);
  }
  REQUIRE_EQ(waitpid(pid, &status, 0), pid);
  return !WIFEXITED(status) || WEXITSTATUS(status) == 0;
}
#define SKIP_WITHOUT_FAULTS                                             \
  do {                                                                  \
    if (CHECK_SANITIZED)                                                \
      SKIP("the sanitizer handles SIGSEGV, and its frames are larger"); \
    if (!guards_work())                                                 \
      SKIP("madvise makes no guards here, though it says so");          \
  } while (0)

/* No clash protection: as a guest that knows nothing. */
#ifdef __clang__
#define GUEST __attribute__((noinline))
#else
#define GUEST              \
  __attribute__((noinline, \
                 optimize("no-stack-clash-protection", "no-stack-protector")))
#endif
GUEST static int recurse(int n) {
  volatile char frame[200];
  frame[0] = (char)n;
  int r = n < 0 ? 0 : recurse(n + 1);
  return r + frame[0];
}

#endif
