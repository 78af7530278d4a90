/* Mutex, RWLock, Cond, WaitGroup, Semaphore: each is one of thrum's objects
 * inside a Python object, which does not move. Green threads and threads may
 * wait on the same one; who waits has a reference.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <stdatomic.h>

#define FAST(fn) \
  (PyCFunction)(void (*)(void))(fn), METH_FASTCALL | METH_KEYWORDS
#define TYPE(spec_name, type, text_slots)                            \
  static PyType_Spec spec_name = {.name = "thrum." #type,            \
                                  .basicsize = sizeof(type),         \
                                  .flags = Py_TPFLAGS_DEFAULT |      \
                                           Py_TPFLAGS_IMMUTABLETYPE, \
                                  .slots = text_slots}

/* None, or what a code raises. */
static PyObject* done(PyObject* self, int code) {
  if (code == THRUM_EPERM) {
    PyErr_SetString(PyExc_RuntimeError, "the caller has not locked it");
    return NULL;
  }
  if (code < 0) {
    return raise_code(state_of(self), code);
  }
  Py_RETURN_NONE;
}

static PyObject* plain_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kw, "", names)) {
    return NULL;
  }
  return type->tp_alloc(type, 0);
}

static void plain_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

/* `wait` with a timeout argument; `enter` for ever, and returns self. */
#define WAITS(prefix, type, member, call)                                      \
  static int prefix##_until(void* object, void* arg, int64_t deadline) {       \
    (void)arg;                                                                 \
    return call(object, deadline);                                             \
  }                                                                            \
  static PyObject* prefix(PyObject* self, PyObject* const* args, Py_ssize_t n, \
                          PyObject* kwnames) {                                 \
    int64_t deadline;                                                          \
    if (timeout_of(#prefix, args, n, kwnames, 0, &deadline) < 0) {             \
      return NULL;                                                             \
    }                                                                          \
    return done(self, wait_call(prefix##_until, &((type*)self)->member, NULL,  \
                                deadline));                                    \
  }
#define ENDS(prefix, type, call)                            \
  static PyObject* prefix(PyObject* self, PyObject* none) { \
    (void)none;                                             \
    return done(self, call(self));                          \
  }

static PyObject* returns_self(PyObject* self, PyObject* waited) {
  if (!waited) {
    return NULL;
  }
  Py_DECREF(waited);
  return Py_NewRef(self);
}

/* ---- Mutex ----------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD thrum_mutex m;
} Mutex;

static int mutex_end(PyObject* self) {
  return thrum_mutex_unlock(&((Mutex*)self)->m);
}
WAITS(lock, Mutex, m, thrum_mutex_lock)
ENDS(unlock, Mutex, mutex_end)

static PyObject* mutex_enter(PyObject* self, PyObject* none) {
  (void)none;
  return returns_self(self, lock(self, NULL, 0, NULL));
}

static PyMethodDef mutex_methods[] = {
    {"lock", FAST(lock),
     "lock(timeout=None)\n--\n\nOnce per owner. Neither a "
     "cancel nor a limit ends it without a timeout."},
    {"unlock", unlock, METH_NOARGS, "unlock()\n--\n\nBy the owner."},
    {"__enter__", mutex_enter, METH_NOARGS, NULL},
    {"__exit__", unlock, METH_VARARGS, NULL},
    {0}};
static PyType_Slot mutex_slots[] = {
    {Py_tp_doc, "A lock that parks green threads. Use it in a `with`.\n\n"
                ">>> mutex = thrum.Mutex()\n"
                ">>> with mutex:\n"
                "...     total = 1\n"},
    {Py_tp_new, plain_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_methods, mutex_methods},
    {0}};
TYPE(mutex_spec, Mutex, mutex_slots);

/* ---- RWLock ---------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD thrum_rwmutex m;
} RWLock;

static int rw_end_read(PyObject* self) {
  return thrum_rwmutex_runlock(&((RWLock*)self)->m);
}
static int rw_end_write(PyObject* self) {
  return thrum_rwmutex_unlock(&((RWLock*)self)->m);
}
WAITS(lock_read, RWLock, m, thrum_rwmutex_rlock)
WAITS(lock_write, RWLock, m, thrum_rwmutex_lock)
ENDS(unlock_read, RWLock, rw_end_read)
ENDS(unlock_write, RWLock, rw_end_write)

static PyMethodDef rw_methods[] = {
    {"lock_read", FAST(lock_read),
     "lock_read(timeout=None)\n--\n\nTogether with other readers."},
    {"unlock_read", unlock_read, METH_NOARGS, "unlock_read()\n--\n\n"},
    {"lock_write", FAST(lock_write), "lock_write(timeout=None)\n--\n\nAlone."},
    {"unlock_write", unlock_write, METH_NOARGS, "unlock_write()\n--\n\n"},
    {0}};
static PyType_Slot rw_slots[] = {{Py_tp_new, plain_new},
                                 {Py_tp_dealloc, plain_dealloc},
                                 {Py_tp_methods, rw_methods},
                                 {0}};
TYPE(rw_spec, RWLock, rw_slots);

/* ---- Cond ------------------------------------------------------------------------ */
typedef struct {
  PyObject_HEAD thrum_cond c;
  Mutex* mutex;              /* owned */
  _Atomic(uint64_t) notices; /* with the GIL: how many there were */
} Cond;

struct cond_wait {
  Cond* cond;
  uint64_t notices; /* before */
};

static PyObject* cond_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"mutex", NULL};
  PyObject* mutex;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O:Cond", names, &mutex)) {
    return NULL;
  }
  if (strcmp(Py_TYPE(mutex)->tp_name, "thrum.Mutex") != 0) {
    PyErr_SetString(PyExc_TypeError, "a Cond needs a Mutex");
    return NULL;
  }
  Cond* self = (Cond*)type->tp_alloc(type, 0);
  if (self) {
    self->mutex = (Mutex*)Py_NewRef(mutex);
  }
  return (PyObject*)self;
}

static void cond_dealloc(PyObject* self) {
  Py_DECREF(((Cond*)self)->mutex);
  plain_dealloc(self);
}

/* A thread waits in slices, and what comes between two finds nobody: the next slice
 * sees that it came, 20 ms late. */
static int cond_until(void* wait, void* none, int64_t deadline) {
  (void)none;
  const struct cond_wait* w = wait;
  Cond* c = w->cond;
  return atomic_load_explicit(&c->notices, memory_order_relaxed) != w->notices
             ? 0
             : thrum_cond_wait(&c->c, &c->mutex->m, deadline);
}

static PyObject* cond_wait(PyObject* self, PyObject* const* args, Py_ssize_t n,
                           PyObject* kwnames) {
  Cond* c = (Cond*)self;
  int64_t deadline;
  if (timeout_of("wait", args, n, kwnames, 0, &deadline) < 0) {
    return NULL;
  }
  struct cond_wait w = {c, c->notices};
  return done(self, wait_call(cond_until, &w, NULL, deadline));
}

static int cond_one(PyObject* self) {
  ++((Cond*)self)->notices;
  return thrum_cond_signal(&((Cond*)self)->c);
}
static int cond_all(PyObject* self) {
  ++((Cond*)self)->notices;
  return thrum_cond_broadcast(&((Cond*)self)->c);
}
ENDS(notify, Cond, cond_one)
ENDS(notify_all, Cond, cond_all)

static PyObject* cond_enter(PyObject* self, PyObject* none) {
  PyObject* entered = mutex_enter((PyObject*)((Cond*)self)->mutex, none);
  Py_XDECREF(entered);
  return entered ? Py_NewRef(self) : NULL;
}

static PyObject* cond_exit(PyObject* self, PyObject* args) {
  return unlock((PyObject*)((Cond*)self)->mutex, args);
}

static PyMethodDef cond_methods[] = {
    {"wait", FAST(cond_wait),
     "wait(timeout=None)\n--\n\nUnlocks the mutex, waits, locks it again; it "
     "is "
     "locked too when this raises. Check the condition in a loop."},
    {"notify", notify, METH_NOARGS, "notify()\n--\n\nWakes one waiter."},
    {"notify_all", notify_all, METH_NOARGS,
     "notify_all()\n--\n\nWakes all waiters."},
    {"__enter__", cond_enter, METH_NOARGS, NULL},
    {"__exit__", cond_exit, METH_VARARGS, NULL},
    {0}};
static PyType_Slot cond_slots[] = {
    {Py_tp_doc,
     "Cond(mutex)\n--\n\nA condition. In a `with` it is its mutex.\n\n"
     ">>> cond, ready = thrum.Cond(thrum.Mutex()), []\n"
     ">>> def waits():\n"
     "...     with cond:\n"
     "...         while not ready:\n"
     "...             cond.wait()\n"
     "...         return ready\n"
     ">>> def main():\n"
     "...     task = thrum.go(waits)\n"
     "...     with cond:\n"
     "...         ready.append(1)\n"
     "...         cond.notify()\n"
     "...     return task.result()\n"
     ">>> thrum.run(main)\n"
     "[1]\n"},
    {Py_tp_new, cond_new},
    {Py_tp_dealloc, cond_dealloc},
    {Py_tp_methods, cond_methods},
    {0}};
TYPE(cond_spec, Cond, cond_slots);

/* ---- WaitGroup ------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD thrum_wg wg;
} WaitGroup;

WAITS(wait, WaitGroup, wg, thrum_wg_wait)

static PyObject* wg_add(PyObject* self, PyObject* const* args, Py_ssize_t n) {
  if (n > 1) {
    PyErr_SetString(PyExc_TypeError, "add() takes at most 1 argument");
    return NULL;
  }
  long delta = n ? PyLong_AsLong(args[0]) : 1;
  if (delta == -1 && PyErr_Occurred()) {
    return NULL;
  }
  int code = delta > INT32_MAX || delta < INT32_MIN
                 ? THRUM_EINVAL
                 : thrum_wg_add(&((WaitGroup*)self)->wg, (int32_t)delta);
  if (code == THRUM_EINVAL) {
    PyErr_SetString(PyExc_ValueError, "it would count less than 0 or too many");
    return NULL;
  }
  return done(self, code);
}

static PyObject* wg_done(PyObject* self, PyObject* none) {
  (void)none;
  PyObject* less = PyLong_FromLong(-1);
  PyObject* result = less ? wg_add(self, &less, 1) : NULL;
  Py_XDECREF(less);
  return result;
}

static PyObject* wg_enter(PyObject* self, PyObject* none) {
  (void)none;
  return returns_self(self, wg_add(self, NULL, 0));
}

static PyMethodDef wg_methods[] = {
    {"add", (PyCFunction)(void (*)(void))wg_add, METH_FASTCALL,
     "add(delta=1)\n--\n\nBefore the spawn that the wait is for."},
    {"done", wg_done, METH_NOARGS, "done()\n--\n\nOne less."},
    {"wait", FAST(wait), "wait(timeout=None)\n--\n\nUntil there are none."},
    {"__enter__", wg_enter, METH_NOARGS, NULL},
    {"__exit__", wg_done, METH_VARARGS, NULL},
    {0}};
static PyType_Slot wg_slots[] = {
    {Py_tp_doc,
     "Counts what is under way. In a `with`: one more, then less.\n\n"
     ">>> def main():\n"
     "...     group = thrum.WaitGroup()\n"
     "...     for _ in range(3):\n"
     "...         group.add()\n"
     "...         thrum.go(group.done)\n"
     "...     group.wait()\n"
     ">>> thrum.run(main)\n"},
    {Py_tp_new, plain_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_methods, wg_methods},
    {0}};
TYPE(wg_spec, WaitGroup, wg_slots);

/* ---- Semaphore ------------------------------------------------------------------- */
typedef struct {
  PyObject_HEAD thrum_sem s;
} Semaphore;

static PyObject* sem_new(PyTypeObject* type, PyObject* args, PyObject* kw) {
  static char* names[] = {"permits", NULL};
  unsigned permits = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kw, "O&:Semaphore", names, count_of,
                                   &permits)) {
    return NULL;
  }
  Semaphore* self = (Semaphore*)type->tp_alloc(type, 0);
  if (self && permits) {
    thrum_sem_release(&self->s, permits);
  }
  return (PyObject*)self;
}

static int sem_end(PyObject* self) {
  return thrum_sem_release(&((Semaphore*)self)->s, 1);
}
WAITS(acquire, Semaphore, s, thrum_sem_acquire)
ENDS(release, Semaphore, sem_end)

static PyObject* sem_enter(PyObject* self, PyObject* none) {
  (void)none;
  return returns_self(self, acquire(self, NULL, 0, NULL));
}

static PyMethodDef sem_methods[] = {
    {"acquire", FAST(acquire), "acquire(timeout=None)\n--\n\nTakes a permit."},
    {"release", release, METH_NOARGS, "release()\n--\n\nGives one."},
    {"__enter__", sem_enter, METH_NOARGS, NULL},
    {"__exit__", release, METH_VARARGS, NULL},
    {0}};
static PyType_Slot sem_slots[] = {
    {Py_tp_doc, "Semaphore(permits)\n--\n\nAt most so many at once.\n\n"
                ">>> permits = thrum.Semaphore(2)\n"
                ">>> with permits:\n"
                "...     permits.acquire(timeout=1)\n"
                "...     permits.release()\n"},
    {Py_tp_new, sem_new},
    {Py_tp_dealloc, plain_dealloc},
    {Py_tp_methods, sem_methods},
    {0}};
TYPE(sem_spec, Semaphore, sem_slots);

PyType_Spec* const sync_specs[] = {&mutex_spec, &rw_spec,  &cond_spec,
                                   &wg_spec,    &sem_spec, NULL};
