/* Conn: a byte stream.
 * SPDX-License-Identifier: MIT
 */
#include "net.h"

#define KEYS(fn) (PyCFunction)(void (*)(void))(fn), METH_VARARGS | METH_KEYWORDS
/* Of one call: what fits into an int. */
#define MOST (1 << 30)
/* What a read of little goes through: the bytes are made when their number is known,
 * which costs less than to make room for all that was asked for and shrink it. */
#define SMALL 4096

typedef struct {
  PyObject_HEAD thrum_conn* conn; /* owned */
  int64_t timeout;                /* ns of a call that names none; < 0: none */
} Conn;

/* ---- Conn: made ------------------------------------------------------------------ */
PyObject* conn_of(PyTypeObject* type, thrum_conn* conn) {
  Conn* self = (Conn*)type->tp_alloc(type, 0);
  if (!self) {
    thrum_conn_release(conn);
    return NULL;
  }
  self->conn = conn;
  self->timeout = -1;
  return (PyObject*)self;
}

static int dial_call(void* object, void* out, int64_t deadline) {
  struct asked* asked = object;
  return asked->port < 0 ? thrum_dial(asked->rt, &asked->all[0], out, deadline)
                         : thrum_tcp_dial(asked->rt, asked->host,
                                          (uint16_t)asked->port, out, deadline);
}

static PyObject* conn_dial(PyObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"host", "port", "timeout", NULL};
  struct state* s = net_state((PyTypeObject*)type);
  struct asked asked = {0};
  PyObject* timeout = NULL;
  thrum_conn* conn;
  int64_t deadline;
  Runtime* rt = runtime_here(s);
  if (!rt ||
      !PyArg_ParseTupleAndKeywords(args, kw, "zi|O", names, &asked.host,
                                   &asked.port, &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return NULL;
  }
  asked.rt = rt->rt;
  int code = asked.port > UINT16_MAX || (asked.port < 0 && !asked.host)
                 ? THRUM_EINVAL
                 : 0;
  if (code == 0 && asked.port < 0) {
    code = addr_literal(asked.host, 0, &asked.all[0]);
  }
  if (code == 0) {
    Py_INCREF(rt);
    code = wait_whole(dial_call, &asked, &conn, deadline);
    Py_DECREF(rt);
  }
  return code < 0 ? raise_code(s, code) : conn_of((PyTypeObject*)type, conn);
}

static PyObject* conn_adopt(PyObject* type, PyObject* number) {
  struct state* s = net_state((PyTypeObject*)type);
  Runtime* rt = runtime_here(s);
  int fd;
  thrum_conn* conn;
  if (!rt || !PyArg_Parse(number, "i", &fd)) {
    return NULL;
  }
  int code = thrum_conn_adopt(rt->rt, fd, &conn);
  return code < 0 ? raise_of_fd(s, code, fd)
                  : conn_of((PyTypeObject*)type, conn);
}

static void conn_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  thrum_conn_release(((Conn*)self)->conn);
  type->tp_free(self);
  Py_DECREF(type);
}

/* ---- Conn: used ------------------------------------------------------------------- */
static int conn_deadline(Conn* self, const char* name, PyObject* const* args,
                         Py_ssize_t n, PyObject* kwnames, int64_t* deadline) {
  if (timeout_of(name, args, n, kwnames, 1, deadline) < 0) {
    return -1;
  }
  if (*deadline == THRUM_FOREVER && self->timeout >= 0) {
    *deadline = self->timeout ? thrum_after(self->timeout) : THRUM_TRY;
  }
  return 0;
}

static int read_call(void* conn, void* arg, int64_t deadline) {
  struct piece* to = arg;
  return (int)thrum_read(conn, to->at, to->n, deadline);
}

static int write_call(void* conn, void* arg, int64_t deadline) {
  struct piece* from = arg;
  return (int)thrum_write(conn, from->at, from->n < MOST ? from->n : MOST,
                          deadline);
}

static int write_some_call(void* conn, void* arg, int64_t deadline) {
  struct piece* from = arg;
  return (int)thrum_write_some(conn, from->at, from->n < MOST ? from->n : MOST,
                               deadline);
}

static PyObject* recv_small(PyObject* self, size_t size, int64_t deadline) {
  char bytes[SMALL];
  struct piece to = {bytes, size};
  int got = wait_call(read_call, ((Conn*)self)->conn, &to, deadline);
  return got < 0 ? net_raise(self, got) : PyBytes_FromStringAndSize(bytes, got);
}

static PyObject* recv_large(PyObject* self, size_t size, int64_t deadline) {
  PyObject* bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
  if (!bytes) {
    return NULL;
  }
  struct piece to = {PyBytes_AS_STRING(bytes), size};
  int got = wait_call(read_call, ((Conn*)self)->conn, &to, deadline);
  if (got < 0) {
    Py_DECREF(bytes);
    return net_raise(self, got);
  }
  if ((size_t)got < size) {
    _PyBytes_Resize(&bytes, got);
  }
  return bytes;
}

static PyObject* conn_recv(PyObject* self, PyObject* const* args, Py_ssize_t n,
                           PyObject* kwnames) {
  Conn* c = (Conn*)self;
  int64_t deadline;
  if (conn_deadline(c, "recv", args, n, kwnames, &deadline) < 0) {
    return NULL;
  }
  Py_ssize_t size = PyLong_AsSsize_t(args[0]);
  if (size == -1 && PyErr_Occurred()) {
    return NULL;
  }
  if (size < 0) {
    return net_raise(self, THRUM_EINVAL);
  }
  return size <= SMALL
             ? recv_small(self, (size_t)size, deadline)
             : recv_large(self, size < MOST ? (size_t)size : MOST, deadline);
}

static PyObject* conn_recv_into(PyObject* self, PyObject* const* args,
                                Py_ssize_t n, PyObject* kwnames) {
  Conn* c = (Conn*)self;
  int64_t deadline;
  Py_buffer view;
  if (conn_deadline(c, "recv_into", args, n, kwnames, &deadline) < 0 ||
      PyObject_GetBuffer(args[0], &view, PyBUF_WRITABLE) < 0) {
    return NULL;
  }
  struct piece to = {view.buf, view.len < MOST ? (size_t)view.len : MOST};
  int got = wait_call(read_call, c->conn, &to, deadline);
  PyBuffer_Release(&view);
  return got < 0 ? net_raise(self, got) : PyLong_FromLong(got);
}

/* What is sent. Bytes, which the caller keeps, need no protocol. */
static int view_of(PyObject* data, Py_buffer* view) {
  if (!PyBytes_CheckExact(data)) {
    return PyObject_GetBuffer(data, view, PyBUF_SIMPLE);
  }
  view->buf = PyBytes_AS_STRING(data);
  view->len = PyBytes_GET_SIZE(data);
  view->obj = NULL;
  return 0;
}

/* Piece by piece, for a thread looks at signals in between. */
static PyObject* conn_sendall(PyObject* self, PyObject* const* args,
                              Py_ssize_t n, PyObject* kwnames) {
  Conn* c = (Conn*)self;
  int64_t deadline;
  Py_buffer view;
  if (conn_deadline(c, "sendall", args, n, kwnames, &deadline) < 0 ||
      view_of(args[0], &view) < 0) {
    return NULL;
  }
  struct piece from = {view.buf, (size_t)view.len};
  int wrote = 0;
  while (from.n && wrote >= 0) {
    wrote = wait_call(write_call, c->conn, &from, deadline);
    if (wrote > 0) {
      from.at = (char*)from.at + wrote;
      from.n -= (size_t)wrote;
    }
  }
  PyBuffer_Release(&view);
  return net_done(self, wrote);
}

static PyObject* conn_send(PyObject* self, PyObject* const* args, Py_ssize_t n,
                           PyObject* kwnames) {
  Conn* c = (Conn*)self;
  int64_t deadline;
  Py_buffer view;
  if (conn_deadline(c, "send", args, n, kwnames, &deadline) < 0 ||
      view_of(args[0], &view) < 0) {
    return NULL;
  }
  struct piece from = {view.buf, (size_t)view.len};
  int wrote = from.n ? wait_call(write_some_call, c->conn, &from, deadline) : 0;
  PyBuffer_Release(&view);
  return wrote < 0 ? net_raise(self, wrote) : PyLong_FromLong(wrote);
}

struct part {
  int fd;
  int64_t offset;
  size_t n;
};

static int sendfile_call(void* conn, void* arg, int64_t deadline) {
  struct part* part = arg;
  return (int)thrum_sendfile(conn, part->fd, part->offset,
                             part->n < MOST ? part->n : MOST, deadline);
}

/* sendfile(fd, offset, count, timeout=None): bytes sent, fewer at its end. */
static PyObject* conn_sendfile(PyObject* self, PyObject* args) {
  Conn* c = (Conn*)self;
  struct part part;
  long long offset;
  Py_ssize_t count;
  PyObject* timeout = NULL;
  int64_t deadline;
  if (!PyArg_ParseTuple(args, "iLn|O", &part.fd, &offset, &count, &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return NULL;
  }
  if (offset < 0 || count < 0) {
    return net_raise(self, THRUM_EINVAL);
  }
  part.offset = offset;
  part.n = (size_t)count;
  int sent = 1;
  while (part.n && sent > 0) {
    sent = wait_call(sendfile_call, c->conn, &part, deadline);
    if (sent > 0) {
      part.offset += sent;
      part.n -= (size_t)sent;
    }
  }
  return sent < 0 ? net_raise(self, sent)
                  : PyLong_FromLongLong(part.offset - offset);
}

static int conn_wait_call(void* conn, void* events, int64_t deadline) {
  return thrum_conn_wait(conn, *(int*)events, deadline);
}

static PyObject* conn_wait(PyObject* self, PyObject* const* args, Py_ssize_t n,
                           PyObject* kwnames) {
  Conn* c = (Conn*)self;
  int64_t deadline;
  if (conn_deadline(c, "wait", args, n, kwnames, &deadline) < 0) {
    return NULL;
  }
  int events = (int)PyLong_AsLong(args[0]);
  if (events == -1 && PyErr_Occurred()) {
    return NULL;
  }
  return net_done(self, wait_call(conn_wait_call, c->conn, &events, deadline));
}

static PyObject* conn_shutdown_write(PyObject* self, PyObject* none) {
  (void)none;
  return net_done(self, thrum_conn_shutdown(((Conn*)self)->conn));
}

static PyObject* conn_close(PyObject* self, PyObject* args) {
  (void)args;
  return net_done(self, thrum_conn_close(((Conn*)self)->conn));
}

static PyObject* conn_fileno(PyObject* self, PyObject* none) {
  (void)none;
  int fd = thrum_conn_fd(((Conn*)self)->conn);
  return PyLong_FromLong(fd < 0 ? -1 : fd);
}

static PyObject* conn_address(PyObject* self, PyObject* peer) {
  thrum_conn* conn = ((Conn*)self)->conn;
  thrum_addr addr;
  int code = PyObject_IsTrue(peer) ? thrum_conn_peer(conn, &addr)
                                   : thrum_conn_local(conn, &addr);
  return code < 0 ? net_raise(self, code) : addr_object(&addr);
}

static PyObject* conn_set(PyObject* self, PyObject* args) {
  unsigned option;
  int value;
  if (!PyArg_ParseTuple(args, "Ii", &option, &value)) {
    return NULL;
  }
  return net_done(self, thrum_conn_set(((Conn*)self)->conn, option, value));
}

static PyObject* conn_settimeout(PyObject* self, PyObject* timeout) {
  Conn* c = (Conn*)self;
  int64_t ns = -1;
  if (timeout != Py_None && nanoseconds(timeout, &ns) < 0) {
    return NULL;
  }
  c->timeout = ns;
  Py_RETURN_NONE;
}

static PyObject* conn_gettimeout(PyObject* self, PyObject* none) {
  (void)none;
  int64_t ns = ((Conn*)self)->timeout;
  return ns < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble((double)ns / 1e9);
}

static PyMethodDef conn_methods[] = {
    {"dial", KEYS(conn_dial) | METH_CLASS, "What connect() calls."},
    {"adopt", conn_adopt, METH_O | METH_CLASS,
     "adopt(fd)\n--\n\nTakes over a connected socket or an end of a pipe."},
    {"recv", FAST(conn_recv),
     "recv(n, timeout=None)\n--\n\nWhat is there, 1 to n bytes; b'' at the end "
     "of the stream."},
    {"recv_into", FAST(conn_recv_into),
     "recv_into(buffer, timeout=None)\n--\n\nThe same into a buffer: bytes "
     "read."},
    {"sendall", FAST(conn_sendall),
     "sendall(data, timeout=None)\n--\n\nSends all of it."},
    {"send", FAST(conn_send),
     "send(data, timeout=None)\n--\n\nSends at least a byte: bytes sent."},
    {"sendfile_fd", conn_sendfile, METH_VARARGS, "What sendfile() calls."},
    {"wait", FAST(conn_wait),
     "wait(events, timeout=None)\n--\n\nUntil there is something to read (1) "
     "or "
     "room to write (2)."},
    {"shutdown_write", conn_shutdown_write, METH_NOARGS,
     "shutdown_write()\n--\n\nThe peer reads to the end of the stream."},
    {"close", conn_close, METH_NOARGS,
     "close()\n--\n\nEnds it, and all waits on it with ClosedError."},
    {"fileno", conn_fileno, METH_NOARGS, "fileno()\n--\n\n-1: it is closed."},
    {"address", conn_address, METH_O,
     "address(peer)\n--\n\nOf this end, or of the other."},
    {"set", conn_set, METH_VARARGS, "What setsockopt() calls."},
    {"settimeout", conn_settimeout, METH_O,
     "settimeout(seconds)\n--\n\nOf calls that name none."},
    {"gettimeout", conn_gettimeout, METH_NOARGS,
     "gettimeout()\n--\n\nWhat settimeout() has set."},
    {0}};
static PyType_Slot conn_slots[] = {
    {Py_tp_dealloc, conn_dealloc}, {Py_tp_methods, conn_methods}, {0}};
PyType_Spec conn_spec = {.name = "thrum._core.Conn",
                         .basicsize = sizeof(Conn),
                         .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE |
                                  Py_TPFLAGS_DISALLOW_INSTANTIATION,
                         .slots = conn_slots};
