/* resp.c: requests as arrays of bulk strings ("*1\r\n$4\r\nPING\r\n") and as lines
 * for people ("PING\r\n").
 *
 * SPDX-License-Identifier: MIT */
#include "resp.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INLINE_MAX = 64 * 1024, DIGITS_MAX = 10 };

static enum resp_result bad(char* error, const char* why) {
  snprintf(error, RESP_ERROR_MAX, "Protocol error: %s", why);
  return RESP_BAD;
}

static int add(struct resp* r, size_t at, size_t size) {
  struct resp_arg arg = {(uint32_t)at, (uint32_t)size};
  if (r->argc < RESP_ARGS_FEW && !r->many) {
    r->few[r->argc++] = arg;
    return 1;
  }
  if (!r->many || r->argc == r->room) {
    uint32_t room = r->many ? 2 * r->room : 4 * RESP_ARGS_FEW;
    struct resp_arg* more = realloc(r->many, room * sizeof *more);
    if (!more) {
      return 0;
    }
    if (!r->many) {
      memcpy(more, r->few, sizeof r->few);
    }
    r->many = more;
    r->room = room;
  }
  r->many[r->argc++] = arg;
  return 1;
}

/* ---- lines for people --------------------------------------------------- */

static int hex(char c) {
  return isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10;
}

/* An escape behind its backslash: how many bytes it has, and the byte it is. */
static size_t escape(const char* p, const char* end, char* out) {
  static const char names[] = "nrtba", bytes[] = "\n\r\t\b\a";
  if (end - p >= 3 && *p == 'x' && isxdigit((unsigned char)p[1]) &&
      isxdigit((unsigned char)p[2])) {
    *out = (char)(hex(p[1]) << 4 | hex(p[2]));
    return 3;
  }
  const char* name = *p ? strchr(names, *p) : NULL;
  *out = name ? bytes[name - names] : *p;
  return 1;
}

/* One word from p on, unquoted in place: where it ends, NULL if its quotes are
 * not balanced. */
static char* word(char* p, const char* end, size_t* size) {
  char* to = p;
  char *first = p, quote = 0;
  for (; p < end && (quote || !isspace((unsigned char)*p)); p++) {
    if (!quote && (*p == '"' || *p == '\'')) {
      quote = *p;
    } else if (quote && *p == quote) {
      if (p + 1 < end && !isspace((unsigned char)p[1])) {
        return NULL; /* a closing quote ends the word */
      }
      quote = 0;
    } else if (quote == '"' && *p == '\\' && p + 1 < end) {
      p += escape(p + 1, end, to++);
    } else if (quote == '\'' && *p == '\\' && p + 1 < end && p[1] == '\'') {
      *to++ = *++p;
    } else {
      *to++ = *p;
    }
  }
  *size = (size_t)(to - first);
  return quote ? NULL : p;
}

static enum resp_result parse_line(struct resp* r, char* data, size_t size,
                                   char* error) {
  size_t limit = r->max < INLINE_MAX ? r->max : INLINE_MAX;
  char* end = memchr(data + r->looked, '\n', size - r->looked);
  if ((end ? (size_t)(end - data) : size) > limit) {
    return bad(error, "too big inline request");
  }
  if (!end) {
    r->looked = (uint32_t)size;
    return RESP_MORE;
  }
  r->size = (uint32_t)(end + 1 - data);
  char* p = data;
  for (;;) {
    while (p < end && isspace((unsigned char)*p)) {
      p++;
    }
    if (p == end) {
      return RESP_DONE;
    }
    size_t at = (size_t)(p - data), length;
    p = word(p, end, &length);
    if (!p) {
      return bad(error, "unbalanced quotes in request");
    }
    if (!add(r, at, length)) {
      return bad(error, "out of memory");
    }
  }
}

/* ---- arrays of bulk strings --------------------------------------------- */

/* A head such as "$12\r\n", at r->at: its number, and r->at behind it. */
static enum resp_result head(struct resp* r, const char* data, size_t size,
                             int64_t* out) {
  size_t at = r->at + 1, first;
  int64_t n = 0;
  int minus = at < size && data[at] == '-';
  for (first = at += (size_t)minus;
       at < size && isdigit((unsigned char)data[at]); at++) {
    if (at - first == DIGITS_MAX) {
      return RESP_BAD;
    }
    n = n * 10 + (data[at] - '0');
  }
  if (at >= size) {
    return RESP_MORE;
  }
  if (at == first || data[at] != '\r') {
    return RESP_BAD;
  }
  if (at + 1 == size) {
    return RESP_MORE;
  }
  if (data[at + 1] != '\n') {
    return RESP_BAD;
  }
  r->at = (uint32_t)at + 2;
  *out = minus ? -n : n;
  return RESP_DONE;
}

static enum resp_result parse_bulk(struct resp* r, const char* data,
                                   size_t size, char* error) {
  if (r->bulk == 0) {
    int64_t n = 0;
    if (r->at == size) {
      return RESP_MORE;
    }
    if (data[r->at] != '$') {
      unsigned char c = (unsigned char)data[r->at];
      char text[40];
      snprintf(text, sizeof text,
               isprint(c) ? "expected '$', got '%c'"
                          : "expected '$', got byte %d",
               c);
      return bad(error, text);
    }
    enum resp_result got = head(r, data, size, &n);
    if (got == RESP_MORE) {
      return RESP_MORE;
    }
    if (got == RESP_BAD || n < 0 || n + 2 + r->at > r->max) {
      return bad(error, "invalid bulk length");
    }
    r->bulk = (uint32_t)n + 1;
  }
  uint32_t n = r->bulk - 1;
  if (size - r->at < (size_t)n + 2) {
    return RESP_MORE;
  }
  if (data[r->at + n] != '\r' || data[r->at + n + 1] != '\n') {
    return bad(error, "no line end behind a bulk string");
  }
  if (!add(r, r->at, n)) {
    return bad(error, "out of memory");
  }
  r->at += n + 2;
  r->bulk = 0;
  r->left--;
  return RESP_DONE;
}

enum resp_result resp_parse(struct resp* r, char* data, size_t size,
                            char error[RESP_ERROR_MAX]) {
  if (size == 0) {
    return RESP_MORE;
  }
  if (r->at == 0) {
    if (data[0] != '*') {
      return parse_line(r, data, size, error);
    }
    int64_t n = 0;
    enum resp_result got = head(r, data, size, &n);
    if (got == RESP_MORE) {
      return RESP_MORE;
    }
    if (got == RESP_BAD || n > RESP_ARGS_MAX) {
      return bad(error, "invalid multibulk length");
    }
    r->left = n > 0 ? (uint32_t)n : 0;
  }
  while (r->left > 0) {
    enum resp_result got = parse_bulk(r, data, size, error);
    if (got != RESP_DONE) {
      return got;
    }
  }
  r->size = r->at;
  return RESP_DONE;
}

size_t resp_need(const struct resp* r) {
  return (size_t)r->at + (r->bulk ? (size_t)r->bulk + 1 : 1);
}

void resp_reset(struct resp* r) {
  if (r->many) {
    free(r->many);
    r->many = NULL;
  }
  r->argc = r->at = r->left = r->bulk = r->looked = 0;
}
