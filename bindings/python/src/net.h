/* What the files of the sockets share: Conn, Listener and Datagrams are thrum's as
 * Python objects, and thrum/net.py makes them pleasant. Whoever is in a call has a
 * reference, so nothing is freed under a wait; close() ends all waits.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_PYTHON_NET_H
#define THRUM_PYTHON_NET_H
#include "core.h"
#include <thrum/net.h>

#define FAST(fn) \
  (PyCFunction)(void (*)(void))(fn), METH_FASTCALL | METH_KEYWORDS

/* Memory of a call. */
struct piece {
  void* at;
  size_t n;
};

/* What connect, listen and resolve are given. */
struct asked {
  thrum_rt* rt;
  const char* host;
  int port; /* < 0: host is a path */
  thrum_addr all[16];
};

HIDDEN extern PyType_Spec conn_spec, listener_spec, udp_spec;

/* ---- net.c --- */
/* Of the type or of the one that it was derived from. */
HIDDEN struct state* net_state(PyTypeObject* type);
HIDDEN PyObject* net_raise(PyObject* self, int code);
/* None, or what a code raises. */
HIDDEN PyObject* net_done(PyObject* self, int code);
/* What a code raises that the descriptor may be to blame for. */
HIDDEN PyObject* raise_of_fd(struct state* s, int code, int fd);
/* (host, port), or the path of a Unix socket. */
HIDDEN PyObject* addr_object(const thrum_addr* addr);
HIDDEN int addr_literal(const char* host, int port, thrum_addr* out);

/* ---- conn.c: takes the reference; NULL: no memory --- */
HIDDEN PyObject* conn_of(PyTypeObject* type, thrum_conn* conn);

#endif
