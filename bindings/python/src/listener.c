/* Listener: where connections come in.
 * SPDX-License-Identifier: MIT
 */
#include "net.h"

typedef struct {
  PyObject_HEAD thrum_listener* listener; /* owned */
  PyTypeObject* makes;                    /* of accept; owned */
} Listener;

/* ---- Listener --------------------------------------------------------------------- */
static int listen_call(void* object, void* out, int64_t deadline) {
  struct asked* asked = object;
  (void)deadline;
  return thrum_tcp_listen(asked->rt, asked->host, (uint16_t)asked->port, 0,
                          out);
}

/* listen(makes, host, port, backlog, flags): flags and paths need a literal. */
static PyObject* listener_listen(PyObject* type, PyObject* args) {
  struct state* s = net_state((PyTypeObject*)type);
  struct asked asked = {0};
  PyTypeObject* makes;
  int backlog;
  unsigned flags;
  thrum_listener* listener;
  Runtime* rt = runtime_here(s);
  if (!rt || !PyArg_ParseTuple(args, "O!ziiI", &PyType_Type, &makes,
                               &asked.host, &asked.port, &backlog, &flags)) {
    return NULL;
  }
  if (!PyType_IsSubtype(makes, s->ConnType)) {
    PyErr_SetString(PyExc_TypeError, "a subclass of Conn is needed");
    return NULL;
  }
  asked.rt = rt->rt;
  int code = asked.port > UINT16_MAX ? THRUM_EINVAL : 0;
  if (code == 0 && (asked.port < 0 || backlog || flags)) {
    code = asked.host
               ? addr_literal(asked.host, asked.port < 0 ? 0 : asked.port,
                              &asked.all[0])
               : THRUM_EINVAL;
    if (code == 0) {
      code = thrum_listen(rt->rt, &asked.all[0], backlog, flags, &listener);
    }
  } else if (code == 0) {
    Py_INCREF(rt);
    code = wait_whole(listen_call, &asked, &listener, THRUM_FOREVER);
    Py_DECREF(rt);
  }
  if (code < 0) {
    return raise_code(s, code);
  }
  Listener* self =
      (Listener*)((PyTypeObject*)type)->tp_alloc((PyTypeObject*)type, 0);
  if (!self) {
    thrum_listener_release(listener);
    return NULL;
  }
  self->listener = listener;
  self->makes = (PyTypeObject*)Py_NewRef((PyObject*)makes);
  return (PyObject*)self;
}

static void listener_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  thrum_listener_release(((Listener*)self)->listener);
  Py_XDECREF(((Listener*)self)->makes);
  type->tp_free(self);
  Py_DECREF(type);
}

static int accept_call(void* listener, void* out, int64_t deadline) {
  return thrum_accept(listener, out, deadline);
}

static PyObject* listener_accept(PyObject* self, PyObject* const* args,
                                 Py_ssize_t n, PyObject* kwnames) {
  Listener* l = (Listener*)self;
  int64_t deadline;
  thrum_conn* conn;
  if (timeout_of("accept", args, n, kwnames, 0, &deadline) < 0) {
    return NULL;
  }
  int code = wait_call(accept_call, l->listener, &conn, deadline);
  return code < 0 ? net_raise(self, code) : conn_of(l->makes, conn);
}

static PyObject* listener_close(PyObject* self, PyObject* args) {
  (void)args;
  return net_done(self, thrum_listener_close(((Listener*)self)->listener));
}

static PyObject* listener_port(PyObject* self, void* none) {
  (void)none;
  return PyLong_FromLong(thrum_listener_port(((Listener*)self)->listener));
}

static PyMethodDef listener_methods[] = {
    {"listen", listener_listen, METH_VARARGS | METH_CLASS,
     "What listen() calls."},
    {"accept", FAST(listener_accept),
     "accept(timeout=None)\n--\n\nWaits for a connection: a Stream."},
    {"close", listener_close, METH_NOARGS,
     "close()\n--\n\nEnds it, and all accepts with ClosedError."},
    {0}};
static PyGetSetDef listener_properties[] = {
    {"port", listener_port, NULL, "Where it listens; 0: not TCP.", NULL}, {0}};
static PyType_Slot listener_slots[] = {{Py_tp_dealloc, listener_dealloc},
                                       {Py_tp_methods, listener_methods},
                                       {Py_tp_getset, listener_properties},
                                       {0}};
PyType_Spec listener_spec = {.name = "thrum._core.Listener",
                             .basicsize = sizeof(Listener),
                             .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                                      Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             .slots = listener_slots};
