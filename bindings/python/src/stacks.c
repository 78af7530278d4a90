/* What all Tasks do: for people, for the end, and to tell a deadlock.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <frameobject.h>
#include <stdlib.h>

struct row {
  Task* task; /* owned */
  unsigned state;
  const char* reason; /* the library's text: a wait's reason is static */
  int64_t since;
};

struct rows {
  thrum_domain* of; /* others belong to other interpreters */
  struct row* at;
  size_t n, room;
};

/* With the GIL, so that no green ends meanwhile; nothing of Python's but the
 * count is touched, for that could run code and let one end. */
static void note(void* arg, const thrum_g_info* info) {
  struct rows* rows = arg;
  if (info->domain != rows->of || !info->arg) {
    return;
  }
  Task* t = ((struct green*)info->arg)->task;
  if (!t) {
    return; /* about to end */
  }
  if (rows->n == rows->room) {
    size_t room = rows->room ? 2 * rows->room : 64;
    void* more = realloc(rows->at, room * sizeof *rows->at);
    if (!more) {
      return;
    }
    rows->at = more;
    rows->room = room;
  }
  rows->at[rows->n++] = (struct row){(Task*)Py_NewRef(t), info->state,
                                     info->reason, info->since_ns};
}

static void rows_free(struct rows* rows) {
  for (size_t i = 0; i < rows->n; ++i) {
    Py_DECREF(rows->at[i].task);
  }
  free(rows->at);
}

/* stacks(runtime): [(task, frame or None, state, reason, seconds)]; seconds 0:
 * the runtime does not keep the time. */
PyObject* stacks(PyObject* module, PyObject* runtime) {
  static const char* const words[] = {"", "runnable", "running", "waiting",
                                      "blocking"};
  struct state* s = PyModule_GetState(module);
  if (!PyObject_TypeCheck(runtime, s->RuntimeType)) {
    PyErr_SetString(PyExc_TypeError, "a Runtime is needed");
    return NULL;
  }
  struct rows rows = {.of = ((Runtime*)runtime)->domain};
  int code = thrum_g_each(((Runtime*)runtime)->rt, note, &rows);
  PyObject* list = code < 0 ? raise_code(s, code) : PyList_New(0);
  int64_t now = thrum_now();
  for (size_t i = 0; list && i < rows.n; ++i) {
    struct row* row = &rows.at[i];
    struct green* g = row->task->green;
    PyObject* frame =
        g && g->ts ? (PyObject*)PyThreadState_GetFrame(g->ts) : NULL;
    PyObject* entry = Py_BuildValue(
        "OOssd", row->task, frame ? frame : Py_None,
        words[row->state <= THRUM_STATE_BLOCKING ? row->state : 0], row->reason,
        row->since ? (double)(now - row->since) / 1e9 : 0.0);
    Py_XDECREF(frame);
    if (!entry || PyList_Append(list, entry) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(entry);
  }
  rows_free(&rows);
  return list;
}

/* ---- The end ---------------------------------------------------------------- */
void interrupt(Task* t) {
  struct green* g = t->green;
  if (g && g->ts) {
    PyThreadState_SetAsyncExc(g->ts->thread_id, t->runtime->state->Cancelled);
  }
}

void interrupt_all(Runtime* rt) {
  struct rows rows = {.of = rt->domain};
  if (thrum_g_each(rt->rt, note, &rows) == 0) {
    for (size_t i = 0; i < rows.n; ++i) {
      interrupt(rows.at[i].task);
    }
  }
  rows_free(&rows);
}

/* ---- Deadlocks --------------------------------------------------------------- */
/* Waits that only another G or thread ends. */
static const char* const among_us[] = {
    "join",      "chan_send",    "chan_recv",     "select",
    "mutex",     "rwmutex_read", "rwmutex_write", "cond",
    "waitgroup", "semaphore",    "once",          NULL};

static void look(void* arg, const thrum_g_info* info) {
  int* stuck = arg;
  const char* const* reason = among_us;
  while (*reason && strcmp(*reason, info->reason) != 0) {
    ++reason;
  }
  if (info->state != THRUM_STATE_WAITING || !*reason) {
    *stuck = 0;
  }
}

int all_wait(thrum_rt* rt) {
  int stuck = 1;
  return thrum_g_each(rt, look, &stuck) >= 0 && stuck &&
         thrum_next_wake(rt) == THRUM_FOREVER;
}

/* Nothing outside can wake one: no other interpreter or runtime, no thread of
 * Python's, no handler of a signal. */
int deadlocked(Runtime* rt) {
  if (rt->interp_count || rt->state->runtimes != rt || rt->next ||
      !all_wait(rt->rt)) {
    return 0;
  }
  PyObject* module = PyImport_ImportModule("thrum._stacks");
  PyObject* alone = module ? PyObject_CallMethod(module, "alone", NULL) : NULL;
  int stuck = alone && PyObject_IsTrue(alone) == 1;
  PyErr_Clear();
  Py_XDECREF(alone);
  Py_XDECREF(module);
  return stuck;
}

void deadlock_report(Runtime* rt) {
  PyObject* module = PyImport_ImportModule("thrum._stacks");
  PyObject* said =
      module ? PyObject_CallMethod(module, "deadlock", "O", rt) : NULL;
  if (!said) {
    PyErr_WriteUnraisable((PyObject*)rt);
  }
  Py_XDECREF(said);
  Py_XDECREF(module);
}
