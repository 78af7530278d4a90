/* Datagrams: a UDP socket.
 * SPDX-License-Identifier: MIT
 */
#include "net.h"

typedef struct {
  PyObject_HEAD thrum_udp* udp; /* owned */
} Datagrams;

/* ---- Datagrams ------------------------------------------------------------------------ */
static PyObject* udp_bind(PyObject* type, PyObject* args) {
  struct state* s = net_state((PyTypeObject*)type);
  const char* host;
  int port;
  unsigned flags;
  thrum_addr at;
  thrum_udp* udp;
  Runtime* rt = runtime_here(s);
  if (!rt || !PyArg_ParseTuple(args, "siI", &host, &port, &flags)) {
    return NULL;
  }
  int code = addr_literal(host, port, &at);
  if (code == 0) {
    code = thrum_udp_open(rt->rt, &at, flags, &udp);
  }
  if (code < 0) {
    return raise_code(s, code);
  }
  Datagrams* self =
      (Datagrams*)((PyTypeObject*)type)->tp_alloc((PyTypeObject*)type, 0);
  if (!self) {
    thrum_udp_release(udp);
    return NULL;
  }
  self->udp = udp;
  return (PyObject*)self;
}

static void udp_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  thrum_udp_release(((Datagrams*)self)->udp);
  type->tp_free(self);
  Py_DECREF(type);
}

struct letter {
  struct piece text;
  thrum_addr addr;
  const thrum_addr* to; /* of a send; NULL: as connected */
};

static int udp_send_call(void* udp, void* arg, int64_t deadline) {
  struct letter* l = arg;
  return (int)thrum_udp_send(udp, l->text.at, l->text.n, l->to, deadline);
}

static int udp_recv_call(void* udp, void* arg, int64_t deadline) {
  struct letter* l = arg;
  return (int)thrum_udp_recv(udp, l->text.at, l->text.n, &l->addr, deadline);
}

/* send(data, host or None, port, timeout) */
static PyObject* udp_send(PyObject* self, PyObject* args) {
  struct letter l = {0};
  Py_buffer view;
  const char* host;
  int port;
  PyObject* timeout = NULL;
  int64_t deadline = THRUM_FOREVER;
  if (!PyArg_ParseTuple(args, "y*zi|O", &view, &host, &port, &timeout)) {
    return NULL;
  }
  int code = deadline_of(timeout, &deadline) < 0 ? INTERRUPTED : 0;
  if (code == 0 && host) {
    l.to = &l.addr;
    code = addr_literal(host, port, &l.addr);
  }
  if (code == 0) {
    l.text = (struct piece){view.buf, (size_t)view.len};
    code = wait_call(udp_send_call, ((Datagrams*)self)->udp, &l, deadline);
  }
  PyBuffer_Release(&view);
  return net_done(self, code);
}

static PyObject* udp_recv(PyObject* self, PyObject* const* args, Py_ssize_t n,
                          PyObject* kwnames) {
  struct letter l = {0};
  int64_t deadline;
  if (timeout_of("recv", args, n, kwnames, 1, &deadline) < 0) {
    return NULL;
  }
  Py_ssize_t size = PyLong_AsSsize_t(args[0]);
  if (size == -1 && PyErr_Occurred()) {
    return NULL;
  }
  if (size < 0) {
    return net_raise(self, THRUM_EINVAL);
  }
  PyObject* bytes = PyBytes_FromStringAndSize(NULL, size);
  if (!bytes) {
    return NULL;
  }
  l.text = (struct piece){PyBytes_AS_STRING(bytes), (size_t)size};
  int got = wait_call(udp_recv_call, ((Datagrams*)self)->udp, &l, deadline);
  if (got < 0) {
    Py_DECREF(bytes);
    return net_raise(self, got);
  }
  _PyBytes_Resize(&bytes, got);
  return bytes ? Py_BuildValue("NN", bytes, addr_object(&l.addr)) : NULL;
}

static PyObject* udp_connect(PyObject* self, PyObject* args) {
  const char* host;
  int port;
  thrum_addr addr;
  if (!PyArg_ParseTuple(args, "si", &host, &port)) {
    return NULL;
  }
  int code = addr_literal(host, port, &addr);
  if (code == 0) {
    code = thrum_udp_connect(((Datagrams*)self)->udp, &addr);
  }
  return net_done(self, code);
}

static PyObject* udp_close(PyObject* self, PyObject* args) {
  (void)args;
  return net_done(self, thrum_udp_close(((Datagrams*)self)->udp));
}

static PyObject* udp_address(PyObject* self, void* none) {
  (void)none;
  thrum_addr addr;
  int code = thrum_udp_local(((Datagrams*)self)->udp, &addr);
  return code < 0 ? net_raise(self, code) : addr_object(&addr);
}

static PyMethodDef udp_methods[] = {
    {"bind", udp_bind, METH_VARARGS | METH_CLASS, "What datagrams() calls."},
    {"send_to", udp_send, METH_VARARGS, "What send() calls."},
    {"connect_to", udp_connect, METH_VARARGS, "What connect() calls."},
    {"recv", FAST(udp_recv),
     "recv(n, timeout=None)\n--\n\nOne datagram and who sent it. What is "
     "beyond "
     "n bytes is lost."},
    {"close", udp_close, METH_NOARGS,
     "close()\n--\n\nEnds it, and all waits on it with ClosedError."},
    {0}};
static PyGetSetDef udp_properties[] = {
    {"address", udp_address, NULL, "(host, port) of this end.", NULL}, {0}};
static PyType_Slot udp_slots[] = {{Py_tp_dealloc, udp_dealloc},
                                  {Py_tp_methods, udp_methods},
                                  {Py_tp_getset, udp_properties},
                                  {0}};
PyType_Spec udp_spec = {.name = "thrum._core.Datagrams",
                        .basicsize = sizeof(Datagrams),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        .slots = udp_slots};
