/* What a fuzz program has: one function in libFuzzer's form, which aborts where
 * something is wrong, and texts to begin with, NULL at the end. main.c does the
 * rest where there is no libFuzzer.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TEST_FUZZ_H
#define THRUM_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern const char* const fuzz_seeds[];

#define FUZZ_CHECK(what)                                                 \
  do {                                                                   \
    if (!(what)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
      abort();                                                           \
    }                                                                    \
  } while (0)

#endif
