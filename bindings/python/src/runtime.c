/* Runtime: Ms, Ps and one domain, which is the GIL of its interpreter.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <stdlib.h>

/* CPython counts on what a main thread has: with less, recursion in C (sorted with a
 * key, and since 3.13 json, repr, ==) ends by SIGSEGV before RecursionError comes.
 * It is address space until it is used; 2 KiB of page tables more than 1 MiB. */
#define STACK (8u << 20)
#define LEAST_STACK (256u << 10)
/* Others wait at most so long for a G that is outside thrum. */
#define HANDOVER_NS 2000000
/* How often an M that runs Python is looked at. With a quarter slice, thrum's own
 * default, the worst gap beside a loop in pure Python was 20 ms, with this 14: 5 of
 * them are the GIL's switch interval. */
#define SYSMON_NS 500000
/* How often run() looks for a deadlock. */
#define LOOK_AGAIN_NS 500000000

/* ---- The domain's hooks: on an M's own stack ---------------------------------- */
static int acquire(void* arg) {
  Runtime* rt = arg;
  struct carrier* c = finalizing() ? NULL : carrier_here(rt->state);
  if (!c) {
    return -1;
  }
  PyEval_RestoreThread(c->home);
  gilstate_repair(c->home);
  c->active = c->home;
  rt->carrier = c;
  return 0;
}

static void release(void* arg) {
  struct state* s = ((Runtime*)arg)->state;
  carrier_home(s, carrier_here(s));
  PyEval_SaveThread();
}

/* A way out needs nothing: the next way in or the release sees to it. So from
 * one G to the next it is one switch of thread states, and none if the next is a
 * new green that follows an ended one. */
static void switch_to(void* arg, void* from, void* to) {
  (void)from;
  if (to) {
    Runtime* rt = arg;
    carrier_switch(rt->state, rt->carrier, to);
  }
}

static void thread_ends(void* none) {
  (void)none;
  carriers_end();
}

/* ---- Which there are ------------------------------------------------------------- */
static void list_add(Runtime* rt) {
  rt->next = rt->state->runtimes;
  rt->state->runtimes = rt;
  rt->listed = 1;
}

void list_remove(Runtime* rt) {
  Runtime** at = &rt->state->runtimes;
  while (*at && *at != rt) {
    at = &(*at)->next;
  }
  if (*at) {
    *at = rt->next;
    rt->listed = 0;
  }
}

/* ---- Making one ------------------------------------------------------------------ */
/* The domain, and what every spawn asks for. */
static int runtime_open(Runtime* self, int64_t handover) {
  thrum_domain_ops ops = {.struct_size = sizeof ops,
                          .flags = THRUM_DOMAIN_HOST_LOCK,
                          .handover_ns = handover,
                          .acquire = acquire,
                          .release = release,
                          .switch_to = switch_to};
  int code = thrum_domain_new(self->rt, &ops, self, &self->domain);
  self->opts.struct_size = sizeof self->opts;
  self->opts.domain = self->domain;
  self->opts.drop = green_drop;
  if (code == 0) {
    list_add(self);
  }
  return code;
}

static PyObject* runtime_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"procs", "stack_size", "handover", "interpreters",
                          NULL};
  struct state* s = PyType_GetModuleState(type);
  unsigned procs = 0, interps = 0;
  unsigned long long stack = STACK;
  PyObject* seconds = NULL;
  int64_t handover = HANDOVER_NS;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|$O&KOO&:Runtime", names,
                                   count_of, &procs, &stack, &seconds, count_of,
                                   &interps) ||
      (seconds && nanoseconds(seconds, &handover) < 0)) {
    return NULL;
  }
  if (green_of_g() && !green_here()) { /* the Task could not stop it */
    PyErr_SetString(PyExc_RuntimeError,
                    "a Task of another interpreter runs this one: let a thread "
                    "run it, or use Runtime(interpreters=N) there");
    return NULL;
  }
  if (!thrum_self()) {
    PyList_SetSlice(s->dropped, 0, PyList_GET_SIZE(s->dropped), NULL);
  }
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = procs;
  config.stack_size = stack < LEAST_STACK ? LEAST_STACK : stack;
  config.sysmon_ns = getenv("THRUM_SYSMON_US") ? 0 : SYSMON_NS;
  Runtime* self = (Runtime*)type->tp_alloc(type, 0);
  if (!self) {
    return NULL;
  }
  self->state = s;
  int code = thrum_rt_new(&self->rt, &config);
  if (code == 0) {
    code = thrum_on_thread(self->rt, NULL, thread_ends, NULL);
  }
  if (code == 0) {
    code = runtime_open(self, handover);
  }
  if (code < 0) {
    if (code == THRUM_EINVAL) {
      PyErr_SetString(PyExc_ValueError, "too many procs, or too large a stack");
    } else {
      raise_code(s, code);
    }
    if (self->rt) {
      thrum_rt_stop(self->rt, THRUM_FOREVER);
    }
    Py_DECREF(self);
    return NULL;
  }
  if (interps && interps_new(self, interps) < 0) {
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    stop_until(self, THRUM_FOREVER);
    Py_DECREF(self);
    PyErr_Restore(kind, error, trace);
    return NULL;
  }
  return (PyObject*)self;
}

Runtime* runtime_attach(struct state* s, thrum_rt* rt) {
  Runtime* self = (Runtime*)s->RuntimeType->tp_alloc(s->RuntimeType, 0);
  if (!self) {
    return NULL;
  }
  thrum_rt_retain(rt);
  self->rt = rt;
  self->state = s;
  self->attached = 1;
  int code = runtime_open(self, HANDOVER_NS);
  if (code < 0) {
    raise_code(s, code);
    Py_CLEAR(self);
  }
  return (Runtime*)Py_XNewRef((PyObject*)self);
}

/* Nobody refers to one that has not been stopped: none of its Tasks lives, for those
 * do. In a Task it cannot be waited for: the next thread that makes one, or the
 * interpreter's end, sees to it. */
static void runtime_finalize(PyObject* self) {
  Runtime* rt = (Runtime*)self;
  if (!rt->listed) {
    return;
  }
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  if (!rt->told && PyErr_ResourceWarning(self, 1, "%R was not stopped", self)) {
    PyErr_WriteUnraisable(self);
  }
  rt->told = 1;
  if (!thrum_self() && !finalizing()) {
    stop_until(rt, THRUM_FOREVER);
  }
  if (rt->listed && PyList_Append(rt->state->dropped, self) < 0) {
    Py_INCREF(self); /* its Ms use it */
  }
  PyErr_Restore(type, error, trace);
}

static void runtime_dealloc(PyObject* self) {
  if (PyObject_CallFinalizerFromDealloc(self) < 0) {
    return;
  }
  Runtime* rt = (Runtime*)self;
  PyTypeObject* type = Py_TYPE(self);
  thrum_domain_release(rt->domain);
  Py_BEGIN_ALLOW_THREADS thrum_rt_free(rt->rt);
  Py_END_ALLOW_THREADS type->tp_free(self);
  Py_DECREF(type);
}

/* What `go` means here. Borrowed: who gives the GIL up keeps it meanwhile. */
Runtime* runtime_here(struct state* s) {
  struct green* g = green_here();
  if (g && g->task) {
    return g->task->runtime;
  }
  Py_ssize_t n = PyList_GET_SIZE(s->entered);
  if (!n) {
    PyErr_SetString(PyExc_RuntimeError,
                    "no runtime here: use thrum.run() or `with Runtime()`");
    return NULL;
  }
  return (Runtime*)PyList_GET_ITEM(s->entered, n - 1);
}

/* ---- Its methods -------------------------------------------------------------------- */
static PyObject* runtime_go(PyObject* self, PyObject* const* args, Py_ssize_t n,
                            PyObject* kwnames) {
  return (PyObject*)task_spawn(state_of(self), (Runtime*)self, args, n,
                               kwnames);
}

#define SUSPECTED (-2001) /* a deadlock */

struct root_wait {
  thrum_g g;
  int64_t look; /* when to look for a deadlock */
  int verdicts;
};

/* Without the GIL, and so is the first look: to take it now and then would make who
 * waits for one that computes wait twice as long. */
static int root_until(void* rt, void* wait, int64_t deadline) {
  struct root_wait* w = wait;
  int code = thrum_join(rt, w->g, deadline);
  if (code == THRUM_ETIMEDOUT && thrum_now() >= w->look) {
    w->look = thrum_after(LOOK_AGAIN_NS);
    if (all_wait(rt)) {
      return SUSPECTED;
    }
    w->verdicts = 0;
  }
  return code;
}

/* It takes two verdicts in a row: a G that is on its way from one wait to the next
 * counts as waiting. */
static int root_wait(struct state* s, Task* root) {
  struct root_wait w = {root->g, thrum_after(LOOK_AGAIN_NS), 0};
  int code;
  do {
    code = wait_call(root_until, root->runtime->rt, &w, THRUM_FOREVER);
    if (code == SUSPECTED) {
      w.verdicts = deadlocked(root->runtime) ? w.verdicts + 1 : 0;
    }
  } while (code == SUSPECTED && w.verdicts < 2);
  if (code == SUSPECTED) {
    root->seen = 1;
    deadlock_report(root->runtime);
    code = THRUM_EDEADLOCK;
  } else if (code == 0 && !root->result && !root->error) {
    code = THRUM_ECLOSED; /* lost with its domain */
  }
  if (code < 0) {
    raise_code(s, code);
  }
  return code;
}

/* A signal's handler has raised. A cancel ends root at its next wait; if the handler
 * raises again there may be none: at its next bytecode. The third time it is left.
 * The first error counts. */
static void root_end(struct state* s, Task* root) {
  PyObject *type, *error, *trace;
  PyErr_Fetch(&type, &error, &trace);
  root->seen = 1;
  thrum_cancel(root->runtime->rt, root->g);
  if (task_wait(s, root, THRUM_FOREVER) < 0) {
    PyErr_Clear();
    interrupt(root);
    if (task_wait(s, root, THRUM_FOREVER) < 0) {
      PyErr_Clear();
    }
  }
  PyErr_Restore(type, error, trace);
}

static PyObject* runtime_run(PyObject* self, PyObject* const* args,
                             Py_ssize_t n, PyObject* kwnames) {
  struct state* s = state_of(self);
  if (thrum_self()) {
    PyErr_SetString(PyExc_RuntimeError, "run() inside a Task: use go()");
    return NULL;
  }
  Task* root = task_spawn(s, (Runtime*)self, args, n, kwnames);
  if (!root) {
    return NULL;
  }
  PyObject* result = NULL;
  int code = root_wait(s, root);
  if (code == INTERRUPTED) {
    root_end(s, root);
  } else if (code == 0) {
    result = task_answer(s, root);
  }
  /* Threads end in silence then, as daemon threads do. */
  if (!result && s->ending &&
      (PyErr_ExceptionMatches(s->Cancelled) ||
       PyErr_ExceptionMatches(s->Closed))) {
    PyErr_SetNone(PyExc_SystemExit);
  }
  Py_DECREF(root);
  return result;
}

/* Asks again and again, for a stop that waits says on stderr who is late. Never
 * with the GIL: Ms take it once more when they end. */
int stop_until(Runtime* rt, int64_t deadline) {
  int64_t pause = 100000;
  int code;
  rt->stopping = 1;
  for (;;) {
    Py_BEGIN_ALLOW_THREADS code = thrum_rt_stop(rt->rt, THRUM_TRY);
    if (code == THRUM_EAGAIN) {
      thrum_sleep(pause);
    }
    Py_END_ALLOW_THREADS pause = pause < 10000000 ? 2 * pause : pause;
    if (code != THRUM_EAGAIN || PyErr_CheckSignals() < 0) {
      break;
    }
    if (deadline != THRUM_FOREVER && thrum_now() >= deadline) {
      return THRUM_ETIMEDOUT;
    }
  }
  if (code == 0) {
    interps_end(rt);
    list_remove(rt);
    if (!rt->state->runtimes) { /* an interpreter is not to end with any left */
      tstate_free_spares(rt->state);
    }
  }
  return code == THRUM_EAGAIN ? INTERRUPTED : code;
}

static PyObject* runtime_stop(PyObject* self, PyObject* args, PyObject* kw) {
  static char* names[] = {"timeout", NULL};
  PyObject* timeout = NULL;
  int64_t deadline;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:stop", names, &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return NULL;
  }
  if (thrum_self()) {
    PyErr_SetString(PyExc_RuntimeError, "stop() inside a Task");
    return NULL;
  }
  if (((Runtime*)self)->attached) {
    PyErr_SetString(PyExc_RuntimeError, "it belongs to another interpreter");
    return NULL;
  }
  int code = stop_until((Runtime*)self, deadline);
  if (code == INTERRUPTED) { /* what computes goes on no longer either */
    interrupt_all((Runtime*)self);
    interps_interrupt((Runtime*)self);
  }
  if (code < 0) {
    return raise_code(state_of(self), code);
  }
  Py_RETURN_NONE;
}

static PyObject* runtime_enter(PyObject* self, PyObject* none) {
  (void)none;
  struct state* s = state_of(self);
  if (!((Runtime*)self)->listed) {
    return raise_code(s, THRUM_ECLOSED);
  }
  return PyList_Append(s->entered, self) < 0 ? NULL : Py_NewRef(self);
}

/* Others may have been entered after it, by other threads. In the child of a fork
 * it is nowhere any more, and nothing of it runs. */
static PyObject* runtime_exit(PyObject* self, PyObject* args) {
  (void)args;
  struct state* s = state_of(self);
  Py_ssize_t at = PyList_GET_SIZE(s->entered);
  while (at-- && PyList_GET_ITEM(s->entered, at) != self) {}
  if (at >= 0 && PyList_SetSlice(s->entered, at, at + 1, NULL) < 0) {
    return NULL;
  }
  if (!((Runtime*)self)->listed) {
    Py_RETURN_NONE;
  }
  PyObject* empty = PyTuple_New(0);
  PyObject* result = empty ? runtime_stop(self, empty, NULL) : NULL;
  Py_XDECREF(empty);
  return result;
}

static PyObject* runtime_procs(PyObject* self, void* none) {
  (void)none;
  int n = thrum_procs(((Runtime*)self)->rt);
  return n < 0 ? raise_code(state_of(self), n) : PyLong_FromLong(n);
}

static PyObject* runtime_live(PyObject* self, void* none) {
  (void)none;
  return PyBool_FromLong(((Runtime*)self)->listed);
}

static PyObject* runtime_repr(PyObject* self) {
  Runtime* rt = (Runtime*)self;
  if (!rt->listed) {
    return PyUnicode_FromString("<thrum.Runtime stopped>");
  }
  return PyUnicode_FromFormat("<thrum.Runtime procs=%d>", thrum_procs(rt->rt));
}

/* ---- The type --------------------------------------------------------------------------- */
static PyMethodDef methods[] = {
    {"go", (PyCFunction)(void (*)(void))runtime_go,
     METH_FASTCALL | METH_KEYWORDS,
     "go(fn, /, *args, **kwargs)\n--\n\nSpawns fn(*args, **kwargs) here; from "
     "any "
     "thread."},
    {"run", (PyCFunction)(void (*)(void))runtime_run,
     METH_FASTCALL | METH_KEYWORDS,
     "run(fn, /, *args, **kwargs)\n--\n\nSpawns it and waits for it: its "
     "result. "
     "Ctrl-C cancels it first, and the second time interrupts it."},
    {"stop", (PyCFunction)(void (*)(void))runtime_stop,
     METH_VARARGS | METH_KEYWORDS,
     "stop(timeout=None)\n--\n\nCancels all that runs, and waits for its end. "
     "Ctrl-C interrupts what does not wait."},
    {"port_", interp_port, METH_VARARGS, NULL},
    {"__enter__", runtime_enter, METH_NOARGS, NULL},
    {"__exit__", runtime_exit, METH_VARARGS, NULL},
    {0}};

static PyObject* runtime_interps(PyObject* self, void* none) {
  (void)none;
  return PyLong_FromUnsignedLong(((Runtime*)self)->interp_count);
}

static PyGetSetDef properties[] = {
    {"interpreters", runtime_interps, NULL, "How many beside this one.", NULL},
    {"procs", runtime_procs, NULL, "How many green threads may run at once.",
     NULL},
    {"live", runtime_live, NULL, "It has not been stopped.", NULL},
    {0}};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "Runtime(*, procs=0, stack_size=8388608, handover=0.002, "
     "interpreters=0)\n--\n\n"
     "Green threads on `procs` cores (0: all there are). While one is outside "
     "thrum for longer than `handover` seconds the others go on beside it. "
     "Used "
     "in a `with` it is what go() spawns in, and stops at the end. "
     "`interpreters` (3.12): so many more, with a GIL each, for "
     "go_remote().\n\n"
     ">>> with thrum.Runtime(procs=2) as rt:\n"
     "...     rt.go(pow, 2, 10).result()\n"
     "1024\n"},
    {Py_tp_new, runtime_new},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_repr, runtime_repr},
    {Py_tp_finalize, runtime_finalize},
    {Py_tp_dealloc, runtime_dealloc},
    {0}};

PyType_Spec runtime_spec = {.name = "thrum.Runtime",
                            .basicsize = sizeof(Runtime),
                            .flags =
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                            .slots = slots};
