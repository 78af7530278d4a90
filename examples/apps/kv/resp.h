/* resp.h: the parser of requests. It knows nothing of Gs, sockets or commands,
 * and copies nothing: arguments are places in the caller's bytes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_RESP_H
#define KV_RESP_H

#include <stddef.h>
#include <stdint.h>

struct resp_arg {
  uint32_t at, size; /* from the first byte of the request */
};

enum { RESP_ARGS_FEW = 24, RESP_ARGS_MAX = 1024 * 1024, RESP_ERROR_MAX = 80 };

/* One request on its way. All-zero but for `max` is a fresh one. */
struct resp {
  uint32_t max; /* the caller's: bytes that a request may take, below 2^31 */
  /* The request, once it is complete: argc 0 is an empty one, to be passed by. */
  uint32_t argc;
  uint32_t size; /* bytes that it took */
  /* How far it is. */
  uint32_t at;   /* bytes that are parsed */
  uint32_t left; /* arguments that are still to come; 0: not begun */
  uint32_t bulk; /* 1 + size of the argument at `at`; 0: its head comes first */
  uint32_t looked; /* an inline request has no newline up to here */
  uint32_t room;   /* of `many` */
  struct resp_arg* many;
  struct resp_arg few[RESP_ARGS_FEW];
};

enum resp_result { RESP_MORE, RESP_DONE, RESP_BAD };

/* Goes on with the request that begins at `data`, of which `size` bytes are there:
 * those of the last call and perhaps more, wherever they are now. With RESP_BAD
 * `error` says why, and the stream is of no more use. Inline requests lose their
 * quotes and escapes where they stand. */
enum resp_result resp_parse(struct resp* r, char* data, size_t size,
                            char error[RESP_ERROR_MAX]);

/* How many bytes the request will have at least, as far as is known. */
size_t resp_need(const struct resp* r);

static inline const struct resp_arg* resp_args(const struct resp* r) {
  return r->many ? r->many : r->few;
}

/* Makes ready for the next request, or for the end. */
void resp_reset(struct resp* r);

#endif
