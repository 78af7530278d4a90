/* atomics.h: the few atomic words that guests of a test share. GNU builtins,
 * because the programs are C99. */
#ifndef THRUM_TESTS_ATOMICS_H
#define THRUM_TESTS_ATOMICS_H
#include <stdint.h>

typedef int64_t word;

static inline word get(const word* w) {
  return __atomic_load_n(w, __ATOMIC_SEQ_CST);
}
static inline void set(word* w, word v) {
  __atomic_store_n(w, v, __ATOMIC_SEQ_CST);
}
/* Returns the value after the addition. */
static inline word add(word* w, word v) {
  return __atomic_add_fetch(w, v, __ATOMIC_SEQ_CST);
}
static inline void raise_to(word* w, word v) {
  word old = get(w);
  while (old < v && !__atomic_compare_exchange_n(
                        w, &old, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
}

/* splitmix64: each user owns its state. */
static inline uint64_t draw(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static inline uint32_t below(uint64_t* state, uint32_t n) {
  return (uint32_t)(draw(state) % n);
}

#endif
