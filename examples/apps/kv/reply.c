/* reply.c: answers in RESP2 and RESP3, into the connection's buffer.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "kv.h"

enum { HEAD_MAX = INT_TEXT_MAX + 3 };

void reply_raw(struct client* c, const char* data, size_t size) {
  if (size >= WRITE_WHOLE && !c->box) {
    client_write_whole(c, data, size);
  } else if (client_room(c, size)) {
    memcpy(c->out + c->answered, data, size);
    c->answered += size;
  }
}

static void head(struct client* c, char kind, int64_t n) {
  if (client_room(c, HEAD_MAX)) {
    char* to = c->out + c->answered;
    *to++ = kind;
    to += text_of_int(to, n);
    *to++ = '\r';
    *to++ = '\n';
    c->answered = (size_t)(to - c->out);
  }
}

void reply_text(struct client* c, const char* line) {
  reply_raw(c, line, strlen(line));
  reply_raw(c, "\r\n", 2);
}

void reply_error(struct client* c, const char* format, ...) {
  char text[256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  for (char* p = text; *p; p++) { /* what is quoted must not end the line */
    *p = *p == '\r' || *p == '\n' ? ' ' : *p;
  }
  reply_raw(c, "-", 1);
  reply_text(c, text);
}

void reply_int(struct client* c, int64_t n) { head(c, ':', n); }
void reply_array(struct client* c, size_t n) { head(c, '*', (int64_t)n); }

void reply_map(struct client* c, size_t n) {
  head(c, c->resp3 ? '%' : '*', (int64_t)(c->resp3 ? n : 2 * n));
}

void reply_push(struct client* c, size_t n) {
  head(c, c->resp3 ? '>' : '*', (int64_t)n);
}

void reply_null(struct client* c) { reply_text(c, c->resp3 ? "_" : "$-1"); }

void reply_bulk(struct client* c, struct slice s) {
  if (s.size <= BUFFER_FIRST / 2 && client_room(c, HEAD_MAX + s.size + 2)) {
    head(c, '$', (int64_t)s.size);
    memcpy(c->out + c->answered, s.data, s.size);
    memcpy(c->out + c->answered + s.size, "\r\n", 2);
    c->answered += s.size + 2;
  } else {
    head(c, '$', (int64_t)s.size);
    reply_raw(c, s.data, s.size);
    reply_raw(c, "\r\n", 2);
  }
}

void reply_value(struct client* c, struct value* v) {
  if (!v) {
    reply_null(c);
    return;
  }
  reply_bulk(c, (struct slice){v->data, v->size});
  value_drop(v);
}
