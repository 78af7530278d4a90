/* How calls wait, and what their codes mean.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "core.h"
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a thread waits before it looks at signals. */
#define LOOK_NS 20000000

/* ---- The bell -------------------------------------------------------------------- */
/* Where CPython's signal handler writes while the main thread waits, so that it can
 * look without the GIL: to take that every LOOK_NS would stop a Task that computes
 * each time, and the others would wait for it twice as long. */
static int bell[2] = {-1, -1}; /* the main thread's */
static ino_t pipe_of_bell;

/* A program may close all descriptors, and the numbers are others' then. */
static int bell_there(void) {
  struct stat ends[2];
  return bell[0] >= 0 && fstat(bell[0], &ends[0]) == 0 &&
         fstat(bell[1], &ends[1]) == 0 && S_ISFIFO(ends[0].st_mode) &&
         ends[0].st_ino == pipe_of_bell && ends[1].st_ino == pipe_of_bell;
}

/* With numbers above those of the standard streams, which a program may have closed to
 * open others there. */
static int bell_make(void) {
  int ends[2];
  struct stat it;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
    return 0;
  }
  for (int i = 0; i < 2; ++i) {
    bell[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
    close(ends[i]);
  }
  pipe_of_bell = fstat(bell[0], &it) == 0 ? it.st_ino : 0;
  return bell_there();
}

/* signal.set_wakeup_fd(fd); -2: this is not the main thread, or fd is closed. */
static int wakeup_fd(int fd) {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  PyObject* module = PyImport_ImportModule("signal");
  PyObject* former =
      module ? PyObject_CallMethod(module, "set_wakeup_fd", "i", fd) : NULL;
  int result = former ? (int)PyLong_AsLong(former) : -2;
  Py_XDECREF(former);
  Py_XDECREF(module);
  PyErr_Restore(type, error, trace);
  return result;
}

/* 0: not here, or somebody else listens to signals this way. */
static int bell_hang(int* before) {
  if (gettid() != getpid() || (!bell_there() && !bell_make())) {
    return 0;
  }
  *before = wakeup_fd(bell[1]);
  if (*before == -1 || *before == bell[1]) {
    return 1;
  }
  if (*before >= 0) {
    wakeup_fd(*before);
  }
  return 0;
}

static int bell_rings(void) {
  char bytes[4096];
  return !bell_there() || read(bell[0], bytes, sizeof bytes) > 0;
}

static void bell_take(int before) {
  int now = wakeup_fd(before);
  if (now >= 0 && now != bell[1]) {
    wakeup_fd(now); /* a handler has set its own */
  }
}

void bell_forget(void) {
  if (bell_there()) {
    bell_take(-1);
    close(bell[0]);
    close(bell[1]);
  }
  bell[0] = bell[1] = -1;
}

/* ---- Waits ----------------------------------------------------------------------- */

int raise_no_wait(void) {
  PyErr_SetString(PyExc_RuntimeError,
                  "this must not wait: it is offloaded, at the very end of a "
                  "Task, in another interpreter that a Task runs, or a native "
                  "green thread");
  return INTERRUPTED;
}

/* < 0: warnings are errors. */
static int warn_of_locks(struct green* g) {
  PyObject* name = PyObject_GetAttrString((PyObject*)g->task, "name");
  int code = name ? PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                                     "Task %S waits while it holds %d lock(s) "
                                     "of threading",
                                     name, g->held)
                  : -1;
  Py_XDECREF(name);
  return code;
}

/* THRUM_EAGAIN: it is time to look at signals. */
static int wait_slice(wait_fn fn, void* object, void* arg, int64_t deadline,
                      int hangs) {
  for (;;) {
    int64_t look = thrum_after(LOOK_NS);
    if (deadline <= look) {
      return fn(object, arg, deadline);
    }
    int code = fn(object, arg, look);
    if (code != THRUM_ETIMEDOUT) {
      return code;
    }
    if (!hangs || bell_rings()) {
      return THRUM_EAGAIN;
    }
  }
}

int wait_other(struct green* g, wait_fn fn, void* object, void* arg,
               int64_t deadline) {
  if (g && !g->apart) {
    if (deadline != THRUM_TRY) { /* it holds locks */
      int code = fn(object, arg, THRUM_TRY);
      if (code != THRUM_EAGAIN) {
        return code;
      }
      if (warn_of_locks(g) < 0) {
        return INTERRUPTED;
      }
    }
    return fn(object, arg, deadline);
  }
  if (thrum_self() && deadline != THRUM_TRY) {
    return raise_no_wait();
  }
  int code = fn(object, arg, THRUM_TRY);
  if (code != THRUM_EAGAIN || deadline == THRUM_TRY) {
    return code;
  }
  int before, hangs = bell_hang(&before);
  /* It has not rung for what came before. */
  if (hangs && PyErr_CheckSignals() < 0) {
    code = INTERRUPTED;
  }
  while (code == THRUM_EAGAIN) {
    Py_BEGIN_ALLOW_THREADS code = wait_slice(fn, object, arg, deadline, hangs);
    Py_END_ALLOW_THREADS if (code == THRUM_EAGAIN && PyErr_CheckSignals() < 0) {
      code = INTERRUPTED;
    }
  }
  if (hangs && bell[0] >= 0) { /* no handler has forked */
    bell_take(before);
  }
  return code;
}

int wait_whole(wait_fn fn, void* object, void* arg, int64_t deadline) {
  struct green* g = green_here();
  int code;
  if (g && !g->apart) {
    return fn(object, arg, deadline);
  }
  if (thrum_self()) {
    return raise_no_wait();
  }
  Py_BEGIN_ALLOW_THREADS code = fn(object, arg, deadline);
  Py_END_ALLOW_THREADS if (code < 0 && PyErr_CheckSignals() < 0) {
    code = INTERRUPTED;
  }
  return code;
}

PyObject* raise_code(struct state* s, int code) {
  PyObject* type = s->Error;
  switch (code) {
    case INTERRUPTED:
      return NULL;
    case THRUM_ETIMEDOUT:
    case THRUM_EAGAIN:
      type = s->Timeout;
      break;
    case THRUM_ECANCELED:
      type = s->Cancelled;
      break;
    case THRUM_ECLOSED:
      type = s->Closed;
      break;
    case THRUM_EDEADLOCK:
      type = s->Deadlock;
      break;
    case THRUM_ENOMEM:
      return PyErr_NoMemory();
    case THRUM_EINVAL:
      type = PyExc_ValueError;
      break;
    case THRUM_ENOTG:
      PyErr_SetString(PyExc_RuntimeError, "only inside a Task");
      return NULL;
    case THRUM_EPERM:
    case THRUM_EFORKED:
      type = PyExc_RuntimeError;
      break;
  }
  if (type == s->Error && code > -1000) {
    /* The system's: OSError makes its subclass of the number. */
    PyObject* error =
        PyObject_CallFunction(PyExc_OSError, "is", -code, thrum_strerror(code));
    if (error) {
      PyErr_SetObject((PyObject*)Py_TYPE(error), error);
      Py_DECREF(error);
    }
    return NULL;
  }
  PyErr_SetString(type, thrum_strerror(code));
  return NULL;
}

/* Where a call of sockets takes flags there is a timeout here, and flags are ints. */
static int are_flags(PyObject* seconds) {
  return PyLong_Check(seconds) && !PyLong_CheckExact(seconds) &&
         strcmp(Py_TYPE(seconds)->tp_name, "MsgFlag") == 0;
}

/* Saturates; rounds up, so that no wait is shorter than asked for. */
int nanoseconds(PyObject* seconds, int64_t* ns) {
  if (are_flags(seconds)) {
    PyErr_Format(
        PyExc_TypeError,
        "a timeout in seconds is expected, not %R: who needs flags takes "
        "socket.socket and thrum.patch()",
        seconds);
    return -1;
  }
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) {
    return -1;
  }
  if (isnan(value)) {
    PyErr_SetString(PyExc_ValueError, "a time must not be NaN");
    return -1;
  }
  value = ceil(value * 1e9);
  *ns = value >= 9.2e18 ? THRUM_FOREVER : value <= 0 ? 0 : (int64_t)value;
  return 0;
}

int deadline_of(PyObject* timeout, int64_t* deadline) {
  int64_t ns;
  if (!timeout || timeout == Py_None) {
    *deadline = THRUM_FOREVER;
    return 0;
  }
  if (nanoseconds(timeout, &ns) < 0) {
    return -1;
  }
  *deadline = ns ? thrum_after(ns) : THRUM_TRY;
  return 0;
}

int count_of(PyObject* number, void* count) {
  Py_ssize_t n = PyNumber_AsSsize_t(number, PyExc_OverflowError);
  if (n == -1 && PyErr_Occurred()) {
    return 0;
  }
  if (n < 0 || n > INT32_MAX) {
    PyErr_Format(PyExc_ValueError, "%zd is negative or too large a count", n);
    return 0;
  }
  *(unsigned*)count = (unsigned)n;
  return 1;
}

int timeout_of(const char* name, PyObject* const* args, Py_ssize_t n,
               PyObject* kwnames, Py_ssize_t want, int64_t* deadline) {
  Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  if (n == want && !named) {
    *deadline = THRUM_FOREVER;
    return 0;
  }
  if (n + named == want + 1 && n >= want &&
      (!named || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0),
                                                  "timeout") == 0)) {
    return deadline_of(args[want], deadline);
  }
  PyErr_Format(PyExc_TypeError, "%s() takes %zd argument(s) and timeout", name,
               want);
  return -1;
}
