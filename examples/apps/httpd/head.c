/* head.c: the head of a request, and bodies in chunks; see http.h.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <string.h>
#include <strings.h>

#include "http.h"

/* ---- letters ------------------------------------------------------------- */

enum { TOKEN = 1, VALUE = 2, TARGET = 4, V = VALUE | TARGET, T = TOKEN | V };

static const unsigned char kinds[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = T,
    ['"'] = V,
    ['#'] = TOKEN | VALUE, /* a fragment is not for the server */
    ['$' ... '\''] = T,
    ['(' ... ')'] = V,
    ['*' ... '+'] = T,
    [','] = V,
    ['-' ... '.'] = T,
    ['/'] = V,
    ['0' ... '9'] = T,
    [':' ... '@'] = V,
    ['A' ... 'Z'] = T,
    ['[' ... ']'] = V,
    ['^' ... 'z'] = T,
    ['{'] = V,
    ['|'] = T,
    ['}'] = V,
    ['~'] = T,
    [0x80 ... 0xff] = VALUE,
};

/* How many letters of the kind stand at p. */
static size_t span(const char* p, const char* end, int kind) {
  const char* at = p;
  while (at < end && (kinds[(unsigned char)*at] & kind)) {
    at++;
  }
  return (size_t)(at - p);
}

static struct text trim(const char* p, const char* end) {
  while (p < end && (*p == ' ' || *p == '\t')) {
    p++;
  }
  while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
    end--;
  }
  return (struct text){p, (size_t)(end - p)};
}

int text_is(struct text t, const char* word) {
  return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

struct text list_next(struct text* list) {
  while (list->p) {
    const char* end = list->p + list->n;
    const char* comma = memchr(list->p, ',', list->n);
    struct text item = trim(list->p, comma ? comma : end);
    list->p = comma ? comma + 1 : NULL;
    list->n = comma ? (size_t)(end - comma - 1) : 0;
    if (item.n > 0) {
      return item;
    }
  }
  return (struct text){NULL, 0};
}

int list_has(struct text list, const char* token) {
  for (struct text item; (item = list_next(&list)).p;) {
    if (text_is(item, token)) {
      return 1;
    }
  }
  return 0;
}

/* ---- the head ------------------------------------------------------------ */

size_t head_size(const char* buf, size_t n, struct scan* scan) {
  const char* lf;
  while ((lf = memchr(buf + scan->line, '\n', n - scan->line))) {
    size_t at = (size_t)(lf - buf);
    int empty = at == scan->line || (at == scan->line + 1 && lf[-1] == '\r');
    scan->line = at + 1;
    if (empty && scan->begun) {
      return at + 1;
    }
    scan->begun |= !empty;
  }
  return 0;
}

/* The line at *p without its CR LF, and *p behind it; p NULL: it has none. */
static struct text line_next(const char** p, const char* end) {
  const char* from = *p;
  const char* lf = memchr(from, '\n', (size_t)(end - from));
  if (!lf || lf == from || lf[-1] != '\r') {
    return (struct text){NULL, 0};
  }
  *p = lf + 1;
  return (struct text){from, (size_t)(lf - 1 - from)};
}

/* METHOD SP target SP HTTP/1.x */
static int first_line(struct text line, struct request* r) {
  const char *p = line.p, *end = line.p + line.n;
  struct text method = {p, span(p, end, TOKEN)};
  p += method.n;
  if (method.n == 0 || p == end || *p++ != ' ') {
    return 400;
  }
  r->target.p = p;
  r->target.n = span(p, end, TARGET);
  p += r->target.n;
  if (r->target.n == 0 || end - p != 9 || memcmp(p, " HTTP/", 6) != 0 ||
      p[7] != '.' || p[6] < '0' || p[6] > '9' || p[8] < '0' || p[8] > '9') {
    return 400;
  }
  r->minor = p[8] > '0';
  r->method = OTHER_METHOD;
  if (method.n == 3 && memcmp(method.p, "GET", 3) == 0) {
    r->method = GET;
  } else if (method.n == 4 && memcmp(method.p, "HEAD", 4) == 0) {
    r->method = HEAD;
  } else if (method.n == 7 && memcmp(method.p, "OPTIONS", 7) == 0) {
    r->method = OPTIONS;
  }
  return p[6] == '1' ? 0 : 505;
}

/* What must stand at most once, or decides where the request ends. */
struct framing {
  int hosts, lengths, codings;
  int close, keep_alive;
};

static int length_parse(struct text v, int64_t* out) {
  int64_t n = 0;
  if (v.n == 0 || v.n > 18) {
    return 400;
  }
  for (size_t i = 0; i < v.n; i++) {
    if (v.p[i] < '0' || v.p[i] > '9') {
      return 400;
    }
    n = 10 * n + (v.p[i] - '0');
  }
  *out = n;
  return 0;
}

static int host_check(struct text v) {
  for (size_t i = 0; i < v.n; i++) {
    if (!(kinds[(unsigned char)v.p[i]] & TARGET) ||
        memchr("/?@,\\\"<>", v.p[i], 8)) {
      return 400;
    }
  }
  return 0;
}

static int field(struct text name, struct text v, struct request* r,
                 struct framing* f) {
  switch (name.n) { /* most names are none of ours */
    case 4:
      if (text_is(name, "host")) {
        f->hosts++;
        return host_check(v);
      }
      break;
    case 5:
      if (text_is(name, "range")) {
        r->range = v;
      }
      break;
    case 6:
      if (text_is(name, "expect")) {
        int known = text_is(v, "100-continue");
        r->expects |= known;
        r->expects_else |= !known;
      }
      break;
    case 8:
      if (text_is(name, "if-range")) {
        r->if_range = v;
      }
      break;
    case 10:
      if (text_is(name, "connection")) {
        f->close |= list_has(v, "close");
        f->keep_alive |= list_has(v, "keep-alive");
      }
      break;
    case 13:
      if (text_is(name, "if-none-match")) {
        r->if_none_match = v;
      }
      break;
    case 14:
      if (text_is(name, "content-length")) {
        return f->lengths++ ? 400 : length_parse(v, &r->length);
      }
      break;
    case 17:
      if (text_is(name, "if-modified-since")) {
        r->if_modified_since = v;
      } else if (text_is(name, "transfer-encoding")) {
        r->chunked = 1;
        return f->codings++ ? 400 : text_is(v, "chunked") ? 0 : 501;
      }
      break;
    default:
      break;
  }
  return 0;
}

int head_parse(const char* buf, size_t n, struct request* r) {
  const char *p = buf, *end = buf + n;
  struct framing f = {0, 0, 0, 0, 0};
  struct text line;
  memset(r, 0, sizeof *r);
  r->length = -1;
  do {
    line = line_next(&p, end);
  } while (line.p && line.n == 0);
  int status = line.p ? first_line(line, r) : 400;
  while (!status && (line = line_next(&p, end)).n > 0) {
    const char* stop = line.p + line.n;
    struct text name = {line.p, span(line.p, stop, TOKEN)};
    const char* from = line.p + name.n;
    if (name.n == 0 || from == stop || *from++ != ':' ||
        span(from, stop, VALUE) != (size_t)(stop - from)) {
      return 400;
    }
    status = field(name, trim(from, stop), r, &f);
  }
  if (status || !line.p || p != end) {
    return status ? status : 400;
  }
  r->keep = !f.close && (r->minor || f.keep_alive);
  /* Two lengths are two requests to somebody. */
  if (f.hosts > 1 || (r->minor && f.hosts == 0) ||
      (r->chunked && (f.lengths || !r->minor))) {
    return 400;
  }
  return 0;
}

/* ---- chunks -------------------------------------------------------------- */

static int hex(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int chunks_step(struct chunks* c, char ch) {
  switch (c->state) {
    case CHUNK_SIZE:
    case CHUNK_MORE_SIZE:
      if (hex(ch) >= 0) {
        if (c->left >> 56) {
          return CHUNKS_BAD;
        }
        c->left = c->left << 4 | (uint64_t)hex(ch);
        return CHUNK_MORE_SIZE;
      }
      if (c->state == CHUNK_SIZE) {
        return CHUNKS_BAD;
      }
      return ch == ';' || ch == ' ' || ch == '\t' ? CHUNK_EXTENSION
             : ch == '\r'                         ? CHUNK_SIZE_LF
                                                  : CHUNKS_BAD;
    case CHUNK_EXTENSION:
      return kinds[(unsigned char)ch] & VALUE ? CHUNK_EXTENSION
             : ch == '\r'                     ? CHUNK_SIZE_LF
                                              : CHUNKS_BAD;
    case CHUNK_SIZE_LF:
      return ch != '\n' ? CHUNKS_BAD : c->left ? CHUNK_DATA : CHUNK_TRAILER;
    case CHUNK_DATA_CR:
      return ch == '\r' ? CHUNK_DATA_LF : CHUNKS_BAD;
    case CHUNK_DATA_LF:
      return ch == '\n' ? CHUNK_SIZE : CHUNKS_BAD;
    case CHUNK_TRAILER:
      return ch == '\r'                         ? CHUNK_LAST_LF
             : kinds[(unsigned char)ch] & TOKEN ? CHUNK_TRAILER_LINE
                                                : CHUNKS_BAD;
    case CHUNK_TRAILER_LINE:
      return kinds[(unsigned char)ch] & VALUE ? CHUNK_TRAILER_LINE
             : ch == '\r'                     ? CHUNK_TRAILER_LF
                                              : CHUNKS_BAD;
    case CHUNK_TRAILER_LF:
      return ch == '\n' ? CHUNK_TRAILER : CHUNKS_BAD;
    case CHUNK_LAST_LF:
      return ch == '\n' ? CHUNKS_DONE : CHUNKS_BAD;
    default:
      return CHUNKS_BAD;
  }
}

size_t chunks_take(struct chunks* c, const char* buf, size_t n) {
  size_t i = 0;
  while (i < n && c->state != CHUNKS_DONE && c->state != CHUNKS_BAD) {
    if (c->state == CHUNK_DATA) {
      size_t some = c->left < n - i ? (size_t)c->left : n - i;
      c->left -= some;
      i += some;
      c->state = c->left ? CHUNK_DATA : CHUNK_DATA_CR;
    } else {
      c->state = chunks_step(c, buf[i++]);
    }
  }
  return i;
}
