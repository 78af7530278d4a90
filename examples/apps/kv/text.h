/* text.h: numbers, words, patterns and hashes of byte strings.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_TEXT_H
#define KV_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
  const char* data;
  size_t size;
};

static inline struct slice slice_of(const char* text) {
  struct slice s = {text, strlen(text)};
  return s;
}

/* Writes v in decimal, at most 20 bytes and no zero; returns how many. */
enum { INT_TEXT_MAX = 20 };
size_t text_of_int(char* out, int64_t v);

/* Reads a decimal number that is written as text_of_int writes it; 0: is none. */
int text_to_int(struct slice s, int64_t* out);

/* Is it this word, in capitals or not? */
int text_is(struct slice s, const char* word);

/* Does `text` match a pattern of *, ?, [a-z], [^a-z] and \ before any of them? */
int text_match(struct slice pattern, struct slice text);

/* SipHash-1-3 with a key of this process, so that nobody can choose keys that
 * collide. text_seed sets that key, once, at the start. */
void text_seed(const uint64_t key[2]);
uint64_t text_hash(struct slice s);

#endif
