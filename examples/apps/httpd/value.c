/* value.c: paths, ranges, entity tags, dates, media types; see http.h.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http.h"

/* ---- paths --------------------------------------------------------------- */

static int hex(char c) {
  const char* digits = "0123456789abcdef0123456789ABCDEF";
  const char* at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) & 15 : -1;
}

/* "http://host/path" is "/path" to us: there is one site. */
static struct text strip_authority(struct text t) {
  size_t scheme = t.n > 7 && strncasecmp(t.p, "http://", 7) == 0    ? 7
                  : t.n > 8 && strncasecmp(t.p, "https://", 8) == 0 ? 8
                                                                    : 0;
  if (scheme) {
    const char* end = t.p + t.n;
    const char* p = t.p + scheme;
    while (p < end && *p != '/' && *p != '?') {
      p++;
    }
    if (p == end || *p == '?') { /* "http://host": the root */
      return (struct text){"/", 1};
    }
    return (struct text){p, (size_t)(end - p)};
  }
  return t;
}

static int hidden(const char* part, size_t n) {
  return n > 0 && part[0] == '.' &&
         !(n == 11 && memcmp(part, ".well-known", 11) == 0);
}

int path_decode(struct text target, char* out, size_t size) {
  target = strip_authority(target);
  const char *p = target.p, *end = p + target.n;
  size_t used = 0, part = 0; /* where the last part begins */
  if (p == end || *p != '/') {
    return -400;
  }
  while (p < end && *p != '?') {
    char c = *p++;
    if (c == '%') {
      int high = end - p >= 2 ? hex(p[0]) : -1;
      int low = high >= 0 ? hex(p[1]) : -1;
      if (low < 0) {
        return -400;
      }
      c = (char)(high << 4 | low);
      p += 2;
    }
    if ((unsigned char)c < ' ' || c == 0x7f) {
      return -400;
    }
    if (c == '/') {
      if (used == part) {
        continue; /* a slash behind a slash, or the first one */
      }
      if (hidden(out + part, used - part)) {
        return -404;
      }
      part = used + 1;
    }
    if (used + 1 >= size) {
      return -414;
    }
    out[used++] = c;
  }
  out[used] = '\0';
  return hidden(out + part, used - part) ? -404 : (int)used;
}

/* ---- ranges -------------------------------------------------------------- */

/* Takes digits off; -1: there are none. Saturates: no file is that long. */
static int64_t number(struct text* t) {
  int64_t n = -1;
  while (t->n > 0 && *t->p >= '0' && *t->p <= '9') {
    n = n < 0 ? 0 : n;
    n = n > INT64_MAX / 16 ? n : 10 * n + (*t->p - '0');
    t->p++;
    t->n--;
  }
  return n;
}

int range_parse(struct text range, int64_t size, int64_t* first,
                int64_t* last) {
  if (range.n < 6 || strncasecmp(range.p, "bytes=", 6) != 0) {
    return 200;
  }
  struct text t = {range.p + 6, range.n - 6};
  int64_t from = number(&t);
  if (t.n == 0 || *t.p != '-') {
    return 200;
  }
  t.p++;
  t.n--;
  int64_t to = number(&t);
  if (t.n > 0 || (from < 0 && to < 0) || (to >= 0 && to < from)) {
    return 200; /* several, or none that means anything */
  }
  if (from < 0) { /* the last `to` bytes */
    from = to < size ? size - to : 0;
    to = to > 0 ? size - 1 : -1;
  }
  *first = from;
  *last = to < 0 || to >= size ? size - 1 : to;
  return from >= size || *last < from ? 416 : 206;
}

/* ---- entity tags --------------------------------------------------------- */

/* Ours have no comma in them, so splitting foreign ones there finds no more. */
int etag_listed(struct text list, const char* tag) {
  for (struct text item; (item = list_next(&list)).p;) {
    if (item.n > 2 && memcmp(item.p, "W/", 2) == 0) {
      item.p += 2;
      item.n -= 2;
    }
    if ((item.n == 1 && *item.p == '*') ||
        (item.n == strlen(tag) && memcmp(item.p, tag, item.n) == 0)) {
      return 1;
    }
  }
  return 0;
}

/* ---- dates --------------------------------------------------------------- */

void date_format(time_t t, char out[DATE_SIZE]) {
  struct tm tm;
  if (t < 0 || !gmtime_r(&t, &tm) || tm.tm_year + 1900 > 9999) {
    t = 0; /* there is no way to write it */
    gmtime_r(&t, &tm);
  }
  strftime(out, DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

time_t date_parse(struct text date) {
  /* How it is written, how it was, and how asctime does it. */
  static const char* const forms[] = {"%a, %d %b %Y %H:%M:%S GMT",
                                      "%A, %d-%b-%y %H:%M:%S GMT",
                                      "%a %b %d %H:%M:%S %Y"};
  char text[40];
  if (!date.p || date.n >= sizeof text) {
    return -1;
  }
  memcpy(text, date.p, date.n);
  text[date.n] = '\0';
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    const char* end = strptime(text, forms[i], &tm);
    if (end && end == text + date.n) {
      return timegm(&tm);
    }
  }
  return -1;
}

/* ---- media types --------------------------------------------------------- */

const char* media_type(const char* path) {
  static const char* const types[][2] = {
      {"html", "text/html; charset=utf-8"},
      {"htm", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"csv", "text/csv; charset=utf-8"},
      {"xml", "application/xml"},
      {"json", "application/json"},
      {"map", "application/json"},
      {"wasm", "application/wasm"},
      {"pdf", "application/pdf"},
      {"zip", "application/zip"},
      {"gz", "application/gzip"},
      {"tar", "application/x-tar"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"avif", "image/avif"},
      {"ico", "image/x-icon"},
      {"woff", "font/woff"},
      {"woff2", "font/woff2"},
      {"ttf", "font/ttf"},
      {"mp3", "audio/mpeg"},
      {"ogg", "audio/ogg"},
      {"mp4", "video/mp4"},
      {"webm", "video/webm"},
  };
  const char* name = strrchr(path, '/');
  const char* dot = strrchr(name ? name : path, '.');
  for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
    if (strcasecmp(dot + 1, types[i][0]) == 0) {
      return types[i][1];
    }
  }
  return "application/octet-stream";
}
