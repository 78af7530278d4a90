/* registers.h: computations that keep every register of the CPU live, for tests
 * that stop code between two instructions. A kernel takes all registers from the
 * state, mixes them for `rounds` rounds and stores them back: the same state and
 * rounds give the same result, unless something has touched a register. */
#ifndef THRUM_TESTS_REGISTERS_H
#define THRUM_TESTS_REGISTERS_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Known to registers.S by offset. */
struct registers {
#if defined(__x86_64__)
  uint64_t gpr[15]; /* all but rsp */
  uint64_t flags;
  uint64_t zone[14]; /* of the red zone */
  uint32_t mxcsr;
  uint16_t cw, sw;
  uint64_t pad;
  unsigned char x87[8][16];
  uint64_t k[8];
  uint64_t vec[32][8];
#elif defined(__aarch64__)
  uint64_t gpr[31]; /* x0 to x30 */
  uint64_t flags, fpcr, fpsr;
  uint64_t pad[2];
  uint64_t vec[32][2];
#else
  uint64_t none;
#endif
} __attribute__((aligned(64)));

struct registers_kernel {
  const char* name;
  void (*run)(struct registers*, uint64_t rounds); /* NULL: the end */
};

/* Those that this CPU can run, the widest first. */
const struct registers_kernel* registers_kernels(void);
/* The machine code of all of them. */
void registers_code(const void** lo, const void** hi);
void registers_init(struct registers* r, uint64_t seed);
/* NULL: the same; else what differs. */
const char* registers_differ(const struct registers* a,
                             const struct registers* b);

#ifdef __cplusplus
}
#endif
#endif
