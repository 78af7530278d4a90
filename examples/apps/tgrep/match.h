/* match.h: fixed strings, as grep -F takes them: one or, between newlines,
 * several patterns; a line matches if any of them stands in it, and the empty
 * pattern stands in every line. Knows nothing of Gs.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TGREP_MATCH_H
#define TGREP_MATCH_H

#include <stddef.h>

struct patterns; /* constant once made: all Gs read it */
struct patterns* patterns_new(const char* text); /* NULL: out of memory */
void patterns_free(struct patterns* p);

/* A walk over the hits in a stretch of bytes; one for each G. For more than one
 * pattern it remembers where each was seen next, so that each pattern reads the
 * bytes once. */
struct finder {
  const struct patterns* patterns;
  const char** hits; /* NULL for a single pattern */
};
int finder_init(struct finder* f, const struct patterns* p); /* 0: no memory */
void finder_free(struct finder* f);
void finder_restart(struct finder* f); /* before each new stretch */
/* The first hit in [at, end), or NULL; `at` only moves forward. */
const char* finder_next(struct finder* f, const char* at, const char* end);

#endif
