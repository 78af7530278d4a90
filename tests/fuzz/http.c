/* The HTTP reader of examples/apps/httpd: whatever comes, it stays within what it
 * was given, says the same however the bytes were cut, and lets nothing through
 * that could leave the root or be understood in two ways.
 *
 * SPDX-License-Identifier: MIT */
#include "../../examples/apps/httpd/http.h"

#include "fuzz.h"

const char* const fuzz_seeds[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /a/b.txt?q=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\r\nGET http://host/%41%2e%2E/x HTTP/1.1\r\nhOst: h:80\r\nRange: "
    "bytes=0-499\r\nIf-Range: \"tag\"\r\nConnection: close, x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\nExpect: 100-continue\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5;a=\"b\"\r\n"
    "hello\r\n1F\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n",
    "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nIf-None-Match: W/\"a\", "
    "\"b\", *\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "a ; b\r\n0123456789\r\n00\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n",
    "/.well-known/x/./%2e%2e/y%00",
    "//a//b/?c",
    "bytes=0-0",
    "bytes=-5",
    "bytes=9223372036854775807-",
    "bytes=1-2,3-4",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    NULL};

/* Inside of what it came from, and without a control character. */
static void check_text(struct text t, const char* buf, size_t n) {
  if (t.p) {
    FUZZ_CHECK(t.p >= buf && t.p + t.n <= buf + n);
    for (size_t i = 0; i < t.n; i++) {
      FUZZ_CHECK((unsigned char)t.p[i] >= ' ' || t.p[i] == '\t');
    }
  }
}

static void check_path(struct text target) {
  static const size_t sizes[] = {1, 2, 16, 4096};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char* path = malloc(sizes[i]);
    int n = path_decode(target, path, sizes[i]);
    FUZZ_CHECK(n >= 0 || n == -400 || n == -404 || n == -414);
    if (n >= 0) {
      FUZZ_CHECK((size_t)n < sizes[i] && strlen(path) == (size_t)n);
      FUZZ_CHECK(path[0] != '/' && !strstr(path, "//"));
      const char* dot = path[0] == '.' ? path : strstr(path, "/.");
      for (; dot; dot = strstr(dot + 1, "/.")) {
        dot += *dot == '/';
        FUZZ_CHECK(strncmp(dot, ".well-known", 11) == 0 &&
                   (dot[11] == '/' || dot[11] == '\0'));
      }
      media_type(path);
    }
    free(path);
  }
}

static void check_values(struct text t) {
  static const int64_t sizes[] = {0, 1, 500, INT64_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int64_t first = 0, last = 0;
    int status = range_parse(t, sizes[i], &first, &last);
    FUZZ_CHECK(status == 200 || status == 206 || status == 416);
    if (status == 206) {
      FUZZ_CHECK(0 <= first && first <= last && last < sizes[i]);
    }
  }
  time_t when = date_parse(t);
  char text[DATE_SIZE];
  date_format(when, text);
  FUZZ_CHECK(strlen(text) == DATE_SIZE - 1);
  if (when >= 0) {
    FUZZ_CHECK(date_parse((struct text){text, DATE_SIZE - 1}) == when);
  }
  etag_listed(t, "\"b\"");
  list_has(t, "close");
}

static void check_chunks(const char* buf, size_t n) {
  struct chunks whole = {CHUNK_SIZE, 0};
  size_t taken = chunks_take(&whole, buf, n);
  int ended = whole.state == CHUNKS_DONE || whole.state == CHUNKS_BAD;
  FUZZ_CHECK(taken <= n && (taken == n || ended));
  if (whole.state == CHUNKS_DONE) {
    FUZZ_CHECK(taken >= 5 && memcmp(buf + taken - 2, "\r\n", 2) == 0);
  }
  for (size_t step = 1; step <= 7; step += 3) {
    struct chunks c = {CHUNK_SIZE, 0};
    size_t sum = 0, more = 1;
    while (more > 0 && sum < n) {
      more = chunks_take(&c, buf + sum, n - sum < step ? n - sum : step);
      sum += more;
    }
    FUZZ_CHECK(sum == taken && c.state == whole.state && c.left == whole.left);
  }
}

static void check_head(const char* buf, size_t n) {
  struct request r;
  int status = head_parse(buf, n, &r);
  FUZZ_CHECK(status == 0 || status == 400 || status == 501 || status == 505);
  if (status) {
    return;
  }
  const struct text texts[] = {r.target, r.range, r.if_range, r.if_none_match,
                               r.if_modified_since};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    check_text(texts[i], buf, n);
    check_values(texts[i].p ? texts[i] : (struct text){"", 0});
  }
  FUZZ_CHECK(r.target.n > 0 && (r.minor == 0 || r.minor == 1));
  FUZZ_CHECK(r.length >= -1 && !(r.chunked && r.length >= 0));
  check_path(r.target);
  /* Nothing in it ends a line but CR LF, nothing is folded. */
  for (size_t i = 0; i < n; i++) {
    FUZZ_CHECK(buf[i] != '\n' || (i > 0 && buf[i - 1] == '\r'));
    FUZZ_CHECK(buf[i] != '\r' || (i + 1 < n && buf[i + 1] == '\n'));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* buf = (const char*)data;
  struct scan scan = {0, 0};
  size_t head = head_size(buf, size, &scan);
  FUZZ_CHECK(head <= size);
  for (size_t step = 1; step <= 7; step += 3) {
    struct scan cut = {0, 0};
    size_t found = 0, n = 0;
    while (!found && n < size) {
      n = n + step < size ? n + step : size;
      found = head_size(buf, n, &cut);
    }
    FUZZ_CHECK(found == head);
  }
  if (head > 0) {
    char* copy = malloc(head); /* a read beyond it shows */
    memcpy(copy, buf, head);
    check_head(copy, head);
    free(copy);
  }
  struct request r;
  int status = head_parse(buf, size, &r); /* whole or not */
  FUZZ_CHECK(status != 0 || head == size);
  check_chunks(buf + head, size - head);
  check_chunks(buf, size);
  check_path((struct text){buf, size});
  check_values((struct text){buf, size});
  return 0;
}
