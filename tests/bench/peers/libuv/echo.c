/* The echo server over libuv's own streams: one loop, one buffer per connection,
 * the answer tried at once (uv_try_write) and queued only where the socket is
 * full.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

enum { BUFFER = 4096 };

typedef struct conn {
  uv_tcp_t tcp; /* first: libuv's handle is the connection */
  uv_write_t rest;
  char buffer[BUFFER];
} conn;

static void must(const char* what, int code) {
  if (code < 0) {
    fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
    exit(1);
  }
}

static void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buf);

static void on_close(uv_handle_t* handle) { free(handle); }

static void on_buffer(uv_handle_t* handle, size_t wanted, uv_buf_t* out) {
  (void)wanted;
  *out = uv_buf_init(((conn*)handle)->buffer, BUFFER);
}

static void on_written(uv_write_t* request, int status) {
  uv_stream_t* stream = request->handle;
  if (status < 0) {
    if (!uv_is_closing((uv_handle_t*)stream)) {
      uv_close((uv_handle_t*)stream, on_close);
    }
    return;
  }
  uv_read_start(stream, on_buffer, on_read);
}

static void on_read(uv_stream_t* stream, ssize_t n, const uv_buf_t* buf) {
  conn* c = (conn*)stream;
  if (n == 0) {
    return;
  }
  if (n < 0) {
    uv_close((uv_handle_t*)stream, on_close);
    return;
  }
  uv_buf_t answer = uv_buf_init(buf->base, (unsigned)n);
  int put = uv_try_write(stream, &answer, 1);
  if (put == n) {
    return;
  }
  if (put < 0 && put != UV_EAGAIN) {
    uv_close((uv_handle_t*)stream, on_close);
    return;
  }
  /* The buffer is taken until the rest is out. */
  put = put < 0 ? 0 : put;
  answer = uv_buf_init(buf->base + put, (unsigned)(n - put));
  uv_read_stop(stream);
  must("uv_write", uv_write(&c->rest, stream, &answer, 1, on_written));
}

static void on_connection(uv_stream_t* listener, int status) {
  must("listen", status);
  conn* c = malloc(sizeof *c);
  if (c == NULL) {
    must("malloc", UV_ENOMEM);
  }
  must("uv_tcp_init", uv_tcp_init(listener->loop, &c->tcp));
  must("uv_accept", uv_accept(listener, (uv_stream_t*)&c->tcp));
  must("uv_tcp_nodelay", uv_tcp_nodelay(&c->tcp, 1));
  must("uv_read_start",
       uv_read_start((uv_stream_t*)&c->tcp, on_buffer, on_read));
}

int main(int argc, char** argv) {
  if (argc == 3 && (strcmp(argv[1], "--procs") != 0 || atoi(argv[2]) != 1)) {
    fprintf(stderr, "usage: %s [--procs 1]: one loop, one thread\n", argv[0]);
    return 2;
  }
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  struct sockaddr_in at;
  int size = sizeof at;
  must("uv_tcp_init", uv_tcp_init(loop, &listener));
  must("uv_ip4_addr", uv_ip4_addr("127.0.0.1", 0, &at));
  must("uv_tcp_bind", uv_tcp_bind(&listener, (struct sockaddr*)&at, 0));
  must("uv_listen", uv_listen((uv_stream_t*)&listener, 4096, on_connection));
  must("uv_tcp_getsockname",
       uv_tcp_getsockname(&listener, (struct sockaddr*)&at, &size));
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
