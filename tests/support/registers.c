/* See registers.h. */
#include "registers.h"

#include <string.h>

#include "atomics.h"

extern const char thrum_test_kernels_begin[], thrum_test_kernels_end[];

void registers_code(const void** lo, const void** hi) {
  *lo = thrum_test_kernels_begin;
  *hi = thrum_test_kernels_end;
}

#if defined(__x86_64__)

void thrum_test_kernel_avx512(struct registers*, uint64_t);
void thrum_test_kernel_avx2(struct registers*, uint64_t);
void thrum_test_kernel_sse2(struct registers*, uint64_t);

const struct registers_kernel* registers_kernels(void) {
  static const struct registers_kernel all[] = {
      {"AVX-512", thrum_test_kernel_avx512},
      {"AVX2", thrum_test_kernel_avx2},
      {"SSE2", thrum_test_kernel_sse2},
      {NULL, NULL}};
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    return all;
  return __builtin_cpu_supports("avx2") ? all + 1 : all + 2;
}

void registers_init(struct registers* r, uint64_t seed) {
  uint64_t* words = (uint64_t*)(void*)r;
  for (size_t i = 0; i < sizeof *r / sizeof *words; i++)
    words[i] = draw(&seed);
  /* Rounding down, denormals flushed; x87 rounding up, in double precision. */
  r->mxcsr = 0xbfc0;
  r->cw = 0x0a7f;
  r->sw = 0;
  for (int i = 0; i < 8; i++) {
    long double v = 1.0L + (long double)(draw(&seed) >> 11) / (1 << 30);
    memset(r->x87[i], 0, sizeof r->x87[i]);
    memcpy(r->x87[i], &v, 10);
  }
  /* Doubles for the lanes that round. */
  for (int v = 14; v < 32; v += v == 15 ? 15 : 1)
    for (int i = 0; i < 8; i++) {
      double d = 1 + (double)(draw(&seed) >> 40) / 3;
      memcpy(&r->vec[v][i], &d, sizeof d);
    }
}

const char* registers_differ(const struct registers* a,
                             const struct registers* b) {
  /* carry, parity, adjust, zero, sign, direction, overflow */
  const uint64_t kFlags = 0xcd5;
  return memcmp(a->gpr, b->gpr, sizeof a->gpr)      ? "general registers"
         : (a->flags ^ b->flags) & kFlags           ? "flags"
         : memcmp(a->zone, b->zone, sizeof a->zone) ? "the red zone"
         : a->mxcsr != b->mxcsr                     ? "mxcsr"
         : a->cw != b->cw || a->sw != b->sw         ? "x87 control or status"
         : memcmp(a->x87, b->x87, sizeof a->x87)    ? "x87 stack"
         : memcmp(a->k, b->k, sizeof a->k)          ? "mask registers"
         : memcmp(a->vec, b->vec, sizeof a->vec)    ? "vector registers"
                                                    : NULL;
}

#elif defined(__aarch64__)

void thrum_test_kernel_a64(struct registers*, uint64_t);

const struct registers_kernel* registers_kernels(void) {
  static const struct registers_kernel all[] = {
      {"AdvSIMD", thrum_test_kernel_a64}, {NULL, NULL}};
  return all;
}

void registers_init(struct registers* r, uint64_t seed) {
  uint64_t* words = (uint64_t*)(void*)r;
  for (size_t i = 0; i < sizeof *r / sizeof *words; i++)
    words[i] = draw(&seed);
  r->fpcr = 1 << 24 | 2 << 22; /* flush, round down */
  r->fpsr = 0;
  for (int v = 30; v < 32; v++)
    for (int i = 0; i < 2; i++) {
      double d = 1 + (double)(draw(&seed) >> 40) / 3;
      memcpy(&r->vec[v][i], &d, sizeof d);
    }
}

const char* registers_differ(const struct registers* a,
                             const struct registers* b) {
  return memcmp(a->gpr, b->gpr, sizeof a->gpr)   ? "general registers"
         : a->flags != b->flags                  ? "NZCV"
         : a->fpcr != b->fpcr                    ? "FPCR"
         : a->fpsr != b->fpsr                    ? "FPSR"
         : memcmp(a->vec, b->vec, sizeof a->vec) ? "vector registers"
                                                 : NULL;
}

#endif
