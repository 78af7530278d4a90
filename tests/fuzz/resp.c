/* The parser of examples/apps/kv's requests: whatever comes, it stays within what it
 * was given, and says the same however the bytes were cut.
 *
 * SPDX-License-Identifier: MIT */
#include "../../examples/apps/kv/resp.h"
#include "../../examples/apps/kv/text.h"

#include "fuzz.h"

const char* const fuzz_seeds[] = {
    "*1\r\n$4\r\nPING\r\n",
    "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nva\r\nl\r\n*2\r\n$3\r\nGET\r\n$3\r\n"
    "key\r\n",
    "*0\r\n*-1\r\n\r\nPING\r\n",
    "set key 'a \\' value' \"with \\x41 \\n \\\" escapes\" \r\nPING\r\n",
    "*2\r\n$0\r\n\r\n$1\r\nx\r\n",
    "*30\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"
    "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$"
    "1\r\na\r\n"
    "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$"
    "1\r\na\r\n"
    "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$"
    "1\r\na\r\n"
    "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n",
    "*1048577\r\n",
    "*1\r\n$2147483648\r\n",
    "*1\r\n$-1\r\n",
    "*1\r\n$1\r\nab",
    "a\nb\r\n'c'\r\n'd\r\n",
    "h?ll[a-o^\\]]*", /* a pattern */
    "[^a-",
    "-9223372036854775808",
    NULL};

/* What a stream says: its requests and how it ends, as one number. */
struct outcome {
  uint64_t hash;
  enum resp_result end;
  size_t taken;
};

static void mix(struct outcome* o, const void* data, size_t n) {
  const unsigned char* p = data;
  for (size_t i = 0; i < n; i++) {
    o->hash = (o->hash ^ p[i]) * 0x100000001b3u;
  }
}

static void check_request(const struct resp* r, const char* data, size_t size,
                          struct outcome* o) {
  FUZZ_CHECK(r->size > 0 && r->size <= size && r->size <= r->max + 2u);
  for (uint32_t i = 0; i < r->argc; i++) {
    struct resp_arg a = resp_args(r)[i];
    FUZZ_CHECK(a.at <= r->size && a.size <= r->size - a.at);
    mix(o, &a.size, sizeof a.size);
    mix(o, data + a.at, a.size);
  }
}

/* The stream in steps of `step` bytes; each request in a copy that ends where the
 * bytes end and moves with every step, so that a look beyond it shows. */
static struct outcome parse(const char* data, size_t size, size_t step) {
  struct outcome o = {1, RESP_MORE, 0};
  struct resp r = {.max = 4096};
  char error[RESP_ERROR_MAX];
  size_t there = 0;
  char* copy = NULL;
  while (o.end != RESP_BAD) {
    size_t had = there - o.taken;
    there = size - there < step ? size : there + step;
    char* next = malloc(there - o.taken + 1);
    memcpy(next, copy ? copy : data, copy ? had : 0);
    memcpy(next + (copy ? had : 0), data + o.taken + (copy ? had : 0),
           there - o.taken - (copy ? had : 0));
    free(copy);
    copy = realloc(next, there - o.taken ? there - o.taken : 1);
    size_t start = 0;
    while ((o.end = resp_parse(&r, copy + start, there - o.taken - start,
                               error)) == RESP_DONE) {
      check_request(&r, copy + start, there - o.taken - start, &o);
      start += r.size;
      resp_reset(&r);
    }
    if (o.end == RESP_MORE) {
      FUZZ_CHECK(there - o.taken == start ||
                 resp_need(&r) > r.at); /* what it waits for lies ahead */
    } else {
      FUZZ_CHECK(strlen(error) < RESP_ERROR_MAX);
    }
    o.taken += start;
    memmove(copy, copy + start, there - o.taken);
    if (there == size) {
      break;
    }
  }
  free(copy);
  resp_reset(&r);
  return o;
}

static void check_text(const char* data, size_t size) {
  struct slice all = {data, size};
  int64_t n;
  if (text_to_int(all, &n)) {
    char digits[INT_TEXT_MAX];
    FUZZ_CHECK(text_of_int(digits, n) == size &&
               memcmp(digits, data, size) == 0);
  }
  for (size_t i = 0; i <= size && size < 200; i += 1 + size / 7) {
    struct slice pattern = {data, i}, text = {data + i, size - i};
    text_match(pattern, text);
    FUZZ_CHECK(text_match((struct slice){"*", 1}, text));
    char* literal = malloc(2 * text.size + 1);
    for (size_t k = 0; k < text.size; k++) {
      literal[2 * k] = '\\';
      literal[2 * k + 1] = text.data[k];
    }
    FUZZ_CHECK(text_match((struct slice){literal, 2 * text.size}, text));
    free(literal);
  }
  text_hash(all);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  struct outcome whole = parse((const char*)data, size, size ? size : 1);
  for (size_t step = 1; step <= 7; step += 3) {
    struct outcome cut = parse((const char*)data, size, step);
    FUZZ_CHECK(cut.hash == whole.hash && cut.end == whole.end &&
               cut.taken == whole.taken);
  }
  check_text((const char*)data, size);
  return 0;
}
