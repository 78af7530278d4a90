/* Port: a channel of copies, which may lead to another interpreter. What travels is
 * a parcel: bytes, and references to the ports that the value refers to. Nothing in
 * it is Python's, so whoever has it may drop it.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

typedef struct {
  PyObject_HEAD thrum_chan* chan; /* owned */
} Port;

struct parcel {
  size_t size;
  uint32_t ports;
  thrum_chan* port[]; /* owned references; then the bytes */
};

static char* parcel_bytes(struct parcel* p) {
  return (char*)&p->port[p->ports];
}

static void parcel_free(struct parcel* p) {
  for (uint32_t i = 0; i < p->ports; ++i) {
    thrum_chan_release(p->port[i]);
  }
  thrum_free(p);
}

static void parcel_drop(void* arg, void* element) {
  (void)arg;
  parcel_free(*(struct parcel**)element);
}

static struct parcel* parcel_of(struct state* s, Py_buffer* bytes,
                                PyObject* ports) {
  Py_ssize_t n = PyTuple_GET_SIZE(ports);
  struct parcel* p = thrum_alloc(sizeof *p + (size_t)n * sizeof p->port[0] +
                                 (size_t)bytes->len);
  if (!p) {
    PyErr_NoMemory();
    return NULL;
  }
  p->size = (size_t)bytes->len;
  p->ports = 0;
  for (; p->ports < n; ++p->ports) {
    PyObject* port = PyTuple_GET_ITEM(ports, p->ports);
    if (!PyObject_TypeCheck(port, s->PortType)) {
      PyErr_SetString(PyExc_TypeError, "a tuple of ports is needed");
      parcel_free(p);
      return NULL;
    }
    p->port[p->ports] = ((Port*)port)->chan;
    thrum_chan_retain(p->port[p->ports]);
  }
  memcpy(parcel_bytes(p), bytes->buf, p->size);
  return p;
}

/* (bytes, [port, ...]); takes the parcel. */
static PyObject* parcel_open(PyTypeObject* type, struct parcel* p) {
  PyObject* ports = PyList_New(0);
  for (uint32_t i = 0; ports && i < p->ports; ++i) {
    PyObject* port = port_of(type, p->port[i]);
    if (!port || PyList_Append(ports, port) < 0) {
      Py_CLEAR(ports);
    }
    Py_XDECREF(port);
  }
  PyObject* result =
      ports ? Py_BuildValue("y#N", parcel_bytes(p), (Py_ssize_t)p->size, ports)
            : NULL;
  parcel_free(p);
  return result;
}

PyObject* port_of(PyTypeObject* type, thrum_chan* chan) {
  Port* self = (Port*)type->tp_alloc(type, 0);
  if (self) {
    thrum_chan_retain(chan);
    self->chan = chan;
  }
  return (PyObject*)self;
}

thrum_chan* port_chan_new(uint32_t cap) {
  thrum_chan* chan;
  if (thrum_chan_new(sizeof(struct parcel*), cap, &chan) < 0) {
    return NULL;
  }
  thrum_chan_set_drop(chan, parcel_drop, NULL);
  return chan;
}

static struct state* port_state(PyObject* self) {
  PyObject* module = PyType_GetModuleByDef(Py_TYPE(self), &core_module);
  return module ? PyModule_GetState(module) : NULL;
}

static PyObject* port_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"cap", NULL};
  int cap = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|i:Port", names, &cap)) {
    return NULL;
  }
  if (cap < 0) {
    PyErr_SetString(PyExc_ValueError, "cap must not be negative");
    return NULL;
  }
  thrum_chan* chan = port_chan_new((uint32_t)cap);
  if (!chan) {
    return PyErr_NoMemory();
  }
  PyObject* self = port_of(type, chan);
  thrum_chan_release(chan);
  return self;
}

static void port_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  thrum_chan_release(((Port*)self)->chan);
  type->tp_free(self);
  Py_DECREF(type);
}

static int put(void* chan, void* element, int64_t deadline) {
  return thrum_chan_send(chan, element, deadline);
}

static int take(void* chan, void* element, int64_t deadline) {
  return thrum_chan_recv(chan, element, deadline);
}

/* send_parcel(bytes, (port, ...), timeout=None) */
static PyObject* port_send(PyObject* self, PyObject* args) {
  struct state* s = port_state(self);
  Py_buffer bytes;
  PyObject *ports, *timeout = NULL;
  int64_t deadline;
  if (!PyArg_ParseTuple(args, "y*O!|O", &bytes, &PyTuple_Type, &ports,
                        &timeout)) {
    return NULL;
  }
  struct parcel* p =
      deadline_of(timeout, &deadline) < 0 ? NULL : parcel_of(s, &bytes, ports);
  PyBuffer_Release(&bytes);
  if (!p) {
    return NULL;
  }
  int code = wait_call(put, ((Port*)self)->chan, &p, deadline);
  if (code < 0) {
    parcel_free(p);
    return raise_code(s, code);
  }
  Py_RETURN_NONE;
}

/* recv_parcel(timeout=None): (bytes, [port, ...]) */
static PyObject* port_recv(PyObject* self, PyObject* args) {
  PyObject* timeout = NULL;
  int64_t deadline;
  struct parcel* p;
  if (!PyArg_ParseTuple(args, "|O", &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return NULL;
  }
  int code = wait_call(take, ((Port*)self)->chan, &p, deadline);
  return code < 0 ? raise_code(port_state(self), code)
                  : parcel_open(Py_TYPE(self), p);
}

static PyObject* port_close(PyObject* self, PyObject* none) {
  (void)none;
  int code = thrum_chan_close(((Port*)self)->chan);
  if (code < 0 && code != THRUM_ECLOSED) {
    return raise_code(port_state(self), code);
  }
  Py_RETURN_NONE;
}

static Py_ssize_t port_len(PyObject* self) {
  return thrum_chan_len(((Port*)self)->chan);
}

static int port_bool(PyObject* self) {
  (void)self;
  return 1;
}

static PyMethodDef methods[] = {
    {"send_parcel", port_send, METH_VARARGS, "What send() calls."},
    {"recv_parcel", port_recv, METH_VARARGS, "What recv() calls."},
    {"close", port_close, METH_NOARGS,
     "close()\n--\n\nNo more sends; receivers get what is buffered."},
    {0}};

static PyType_Slot slots[] = {
    {Py_tp_new, port_new},    {Py_tp_dealloc, port_dealloc},
    {Py_tp_methods, methods}, {Py_sq_length, port_len},
    {Py_nb_bool, port_bool},  {0}};

PyType_Spec port_spec = {.name = "thrum._core.Port",
                         .basicsize = sizeof(Port),
                         .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                         .slots = slots};
