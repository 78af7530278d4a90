/* text.c: numbers, words, patterns and hashes of byte strings.
 *
 * SPDX-License-Identifier: MIT */
#include "text.h"

#include <ctype.h>

size_t text_of_int(char* out, int64_t v) {
  char digits[INT_TEXT_MAX];
  size_t n = 0, minus = v < 0;
  uint64_t u = minus ? 0 - (uint64_t)v : (uint64_t)v;
  do {
    digits[n++] = (char)('0' + u % 10);
    u /= 10;
  } while (u);
  if (minus) {
    *out++ = '-';
  }
  for (size_t i = 0; i < n; i++) {
    out[i] = digits[n - 1 - i];
  }
  return n + minus;
}

int text_to_int(struct slice s, int64_t* out) {
  size_t minus = s.size > 0 && s.data[0] == '-';
  uint64_t u = 0, most = (uint64_t)INT64_MAX + minus;
  if (s.size == minus || s.size > INT_TEXT_MAX ||
      (s.data[minus] == '0' && s.size > 1)) {
    return 0;
  }
  for (size_t i = minus; i < s.size; i++) {
    unsigned digit = (unsigned char)s.data[i] - '0';
    if (digit > 9 || u > (most - digit) / 10) {
      return 0;
    }
    u = u * 10 + digit;
  }
  *out = (int64_t)(minus ? 0 - u : u);
  return 1;
}

int text_is(struct slice s, const char* word) {
  size_t i = 0;
  while (i < s.size && word[i] &&
         toupper((unsigned char)s.data[i]) == toupper((unsigned char)word[i])) {
    i++;
  }
  return i == s.size && !word[i];
}

/* One element of a pattern, at p: does it match c? *next: where the next begins. */
static int match_one(const char* p, const char* end, unsigned char c,
                     const char** next) {
  if (*p == '\\' && p + 1 < end) {
    *next = p + 2;
    return (unsigned char)p[1] == c;
  }
  if (*p != '[') {
    *next = p + 1;
    return *p == '?' || (unsigned char)*p == c;
  }
  int not = ++p < end && *p == '^', hit = 0;
  for (p += not ; p < end && *p != ']'; p++) {
    p += *p == '\\' && p + 1 < end;
    unsigned char low = (unsigned char)*p, high = low;
    if (end - p > 2 && p[1] == '-' && p[2] != ']') {
      high = (unsigned char)p[2];
      p += 2;
    }
    hit |= low < high ? low <= c && c <= high : high <= c && c <= low;
  }
  *next = p + (p < end);
  return hit != not ;
}

/* Only the last star is ever tried again: quadratic at worst. */
int text_match(struct slice pattern, struct slice text) {
  const char *p = pattern.data, *p_end = p + pattern.size, *star = NULL;
  const char *t = text.data, *t_end = t + text.size, *from = t, *next;
  while (t < t_end) {
    if (p < p_end && *p == '*') {
      star = ++p;
      from = t;
    } else if (p < p_end && match_one(p, p_end, (unsigned char)*t, &next)) {
      p = next;
      t++;
    } else if (star) {
      p = star;
      t = ++from;
    } else {
      return 0;
    }
  }
  while (p < p_end && *p == '*') {
    p++;
  }
  return p == p_end;
}

static uint64_t seed[2];

void text_seed(const uint64_t key[2]) { memcpy(seed, key, sizeof seed); }

static inline uint64_t turn(uint64_t x, int by) {
  return x << by | x >> (64 - by);
}

struct sip {
  uint64_t a, b, c, d;
};

static inline void sip_round(struct sip* s) {
  s->a += s->b;
  s->b = turn(s->b, 13) ^ s->a;
  s->a = turn(s->a, 32);
  s->c += s->d;
  s->d = turn(s->d, 16) ^ s->c;
  s->a += s->d;
  s->d = turn(s->d, 21) ^ s->a;
  s->c += s->b;
  s->b = turn(s->b, 17) ^ s->c;
  s->c = turn(s->c, 32);
}

uint64_t text_hash(struct slice s) {
  struct sip sip = {
      seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
      seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
  uint64_t last = (uint64_t)s.size << 56, block;
  size_t i = 0;
  for (; i + 8 <= s.size; i += 8) {
    memcpy(&block, s.data + i, 8);
    sip.d ^= block;
    sip_round(&sip);
    sip.a ^= block;
  }
  for (int shift = 0; i < s.size; i++, shift += 8) {
    last |= (uint64_t)(unsigned char)s.data[i] << shift;
  }
  sip.d ^= last;
  sip_round(&sip);
  sip.a ^= last;
  sip.c ^= 0xff;
  for (int n = 0; n < 3; n++) {
    sip_round(&sip);
  }
  return sip.a ^ sip.b ^ sip.c ^ sip.d;
}
