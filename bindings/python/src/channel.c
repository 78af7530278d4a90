/* Channel: references to Python objects through a channel of thrum's. An element
 * owns one reference: the sender's until the send has succeeded, the receiver's
 * from then on.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

typedef struct {
  PyObject_HEAD thrum_chan* chan; /* owned */
  Py_ssize_t calls;               /* that are under way, some without the GIL */
} Channel;

static int put_until(void* chan, void* element, int64_t deadline) {
  return thrum_chan_send(chan, element, deadline);
}

static int take_until(void* chan, void* element, int64_t deadline) {
  return thrum_chan_recv(chan, element, deadline);
}

static int put(PyObject* self, PyObject** value, int64_t deadline) {
  Channel* c = (Channel*)self;
  ++c->calls;
  int code = wait_call(put_until, c->chan, value, deadline);
  --c->calls;
  return code;
}

static int take(PyObject* self, PyObject** value, int64_t deadline) {
  Channel* c = (Channel*)self;
  ++c->calls;
  int code = wait_call(take_until, c->chan, value, deadline);
  --c->calls;
  return code;
}

static PyObject* channel_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"cap", NULL};
  Py_ssize_t cap = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|n:Channel", names, &cap)) {
    return NULL;
  }
  if (cap < 0 || cap > INT32_MAX) {
    PyErr_SetString(PyExc_ValueError, "cap must not be negative or huge");
    return NULL;
  }
  Channel* self = (Channel*)type->tp_alloc(type, 0);
  if (!self) {
    return NULL;
  }
  int code = thrum_chan_new(sizeof(PyObject*), (uint32_t)cap, &self->chan);
  if (code < 0) {
    Py_DECREF(self);
    return raise_code(PyType_GetModuleState(type), code);
  }
  return (PyObject*)self;
}

struct visit {
  visitproc visit;
  void* arg;
};

static int visit_element(void* visit, const void* element) {
  const struct visit* v = visit;
  return v->visit(*(PyObject* const*)element, v->arg);
}

/* A call without the GIL may take out what the collector has just counted. Who
 * calls has a reference, so that nothing of this is garbage then. */
static int channel_traverse(PyObject* self, visitproc visit, void* arg) {
  Channel* c = (Channel*)self;
  Py_VISIT(Py_TYPE(self));
  struct visit v = {visit, arg};
  return c->calls || !c->chan ? 0 : thrum_chan_each(c->chan, visit_element, &v);
}

static int channel_clear(PyObject* self) {
  Channel* c = (Channel*)self;
  PyObject* value;
  while (c->chan && thrum_chan_recv(c->chan, &value, THRUM_TRY) == 0) {
    Py_DECREF(value);
  }
  return 0;
}

/* Whoever is in a call on it has a reference: nobody waits here any more. */
static void channel_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, channel_dealloc); /* a channel in a channel in … */
  channel_clear(self);
  thrum_chan_release(((Channel*)self)->chan);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

static PyObject* channel_repr(PyObject* self) {
  thrum_chan* chan = ((Channel*)self)->chan;
  return PyUnicode_FromFormat("<thrum.Channel cap=%u len=%u>",
                              thrum_chan_cap(chan), thrum_chan_len(chan));
}

static PyObject* channel_send(PyObject* self, PyObject* const* args,
                              Py_ssize_t n, PyObject* kwnames) {
  int64_t deadline;
  if (timeout_of("send", args, n, kwnames, 1, &deadline) < 0) {
    return NULL;
  }
  PyObject* value = Py_NewRef(args[0]);
  int code = put(self, &value, deadline);
  if (code < 0) {
    Py_DECREF(value);
    return raise_code(state_of(self), code);
  }
  Py_RETURN_NONE;
}

static PyObject* channel_recv(PyObject* self, PyObject* const* args,
                              Py_ssize_t n, PyObject* kwnames) {
  int64_t deadline;
  PyObject* value;
  if (timeout_of("recv", args, n, kwnames, 0, &deadline) < 0) {
    return NULL;
  }
  int code = take(self, &value, deadline);
  return code < 0 ? raise_code(state_of(self), code) : value;
}

static PyObject* channel_try_send(PyObject* self, PyObject* value) {
  Py_INCREF(value);
  int code = thrum_chan_send(((Channel*)self)->chan, &value, THRUM_TRY);
  if (code < 0) {
    Py_DECREF(value);
    if (code != THRUM_EAGAIN) {
      return raise_code(state_of(self), code);
    }
  }
  return PyBool_FromLong(code == 0);
}

static PyObject* channel_try_recv(PyObject* self, PyObject* const* args,
                                  Py_ssize_t n) {
  PyObject* value;
  if (n > 1) {
    PyErr_SetString(PyExc_TypeError, "try_recv() takes one default at most");
    return NULL;
  }
  int code = thrum_chan_recv(((Channel*)self)->chan, &value, THRUM_TRY);
  if (code == THRUM_EAGAIN) {
    return Py_NewRef(n ? args[0] : Py_None);
  }
  return code < 0 ? raise_code(state_of(self), code) : value;
}

static PyObject* channel_next(PyObject* self) {
  PyObject* value;
  int code = take(self, &value, THRUM_FOREVER);
  if (code == THRUM_ECLOSED) {
    return NULL; /* the end of the iteration */
  }
  return code < 0 ? raise_code(state_of(self), code) : value;
}

static PyObject* channel_close(PyObject* self, PyObject* none) {
  (void)none;
  int code = thrum_chan_close(((Channel*)self)->chan);
  if (code < 0 && code != THRUM_ECLOSED) {
    return raise_code(state_of(self), code);
  }
  Py_RETURN_NONE;
}

static Py_ssize_t channel_len(PyObject* self) {
  return (Py_ssize_t)thrum_chan_len(((Channel*)self)->chan);
}

/* A channel is true however few elements it holds. */
static int channel_bool(PyObject* self) {
  (void)self;
  return 1;
}

static PyObject* channel_cap(PyObject* self, void* none) {
  (void)none;
  return PyLong_FromUnsignedLong(thrum_chan_cap(((Channel*)self)->chan));
}

/* ---- select ------------------------------------------------------------------- */
struct arms {
  thrum_case* cases;
  uint32_t n;
};

static int choose(void* arms, void* none, int64_t deadline) {
  (void)none;
  struct arms* a = arms;
  return thrum_select(a->cases, a->n, deadline);
}

/* An arm is (channel,) to receive or (channel, value) to send. The sequence
 * keeps channels and values alive; a value that is sent gets a reference. */
static int arm_of(struct state* s, PyObject* arm, thrum_case* out,
                  PyObject** slot) {
  if (!PyTuple_Check(arm) || PyTuple_GET_SIZE(arm) < 1 ||
      PyTuple_GET_SIZE(arm) > 2 ||
      !PyObject_TypeCheck(PyTuple_GET_ITEM(arm, 0), s->ChannelType)) {
    PyErr_SetString(PyExc_TypeError,
                    "an arm is (channel,) or (channel, value)");
    return -1;
  }
  int sends = PyTuple_GET_SIZE(arm) == 2;
  *slot = sends ? Py_NewRef(PyTuple_GET_ITEM(arm, 1)) : NULL;
  *out = (thrum_case){.chan = ((Channel*)PyTuple_GET_ITEM(arm, 0))->chan,
                      .elem = slot,
                      .op = sends ? THRUM_SEND : THRUM_RECV};
  return 0;
}

static void count_calls(PyObject* list, int by) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list); ++i) {
    ((Channel*)PyTuple_GET_ITEM(PyTuple_GET_ITEM(list, i), 0))->calls += by;
  }
}

/* select_cases(arms, timeout=None): (index, value or None, closed) */
PyObject* select_cases(PyObject* module, PyObject* const* args, Py_ssize_t n) {
  struct state* s = PyModule_GetState(module);
  int64_t deadline;
  if (timeout_of("select_cases", args, n, NULL, 1, &deadline) < 0) {
    return NULL;
  }
  PyObject* list = PySequence_Tuple(args[0]);
  if (!list) {
    return NULL;
  }
  Py_ssize_t count = PyTuple_GET_SIZE(list);
  thrum_case* cases = PyMem_Calloc((size_t)count + 1, sizeof *cases);
  PyObject** slots = PyMem_Calloc((size_t)count + 1, sizeof *slots);
  PyObject* result = cases && slots ? NULL : PyErr_NoMemory();
  int ready = cases && slots ? 0 : -1;
  for (Py_ssize_t i = 0; ready == 0 && i < count; ++i) {
    ready = arm_of(s, PyTuple_GET_ITEM(list, i), &cases[i], &slots[i]);
  }
  if (ready == 0) {
    struct arms arms = {cases, (uint32_t)count};
    count_calls(list, 1);
    int chosen = wait_call(choose, &arms, NULL, deadline);
    count_calls(list, -1);
    if (chosen < 0) {
      raise_code(s, chosen);
    } else {
      int closed = cases[chosen].result == THRUM_ECLOSED;
      PyObject* value = Py_None;
      if (!closed && cases[chosen].op == THRUM_SEND) {
        slots[chosen] = NULL; /* the channel's now */
      } else if (!closed) {
        value = slots[chosen];
      }
      result = Py_BuildValue("iOO", chosen, value, closed ? Py_True : Py_False);
    }
  }
  for (Py_ssize_t i = 0; slots && i < count; ++i) {
    Py_XDECREF(slots[i]);
  }
  PyMem_Free(cases);
  PyMem_Free(slots);
  Py_DECREF(list);
  return result;
}

/* ---- The type ------------------------------------------------------------------- */
static PyMethodDef methods[] = {
    {"send", (PyCFunction)(void (*)(void))channel_send,
     METH_FASTCALL | METH_KEYWORDS,
     "send(value, timeout=None)\n--\n\nWaits for room or a receiver. Raises "
     "ClosedError, Timeout."},
    {"recv", (PyCFunction)(void (*)(void))channel_recv,
     METH_FASTCALL | METH_KEYWORDS,
     "recv(timeout=None)\n--\n\nWaits for a value. Raises ClosedError once it "
     "is "
     "closed and empty, Timeout."},
    {"try_send", channel_try_send, METH_O,
     "try_send(value)\n--\n\nSends if that needs no wait; False if it does."},
    {"try_recv", (PyCFunction)(void (*)(void))channel_try_recv, METH_FASTCALL,
     "try_recv(default=None)\n--\n\nA value if there is one, else the "
     "default."},
    {"close", channel_close, METH_NOARGS,
     "close()\n--\n\nNo more sends; receivers get what is buffered."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {0}};

static PyGetSetDef properties[] = {
    {"cap", channel_cap, NULL, "How many values it buffers.", NULL}, {0}};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "Channel(cap=0)\n--\n\nCarries values, in order, between green threads "
     "and "
     "threads. cap 0: a send waits for its receiver. Iteration ends when it is "
     "closed and empty.\n\n"
     ">>> channel = thrum.Channel(cap=2)\n"
     ">>> channel.send(\"a\")\n"
     ">>> channel.send(\"b\")\n"
     ">>> channel.close()\n"
     ">>> list(channel)\n"
     "['a', 'b']\n"},
    {Py_tp_new, channel_new},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, channel_next},
    {Py_sq_length, channel_len},
    {Py_nb_bool, channel_bool},
    {Py_tp_repr, channel_repr},
    {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},
    {Py_tp_dealloc, channel_dealloc},
    {0}};

PyType_Spec channel_spec = {.name = "thrum.Channel",
                            .basicsize = sizeof(Channel),
                            .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                     Py_TPFLAGS_IMMUTABLETYPE,
                            .slots = slots};
