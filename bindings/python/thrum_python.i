// Python's part of thrum.i: the module thrum._thrum, the flat layer. It lies in the
// same file as _core, so both are one copy of the library.
//
// - A negative result raises what it means (raise_code in src/wait.c).
// - What C returns by a pointer is returned; of several results a list.
// - A buffer to be written is bytes-like. For one to be filled give a writable
//   one, or the number of bytes: then bytes are returned.
// - A runtime is a thrum.Runtime, or None for that of the calling Task.
// - Deadlines are ints, in ns of thrum_now().
// - In a Task no wrapper gives up the GIL: its M switches thread states inside the
//   call. A thread gives it up around whatever may wait, and sees no Ctrl-C
//   meanwhile; thrum.net does.

%{
#include "flat.h"
%}

%include "stdint.i"

// The headers' comments, by docstrings.py.
%include "docstrings.i"

// ---- What is here ----------------------------------------------------------------
// Constants, errors, time, numbers of a runtime, the network. What takes functions
// or moves Gs is _core's; files and processes are Python's own, in offload().
%define FUNCTIONS
"^thrum_(version_string|build_info|version|strerror|errname|now|after|sleep|yield|check|"
"procs|set_procs|available_procs|live|trim|p_list|memory_report|high_water|trace_hash|"
"addr_.*|resolve|tcp_.*|listen|listener_.*|accept|dial|conn_.*|read|write|write_some|"
"sendfile|udp_.*|poll_fd|fd_.*)$"
%enddef
%rename("$ignore", %$isfunction, %$isglobal, notregexmatch$name=FUNCTIONS) "";
// Objects give themselves back.
%rename("$ignore", %$isfunction, %$isglobal, regexmatch$name="_(release|retain)$") "";
%rename("$ignore", %$isclass,
        notregexmatch$name="^thrum_(addr|p_stats|conn|listener|udp|fd)$") "";
%ignore thrum_addr::opaque;
%ignore thrum_p_stats::struct_size;
%immutable;

// ---- Who has the GIL ----------------------------------------------------------------
%define WAITS(name)
%exception name {
  PyThreadState* outside;
  if (!flat_wait(&outside)) {
    SWIG_fail;
  }
  $action
  if (outside) {
    PyEval_RestoreThread(outside);
  }
}
%enddef
WAITS(thrum_sleep)
WAITS(thrum_yield)
WAITS(thrum_check)
WAITS(thrum_resolve)
WAITS(thrum_tcp_listen)
WAITS(thrum_accept)
WAITS(thrum_tcp_dial)
WAITS(thrum_dial)
WAITS(thrum_conn_wait)
WAITS(thrum_read)
WAITS(thrum_write)
WAITS(thrum_write_some)
WAITS(thrum_sendfile)
WAITS(thrum_udp_send)
WAITS(thrum_udp_recv)
WAITS(thrum_poll_fd)
WAITS(thrum_fd_wait)

// ---- Results ---------------------------------------------------------------------------
%typemap(out) int, int64_t {
  $result = flat_result($1);
  if (!$result) {
    SWIG_fail;
  }
}
// These are never negative but in error; times and members may be.
%typemap(out) int64_t thrum_now, int64_t thrum_after, int64_t preempt_ns {
  $result = PyLong_FromLongLong($1);
}

// A new object that an argument points to replaces a result of 0.
%define MADE(type)
%typemap(in, numinputs=0) type** out (type* made = NULL) {
  $1 = &made;
}
%typemap(argout) type** out {
  Py_XSETREF($result, SWIG_InternalNewPointerObj(made$argnum, $descriptor(type*), SWIG_POINTER_OWN));
}
%nodefaultctor type;
typedef struct type type;
struct type {};
%extend type {
  ~type() { type##_release($self); }
}
%enddef
MADE(thrum_conn)
MADE(thrum_listener)
MADE(thrum_udp)
MADE(thrum_fd)

// ---- Arguments ---------------------------------------------------------------------------
%typemap(in) thrum_rt* {
  if (!flat_runtime($input, &$1)) {
    SWIG_fail;
  }
}

// Strings and buffers.
%typemap(in, numinputs=0) (char* text, size_t size) (char text[16384]) {
  $1 = text;
  $2 = sizeof text;
}
%typemap(argout) (char* text, size_t size) {
  Py_SETREF($result, PyUnicode_DecodeFSDefault($1));
}

%typemap(in) (const void* buf, size_t n) (Py_buffer view = {0}) {
  if (PyObject_GetBuffer($input, &view, PyBUF_SIMPLE) < 0) {
    SWIG_fail;
  }
  $1 = view.buf;
  $2 = (size_t)view.len;
}
%typemap(freearg) (const void* buf, size_t n) { PyBuffer_Release(&view$argnum); }

%typemap(in) (void* buf, size_t n) (Py_buffer view = {0}, PyObject* bytes = NULL) {
  if (PyLong_Check($input)) {
    Py_ssize_t size = PyLong_AsSsize_t($input);
    bytes = size == -1 && PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(NULL, size);
    if (!bytes) {
      SWIG_fail;
    }
    $1 = PyBytes_AS_STRING(bytes);
    $2 = (size_t)size;
  } else {
    if (PyObject_GetBuffer($input, &view, PyBUF_WRITABLE) < 0) {
      SWIG_fail;
    }
    $1 = view.buf;
    $2 = (size_t)view.len;
  }
}
%typemap(argout) (void* buf, size_t n) {
  if (bytes$argnum) {
    if (_PyBytes_Resize(&bytes$argnum, (Py_ssize_t)result) < 0) {
      SWIG_fail;
    }
    Py_SETREF($result, bytes$argnum);
    bytes$argnum = NULL;
  }
}
%typemap(freearg) (void* buf, size_t n) {
  Py_XDECREF(bytes$argnum);
  PyBuffer_Release(&view$argnum);
}

// ---- Addresses ------------------------------------------------------------------------------
%nodefaultctor thrum_addr;
%extend thrum_addr {
  ~thrum_addr() { free($self); }
}
%typemap(in, numinputs=0) thrum_addr* out (thrum_addr addr),
                               thrum_addr* from (thrum_addr addr) {
  memset(&addr, 0, sizeof addr);
  $1 = &addr;
}
%{
static PyObject* addr_new(const thrum_addr* addr, swig_type_info* type) {
  thrum_addr* copy = calloc(1, sizeof *copy);
  if (!copy) {
    return PyErr_NoMemory();
  }
  *copy = *addr;
  return SWIG_InternalNewPointerObj(copy, type, SWIG_POINTER_OWN);
}
%}
%typemap(argout) thrum_addr* out {
  Py_SETREF($result, addr_new($1, $descriptor(thrum_addr*)));
}
%typemap(argout) thrum_addr* from {
  $result = Py_BuildValue("NN", $result, addr_new($1, $descriptor(thrum_addr*)));
}
%typemap(in, numinputs=0) (thrum_addr* out, uint32_t n) (thrum_addr all[16]) {
  $1 = all;
  $2 = 16;
}
%typemap(argout) (thrum_addr* out, uint32_t n) {
  Py_SETREF($result, PyList_New(0));
  for (int i = 0; $result && i < (int)result; ++i) {
    PyObject* one = addr_new(&$1[i], $descriptor(thrum_addr*));
    if (!one || PyList_Append($result, one) < 0) {
      Py_CLEAR($result);
    }
    Py_XDECREF(one);
  }
}
// ---- Numbers of a runtime ---------------------------------------------------------------------
%{
static void stats_row(void* arg, const thrum_p_stats* stats) {
  PyObject** list = arg;
  thrum_p_stats* copy = *list ? calloc(1, sizeof *copy) : NULL;
  if (!copy) {
    return;
  }
  memcpy(copy, stats, stats->struct_size < sizeof *copy ? stats->struct_size : sizeof *copy);
  PyObject* one = SWIG_InternalNewPointerObj(copy, SWIGTYPE_p_thrum_p_stats, SWIG_POINTER_OWN);
  if (!one || PyList_Append(*list, one) < 0) {
    Py_CLEAR(*list);
  }
  Py_XDECREF(one);
}
%}
%extend thrum_p_stats {
  ~thrum_p_stats() { free($self); }
}
%nodefaultctor thrum_p_stats;
%inline %{
PyObject* thrum_p_list(thrum_rt* rt) {
  PyObject* list = PyList_New(0);
  int code = thrum_p_each(rt, stats_row, &list);
  if (code < 0) {
    Py_CLEAR(list);
    return flat_raise(code);
  }
  return list;
}
%}
