/* http.h: HTTP/1.1 as bytes (RFC 9110, 9112). Pure functions: no socket, no file,
 * no G, no memory of their own; tests/fuzz/http.c feeds them with anything.
 *
 *   head.c    the head of a request, and a body in chunks
 *   value.c   what stands in it: path, range, entity tags, dates
 *
 * They are strict where two readers could understand two things (bare LF, folded
 * lines, space before a colon, two lengths): such a request is refused.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HTTPD_HTTP_H
#define HTTPD_HTTP_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A piece of somebody's buffer; p NULL: there is none. */
struct text {
  const char* p;
  size_t n;
};

/* ---- head.c ---------------------------------------------------------------- */

enum method { GET, HEAD, OPTIONS, OTHER_METHOD };

/* A request's head; the texts point into the buffer it was read from. */
struct request {
  enum method method;
  int minor; /* HTTP/1.minor, at most 1 */
  struct text target;
  /* The framing. */
  int64_t length; /* Content-Length; -1: none */
  int chunked;
  int keep;    /* the client would keep the connection */
  int expects; /* 100-continue */
  int expects_else;
  /* Values as they came. */
  struct text range, if_range, if_none_match, if_modified_since;
};

/* How far a head has been looked through; zero to begin with. */
struct scan {
  size_t line; /* where the last line begins */
  int begun;   /* the first line is whole */
};

/* How many bytes the head at the start of buf has, its empty line and empty lines
 * before it included; 0: it is not whole yet. Call again with more behind it. */
size_t head_size(const char* buf, size_t n, struct scan* scan);

/* Reads a whole head. 0, or the status of a refusal: 400, 501, 505. */
int head_parse(const char* buf, size_t n, struct request* out);

/* A body in chunks that is read and thrown away; zero to begin with. */
struct chunks {
  enum {
    CHUNK_SIZE,
    CHUNK_MORE_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the start of a line */
    CHUNK_TRAILER_LINE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNKS_DONE,
    CHUNKS_BAD
  } state;
  uint64_t left; /* of this chunk */
};

/* Takes what belongs to the body off the start of buf; returns its bytes, less than
 * n only if the state is then DONE or BAD. */
size_t chunks_take(struct chunks* c, const char* buf, size_t n);

int text_is(struct text t, const char* word);      /* letters of either case */
int list_has(struct text list, const char* token); /* "a, b, c", the same */
struct text list_next(struct text* list);          /* p NULL: it was the last */

/* ---- value.c --------------------------------------------------------------- */

/* The path that a target names, relative to the root: decoded, without its query,
 * with single slashes, none at the start, a zero behind it. No part of it begins
 * with a dot (but ".well-known"): neither "..", nor what is hidden. Returns its
 * length, or a negated status: 400, 404, 414. */
int path_decode(struct text target, char* out, size_t size);

/* One range of bytes out of size. 206: it is [*first, *last]; 416: there is nothing
 * there; 200: none was asked for, or what may be answered as if none were. */
int range_parse(struct text range, int64_t size, int64_t* first, int64_t* last);

/* Is the tag, a strong one with its quotes, in a list as of If-None-Match? */
int etag_listed(struct text list, const char* tag);

/* "Thu, 01 Jan 1970 00:00:00 GMT". The obsolete forms are read too; -1: no date. */
enum { DATE_SIZE = 30 };
void date_format(time_t t, char out[DATE_SIZE]);
time_t date_parse(struct text date);

/* By the suffix; the text is static. */
const char* media_type(const char* path);

#endif
