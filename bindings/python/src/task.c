/* Task: a Python call that runs as a G.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <stdatomic.h>
#include <structmember.h>
#include <unistd.h>

#define NO_KEY UINT32_MAX
static _Atomic(uint32_t) green_key = NO_KEY;

/* Several interpreters may import this at once: the first key counts. */
int green_key_make(void) {
  uint32_t none = NO_KEY, key;
  if (atomic_load_explicit(&green_key, memory_order_relaxed) != NO_KEY) {
    return 0;
  }
  int code = thrum_local_new(NULL, &key);
  if (code == 0) {
    atomic_compare_exchange_strong_explicit(
        &green_key, &none, key, memory_order_relaxed, memory_order_relaxed);
  }
  return code;
}

struct green* green_of_g(void) {
  return thrum_local_get(
      atomic_load_explicit(&green_key, memory_order_relaxed));
}

static PyObject* take_error(void) {
#if PY_VERSION_HEX >= 0x030c0000
  return PyErr_GetRaisedException();
#else
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  PyErr_NormalizeException(&type, &error, &trace);
  if (trace) {
    PyException_SetTraceback(error, trace);
  }
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return error;
#endif
}

static void put_error(PyObject* error) {
#if PY_VERSION_HEX >= 0x030c0000
  PyErr_SetRaisedException(error);
#else
  PyErr_Restore(Py_NewRef((PyObject*)Py_TYPE(error)), error,
                PyException_GetTraceback(error));
#endif
}

/* ---- The G ------------------------------------------------------------------ */
static void call(struct green* g) {
  Task* t = g->task;
  PyObject* result = NULL;
  if (PyContext_Enter(g->context) == 0) {
    result = PyObject_Call(t->fn, g->args, g->kwargs);
    PyObject* error = result ? NULL : take_error();
    PyContext_Exit(g->context);
    t->error = error;
  } else {
    t->error = take_error();
  }
  t->result = result;
}

/* The child of a fork inside a Task ends where the Task does. */
static void end_child(Task* t) {
  PyObject* module = PyImport_ImportModule("thrum._fork");
  PyObject* said = module ? PyObject_CallMethod(module, "end_child", "O",
                                                t->error ? t->error : Py_None)
                          : NULL;
  (void)said; /* it does not return */
  _exit(1);
}

static void green_main(void* arg) {
  struct green* g = arg;
  struct state* s = g->task->runtime->state;
  unsigned forks = s->forks;
  tstate_begin(g->ts);
  if (thrum_local_set(atomic_load_explicit(&green_key, memory_order_relaxed),
                      g) == 0) {
    call(g);
  } else {
    PyErr_NoMemory();
    g->task->error = take_error();
  }
  if (s->forks != forks) {
    end_child(g->task);
  }
}

/* What stands for the Task if nobody named it. */
static PyObject* name_of(PyObject* fn) {
  PyObject* name = PyObject_GetAttrString(fn, "__qualname__");
  if (name && PyUnicode_Check(name)) {
    return name;
  }
  PyErr_Clear();
  Py_XDECREF(name);
  return PyObject_Repr(fn);
}

/* The last act of the G, on its stack and in its thread state. fn was left out
 * if its runtime stops. */
void green_drop(void* arg) {
  struct green* g = arg;
  Task* t = g->task;
  PyThreadState* ts = g->ts;
  if (!t->result && !t->error) {
    PyErr_SetString(t->runtime->state->Cancelled, "stopped before it began");
    t->error = take_error();
  }
  g->apart = 1; /* what finalizers and the like do from here on must not wait */
  if ((Py_REFCNT(t) > 1 || t->error) && !t->name) {
    t->name = name_of(t->fn);
    PyErr_Clear();
  }
  Py_CLEAR(g->args);
  Py_CLEAR(g->kwargs);
  Py_CLEAR(g->context);
  Py_CLEAR(t->fn);
  t->green = NULL;
  g->task = NULL;
  Py_DECREF(t);
  PyThreadState_Clear(ts);
  /* ts stays current: the next green on this carrier takes it over, or who
   * comes next gives it back (make_current). */
  struct carrier* c = atomic_load_explicit(&g->on, memory_order_relaxed);
  c->green = NULL;
  PyMem_Free(g);
}

/* One that was never spawned. */
static void green_free(struct green* g) {
  Py_XDECREF(g->args);
  Py_XDECREF(g->kwargs);
  Py_XDECREF(g->context);
  PyMem_Free(g);
}

static int pack_arguments(struct green* g, PyObject* const* args, Py_ssize_t n,
                          PyObject* kwnames) {
  g->args = PyTuple_New(n);
  if (!g->args) {
    return -1;
  }
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyTuple_SET_ITEM(g->args, i, Py_NewRef(args[i]));
  }
  Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
  if (named && !(g->kwargs = PyDict_New())) {
    return -1;
  }
  for (Py_ssize_t i = 0; i < named; ++i) {
    if (PyDict_SetItem(g->kwargs, PyTuple_GET_ITEM(kwnames, i), args[n + i]) <
        0) {
      return -1;
    }
  }
  return 0;
}

/* A call of such a one would do nothing. */
static int is_async(PyObject* fn) {
  return PyFunction_Check(fn) &&
         ((PyCodeObject*)PyFunction_GET_CODE(fn))->co_flags & CO_COROUTINE;
}

/* args[0] is the function. */
Task* task_spawn(struct state* s, Runtime* rt, PyObject* const* args,
                 Py_ssize_t n, PyObject* kwnames) {
  if (n < 1 || !PyCallable_Check(args[0])) {
    PyErr_SetString(PyExc_TypeError,
                    n && PyCoro_CheckExact(args[0])
                        ? "a coroutine is run by block_on()"
                        : "the first argument must be callable");
    return NULL;
  }
  if (is_async(args[0])) {
    PyErr_Format(PyExc_TypeError,
                 "%R is async: what it returns is run by block_on()", args[0]);
    return NULL;
  }
  struct green* g = PyMem_Calloc(1, sizeof *g);
  if (!g) {
    return (Task*)PyErr_NoMemory();
  }
  Task* t = NULL;
  if (pack_arguments(g, args + 1, n - 1, kwnames) == 0 &&
      (g->context = PyContext_CopyCurrent())) {
    t = (Task*)s->TaskType->tp_alloc(s->TaskType, 0);
  }
  if (!t) {
    green_free(g);
    return NULL;
  }
  t->fn = Py_NewRef(args[0]);
  t->runtime = (Runtime*)Py_NewRef(rt);
  t->green = g;
  g->task = (Task*)Py_NewRef(t);
  int code = thrum_spawn(rt->rt, &rt->opts, green_main, g, &t->g);
  if (code < 0) {
    t->green = NULL;
    green_free(g);
    Py_DECREF(t);
    Py_DECREF(t);
    if (code == THRUM_ECLOSED) {
      PyErr_SetString(s->Closed, "the runtime has stopped");
    } else {
      raise_code(s, code);
    }
    return NULL;
  }
  return t;
}

/* ---- Waiting for one --------------------------------------------------------- */
static int ended(Task* t) { return t->result || t->error; }

static int join(void* rt, void* g, int64_t deadline) {
  return thrum_join(rt, *(thrum_g*)g, deadline);
}

/* 0: it has a result or an error. */
int task_wait_code(Task* t, int64_t deadline) {
  if (ended(t)) {
    return 0;
  }
  int code = wait_call(join, t->runtime->rt, &t->g, deadline);
  /* Without one it is lost with its domain. */
  return code == 0 && !ended(t) ? THRUM_ECLOSED : code;
}

int task_wait(struct state* s, Task* t, int64_t deadline) {
  int code = task_wait_code(t, deadline);
  if (code < 0) {
    raise_code(s, code);
  }
  return code;
}

PyObject* task_answer(struct state* s, Task* t) {
  (void)s;
  if (t->error) {
    t->seen = 1;
    put_error(Py_NewRef(t->error));
    return NULL;
  }
  return Py_NewRef(t->result);
}

/* The one optional argument `timeout`; waits. */
static int wait_with(PyObject* self, PyObject* args, PyObject* kw,
                     const char* format) {
  static char* names[] = {"timeout", NULL};
  PyObject* timeout = NULL;
  int64_t deadline;
  if (!PyArg_ParseTupleAndKeywords(args, kw, format, names, &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return -1;
  }
  return task_wait(state_of(self), (Task*)self, deadline);
}

static PyObject* task_result(PyObject* self, PyObject* args, PyObject* kw) {
  if (wait_with(self, args, kw, "|O:result") < 0) {
    return NULL;
  }
  return task_answer(state_of(self), (Task*)self);
}

static PyObject* task_join(PyObject* self, PyObject* args, PyObject* kw) {
  PyObject* result = wait_with(self, args, kw, "|O:join") < 0
                         ? NULL
                         : task_answer(state_of(self), (Task*)self);
  if (!result) {
    return NULL;
  }
  Py_DECREF(result);
  Py_RETURN_NONE;
}

static PyObject* task_exception(PyObject* self, PyObject* args, PyObject* kw) {
  if (wait_with(self, args, kw, "|O:exception") < 0) {
    return NULL;
  }
  Task* t = (Task*)self;
  t->seen = 1;
  return Py_NewRef(t->error ? t->error : Py_None);
}

static PyObject* task_cancel(PyObject* self, PyObject* none) {
  (void)none;
  Task* t = (Task*)self;
  if (ended(t)) {
    Py_RETURN_FALSE;
  }
  int code = thrum_cancel(t->runtime->rt, t->g);
  if (code < 0 && code != THRUM_ESTALE) {
    return raise_code(state_of(self), code);
  }
  return PyBool_FromLong(code == 0);
}

static PyObject* task_done(PyObject* self, PyObject* none) {
  (void)none;
  return PyBool_FromLong(ended((Task*)self));
}

static PyObject* task_cancelled(PyObject* self, PyObject* none) {
  (void)none;
  Task* t = (Task*)self;
  return PyBool_FromLong(t->error && PyErr_GivenExceptionMatches(
                                         t->error, state_of(self)->Cancelled));
}

static PyObject* task_runtime(PyObject* self, void* none) {
  (void)none;
  return Py_NewRef((PyObject*)((Task*)self)->runtime);
}

static PyObject* task_name(PyObject* self, void* none) {
  (void)none;
  Task* t = (Task*)self;
  if (t->name) {
    return Py_NewRef(t->name);
  }
  return t->fn ? name_of(t->fn) : PyUnicode_FromString("?");
}

static int task_set_name(PyObject* self, PyObject* name, void* none) {
  (void)none;
  if (!name || !PyUnicode_Check(name)) {
    PyErr_SetString(PyExc_TypeError, "a name must be a str");
    return -1;
  }
  Py_XSETREF(((Task*)self)->name, Py_NewRef(name));
  return 0;
}

static PyObject* task_repr(PyObject* self) {
  Task* t = (Task*)self;
  PyObject* name = task_name(self, NULL);
  if (!name) {
    return NULL;
  }
  const char* what = t->error                   ? "failed"
                     : t->result                ? "done"
                     : t->green && t->green->ts ? "running"
                                                : "new";
  PyObject* text = PyUnicode_FromFormat("<thrum.Task %S %s>", name, what);
  Py_DECREF(name);
  return text;
}

/* ---- The type ----------------------------------------------------------------- */
/* An error that nobody has asked for goes to thrum.excepthook, but for what the
 * end brings: a cancel, and calls that fail while their runtime stops. */
static void task_finalize(PyObject* self) {
  Task* t = (Task*)self;
  struct state* s = state_of(self);
  if (!t->error || t->seen ||
      PyErr_GivenExceptionMatches(t->error, s->Cancelled) ||
      (t->runtime->stopping &&
       PyErr_GivenExceptionMatches(t->error, s->Closed))) {
    return;
  }
  PyObject* before = PyErr_Occurred() ? take_error() : NULL;
  t->seen = 1;
  PyObject* package = PyImport_ImportModule("thrum");
  PyObject* said =
      package ? PyObject_CallMethod(package, "excepthook", "OO", self, t->error)
              : NULL;
  if (!said) {
    PyErr_WriteUnraisable(self);
  }
  Py_XDECREF(said);
  Py_XDECREF(package);
  if (before) {
    put_error(before);
  }
}

static int task_traverse(PyObject* self, visitproc visit, void* arg) {
  Task* t = (Task*)self;
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(t->runtime);
  Py_VISIT(t->result);
  Py_VISIT(t->error);
  Py_VISIT(t->fn);
  return 0;
}

static int task_clear(PyObject* self) {
  Task* t = (Task*)self;
  Py_CLEAR(t->result);
  Py_CLEAR(t->error);
  return 0;
}

static void task_free(PyObject* self) {
  Task* t = (Task*)self;
  PyTypeObject* type = Py_TYPE(self);
  if (t->weak) {
    PyObject_ClearWeakRefs(self);
  }
  task_clear(self);
  Py_CLEAR(t->fn);
  Py_CLEAR(t->name);
  Py_CLEAR(t->runtime);
  type->tp_free(self);
  Py_DECREF(type);
}

/* The trashcan is for a Task whose result is a Task whose result is one … */
static void task_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, task_dealloc);
  PyObject_GC_Track(self); /* a finalizer may keep it */
  if (PyObject_CallFinalizerFromDealloc(self) == 0) {
    PyObject_GC_UnTrack(self);
    task_free(self);
  }
  Py_TRASHCAN_END
}

static PyMethodDef methods[] = {
    {"result", (PyCFunction)(void (*)(void))task_result,
     METH_VARARGS | METH_KEYWORDS,
     "result(timeout=None)\n--\n\nWaits for the end. What the function "
     "returned, "
     "or raises what it raised."},
    {"join", (PyCFunction)(void (*)(void))task_join,
     METH_VARARGS | METH_KEYWORDS,
     "join(timeout=None)\n--\n\nWaits for the end; raises what the function "
     "raised."},
    {"exception", (PyCFunction)(void (*)(void))task_exception,
     METH_VARARGS | METH_KEYWORDS,
     "exception(timeout=None)\n--\n\nWaits for the end. What the function "
     "raised, "
     "or None."},
    {"cancel", task_cancel, METH_NOARGS,
     "cancel()\n--\n\nMakes its next wait raise Cancelled. False: it has "
     "ended."},
    {"done", task_done, METH_NOARGS, "done()\n--\n\nHas it ended?"},
    {"cancelled", task_cancelled, METH_NOARGS,
     "cancelled()\n--\n\nHas it ended by Cancelled?"},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {0}};

static PyGetSetDef properties[] = {
    {"name", task_name, task_set_name, "For people; the function's name.",
     NULL},
    {"runtime", task_runtime, NULL, "Where it runs.", NULL},
    {0}};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Task, weak), READONLY, NULL},
    {0}};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "A call that runs as a green thread. Made by go().\n\n"
     ">>> def main():\n"
     "...     task = thrum.go(pow, 2, 10)\n"
     "...     return task.result(), isinstance(task, thrum.Task), task\n"
     ">>> thrum.run(main)\n"
     "(1024, True, <thrum.Task pow done>)\n"},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_members, members},
    {Py_tp_repr, task_repr},
    {Py_tp_traverse, task_traverse},
    {Py_tp_clear, task_clear},
    {Py_tp_finalize, task_finalize},
    {Py_tp_dealloc, task_dealloc},
    {0}};

PyType_Spec task_spec = {.name = "thrum.Task",
                         .basicsize = sizeof(Task),
                         .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                                  Py_TPFLAGS_DISALLOW_INSTANTIATION |
                                  Py_TPFLAGS_IMMUTABLETYPE,
                         .slots = slots};
