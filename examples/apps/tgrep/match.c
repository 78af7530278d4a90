/* match.c: see match.h.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "match.h"

#include <stdlib.h>
#include <string.h>
#include <thrum/thrum.h>

struct pattern {
  const char* text;
  size_t len;
  size_t rare; /* the byte of it that is least common in text is text[rare] */
};

struct patterns {
  size_t count;
  char* text;
  struct pattern at[];
};

/* How common a byte is, roughly, in source code and prose. */
static size_t how_common(char c) {
  static const char common[] =
      " etaoinsrlcdupmhfgb_y,.()*;-wvk=\"/0x1>2:jTESAqz3ICRNLDPO46#58\t";
  const char* p = c ? strchr(common, c) : NULL;
  return p ? sizeof common - (size_t)(p - common) : 0;
}

static size_t rarest(const char* text, size_t len) {
  size_t best = 0;
  for (size_t i = 1; i < len; i++) {
    if (how_common(text[i]) < how_common(text[best])) {
      best = i;
    }
  }
  return best;
}

struct patterns* patterns_new(const char* text) {
  size_t size = strlen(text) + 1, lines = 1;
  for (const char* p = text; (p = strchr(p, '\n')); p++) {
    lines++;
  }
  struct patterns* ps =
      thrum_calloc(1, sizeof *ps + lines * sizeof(struct pattern));
  if (!ps || !(ps->text = thrum_alloc(size))) {
    thrum_free(ps);
    return NULL;
  }
  memcpy(ps->text, text, size);
  for (const char* p = ps->text; lines > 0; lines--) {
    size_t len = strcspn(p, "\n");
    struct pattern one = {p, len, rarest(p, len)};
    if (len == 0) { /* stands in every line: no other can add to it */
      ps->at[0] = one;
      ps->count = 1;
      break;
    }
    ps->at[ps->count++] = one;
    p += len + 1;
  }
  return ps;
}

void patterns_free(struct patterns* p) {
  if (p) {
    thrum_free(p->text);
    thrum_free(p);
  }
}

/* memchr for the rarest byte runs at the speed of memory, until that byte turns
 * out to be common here; memmem keeps its pace whatever it meets. */
static const char* find(const struct pattern* p, const char* at,
                        const char* end) {
  if (p->len == 0) {
    return at < end ? at : NULL;
  }
  if ((size_t)(end - at) < p->len) {
    return NULL;
  }
  const char *s = at + p->rare, *stop = end - (p->len - 1 - p->rare);
  size_t misses = 0;
  while ((s = memchr(s, p->text[p->rare], (size_t)(stop - s)))) {
    const char* hit = s - p->rare;
    if (memcmp(hit, p->text, p->len) == 0) {
      return hit;
    }
    if (++misses > 16 + (size_t)(s - at) / 64) {
      return memmem(hit, (size_t)(end - hit), p->text, p->len);
    }
    s++;
  }
  return NULL;
}

int finder_init(struct finder* f, const struct patterns* p) {
  f->patterns = p;
  f->hits = p->count > 1 ? thrum_alloc(p->count * sizeof(const char*)) : NULL;
  return p->count == 1 || f->hits;
}

void finder_free(struct finder* f) { thrum_free((void*)f->hits); }

void finder_restart(struct finder* f) {
  for (size_t i = 0; f->hits && i < f->patterns->count; i++) {
    f->hits[i] = NULL; /* not looked for yet; `end` will mean: not there */
  }
}

const char* finder_next(struct finder* f, const char* at, const char* end) {
  if (!f->hits) {
    return find(&f->patterns->at[0], at, end);
  }
  const char* first = end;
  for (size_t i = 0; i < f->patterns->count; i++) {
    if (!f->hits[i] || f->hits[i] < at) {
      const char* hit = find(&f->patterns->at[i], at, end);
      f->hits[i] = hit ? hit : end;
    }
    if (f->hits[i] < first) {
      first = f->hits[i];
    }
  }
  return first < end ? first : NULL;
}
