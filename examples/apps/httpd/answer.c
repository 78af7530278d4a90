/* answer.c: what a request is answered with; see httpd.h.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <string.h>

#include "httpd.h"

#define ALLOW "Allow: GET, HEAD, OPTIONS\r\n"
#define PUT(c, literal) conn_put(c, literal, sizeof literal - 1)

static const char* reason(int status) {
  switch (status) {
    case 200:
      return "200 OK";
    case 204:
      return "204 No Content";
    case 206:
      return "206 Partial Content";
    case 301:
      return "301 Moved Permanently";
    case 304:
      return "304 Not Modified";
    case 400:
      return "400 Bad Request";
    case 403:
      return "403 Forbidden";
    case 404:
      return "404 Not Found";
    case 405:
      return "405 Method Not Allowed";
    case 408:
      return "408 Request Timeout";
    case 413:
      return "413 Content Too Large";
    case 414:
      return "414 URI Too Long";
    case 416:
      return "416 Range Not Satisfiable";
    case 417:
      return "417 Expectation Failed";
    case 431:
      return "431 Request Header Fields Too Large";
    case 501:
      return "501 Not Implemented";
    case 503:
      return "503 Service Unavailable";
    case 505:
      return "505 HTTP Version Not Supported";
    default:
      return "500 Internal Server Error";
  }
}

/* The fields of every answer. It does not go by c->keep alone: an HTTP/1.0 client
 * must be told that the connection stays, and one of 1.1 does not mind. */
static void begin(struct conn* c, int status) {
  count_status(c->count, status);
  PUT(c, "HTTP/1.1 ");
  conn_put_text(c, reason(status));
  PUT(c, "\r\nServer: thrum-httpd\r\nDate: ");
  conn_put(c, conn_date(c), DATE_SIZE - 1);
  if (c->keep) {
    PUT(c, "\r\nConnection: keep-alive\r\n");
  } else {
    PUT(c, "\r\nConnection: close\r\n");
  }
}

void answer_status(struct conn* c, int status, int without_body,
                   const char* more) {
  char fields[96];
  const char* text = reason(status);
  begin(c, status);
  snprintf(fields, sizeof fields,
           "Content-Type: text/plain\r\nContent-Length: %zu\r\n",
           strlen(text) + 1);
  conn_put_text(c, fields);
  conn_put_text(c, more);
  PUT(c, "\r\n");
  if (!without_body) {
    conn_put_text(c, text);
    PUT(c, "\n");
  }
}

/* A directory, without its slash: links in its index.html would lead astray. Not
 * inlined: the others need not have room for this on their stacks. */
static __attribute__((noinline)) void
answer_moved(struct conn* c, const char* path, int without_body) {
  static const char plain[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  char location[3 * PATH_SIZE + 16];
  char* to = location + sprintf(location, "Location: /");
  for (; *path; path++) {
    to += sprintf(to, strchr(plain, *path) ? "%c" : "%%%02X",
                  (unsigned char)*path);
  }
  strcpy(to, "/\r\n");
  answer_status(c, 301, without_body, location);
}

/* Does the client have it already? Its tags say more than its date. */
static int is_known(const struct request* r, const struct file* f) {
  if (r->if_none_match.p) {
    return etag_listed(r->if_none_match, f->etag);
  }
  time_t since = date_parse(r->if_modified_since);
  return since >= 0 && f->modified <= since;
}

/* Is the range one of the file that the client has the rest of? */
static int same_as_rest(const struct request* r, const struct file* f) {
  struct text t = r->if_range;
  return !t.p || (t.n == strlen(f->etag) && memcmp(t.p, f->etag, t.n) == 0) ||
         (t.n > 0 && *t.p != '"' && date_parse(t) == f->modified);
}

static void put_bytes(struct conn* c, const struct file* f, int64_t from,
                      int64_t n) {
  if (f->data) {
    conn_put(c, f->data + from, (size_t)n);
  } else {
    conn_put_file(c, f->fd, from, n);
  }
}

static void answer_file(struct conn* c, const struct request* r,
                        const struct file* f) {
  int64_t first = 0, last = f->size - 1;
  int status = 200;
  if (is_known(r, f)) {
    begin(c, 304);
    conn_put(c, f->fields, f->fields_304);
    PUT(c, "\r\n");
    return;
  }
  if (r->range.p && r->method == GET && same_as_rest(r, f)) {
    status = range_parse(r->range, f->size, &first, &last);
  }
  if (status == 416) {
    char more[64];
    snprintf(more, sizeof more, "Content-Range: bytes */%lld\r\n",
             (long long)f->size);
    answer_status(c, 416, 0, more);
    return;
  }
  begin(c, status);
  if (status == 206) {
    char more[160];
    int n = snprintf(more, sizeof more,
                     "Content-Range: bytes %lld-%lld/%lld\r\n"
                     "Content-Length: %lld\r\n",
                     (long long)first, (long long)last, (long long)f->size,
                     (long long)(last - first + 1));
    conn_put(c, f->fields, f->fields_206);
    conn_put(c, more, (size_t)n);
  } else {
    first = 0;
    last = f->size - 1;
    conn_put(c, f->fields, f->fields_200);
  }
  PUT(c, "\r\n");
  if (r->method == GET) {
    put_bytes(c, f, first, last - first + 1);
  }
}

void answer(struct conn* c, const struct request* r) {
  static const char index[] = "index.html";
  char* path = c->path;
  int head = r->method == HEAD;
  const struct file* f = NULL;
  c->keep = r->keep && !thrum_cancelled() &&
            !__atomic_load_n(&c->app->full, __ATOMIC_RELAXED);
  if (r->expects_else) {
    answer_status(c, 417, head, "");
    return;
  }
  if (r->method == OTHER_METHOD) {
    answer_status(c, 405, 0, ALLOW);
    return;
  }
  if (r->method == OPTIONS) {
    begin(c, 204);
    PUT(c, ALLOW "\r\n");
    return;
  }
  int n = path_decode(r->target, path, sizeof c->path - sizeof index);
  if (n < 0) {
    answer_status(c, -n, head, "");
    return;
  }
  int in_dir = n == 0 || path[n - 1] == '/';
  if (in_dir) {
    memcpy(path + n, index, sizeof index);
  }
  int status = file_get(c->app->files, path, c->now, &f);
  if (status == 0) {
    answer_file(c, r, f);
    file_put(f);
  } else if (status == 301 && !in_dir) {
    answer_moved(c, path, head);
  } else {
    answer_status(c, status == 301 ? 404 : status, head, "");
  }
}
