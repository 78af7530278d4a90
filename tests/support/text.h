/* text.h: what a thrum_write_fn was given, as one string. */
#ifndef THRUM_TESTS_TEXT_H
#define THRUM_TESTS_TEXT_H

#include <string.h>

struct text {
  char at[1 << 18];
  size_t n;
};
static int text_add(void* arg, const char* bytes, size_t n) {
  struct text* t = arg;
  if (t->n + n >= sizeof t->at)
    return 1;
  memcpy(t->at + t->n, bytes, n);
  t->n += n;
  t->at[t->n] = 0;
  return 0;
}

#endif
