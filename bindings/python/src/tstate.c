/* Thread states. Every green has one of its own while it runs, so its frames,
 * exceptions and recursion depth go with it from M to M. The rule that keeps
 * PyGILState right: a thread state leaves its M by a switch to another one on
 * the same M, never by giving up the GIL while it is current.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "core.h"
#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>

/* Kept for the next green. A new one costs ten times a whole spawn: it maps its
 * first 16 KiB of frames, and unmaps them at the end. */
#define SPARES 4096

#ifdef __GLIBC__ /* which keeps room for them where libraries are loaded late */
#define STATIC_TLS __attribute__((tls_model("initial-exec")))
#else
#define STATIC_TLS
#endif
static _Thread_local struct carrier* here STATIC_TLS;

static PyThreadState* current(void) {
#if PY_VERSION_HEX >= 0x030d0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

/* Most calls come from Python, and the carrier, which has just switched to it, is
 * nearer than what the G keeps. A native G has its green without the carrier's. In
 * another interpreter that a Task runs nothing is a Task. */
struct green* green_here(void) {
  struct carrier* c = here;
  PyThreadState* ts = current();
  if (c && c->green && c->active == ts) {
    return c->green;
  }
  struct green* g = green_of_g();
  return g && g->task && ts &&
                 PyThreadState_GetInterpreter(ts) !=
                     g->task->runtime->state->interp
             ? NULL
             : g;
}

int finalizing(void) {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing();
#else
  return _Py_IsFinalizing();
#endif
}

static PyThreadState* tstate_take(struct state* s) {
  if (s->spares) {
    return s->spare[--s->spares];
  }
  PyThreadState* ts = PyThreadState_New(s->interp);
  if (!ts) {
    Py_FatalError("thrum: no memory for a thread state");
  }
  /* New takes the thread's number. One of its own lets sys._current_frames
   * tell greens apart, and PyThreadState_SetAsyncExc find one. */
  ts->thread_id = (unsigned long)(uintptr_t)ts;
  return ts;
}

/* ts is clear and current nowhere. */
static void tstate_give(struct state* s, PyThreadState* ts) {
#ifndef Py_DEBUG /* which does not let a cleared one be used again */
  if (!s->spare) {
    s->spare = PyMem_Calloc(SPARES, sizeof *s->spare);
  }
  if (s->spare && s->spares < SPARES) {
    s->spare[s->spares++] = ts;
    return;
  }
#endif
  PyThreadState_Delete(ts);
}

void tstate_free_spares(struct state* s) {
  while (s->spares) {
    PyThreadState_Delete(s->spare[--s->spares]);
  }
  PyMem_Free(s->spare);
  s->spare = NULL;
}

/* In the child of a fork CPython has deleted all thread states but one, and the thread
 * that called fork is an M no more. */
void tstate_forget(struct state* s) {
  s->spares = 0;
  here = NULL;
}

/* CPython 3.14 checks the stack pointer against bounds kept in the thread
 * state, and each run of a green has another stack. */
void tstate_begin(PyThreadState* ts) {
#if PY_VERSION_HEX >= 0x030e0000
  static int (*protect)(PyThreadState*, void*, size_t);
  void *lo, *hi;
  if (!protect) {
    *(void**)&protect =
        dlsym(RTLD_DEFAULT, "PyUnstable_ThreadState_SetStackProtection");
  }
  if (protect && thrum_stack(&lo, &hi) == 0 &&
      protect(ts, lo, (size_t)((char*)hi - (char*)lo)) < 0) {
    PyErr_Clear();
  }
#else
  (void)ts;
#endif
}

/* The one that was used last comes first: most Ms know one interpreter. */
static struct carrier* carrier_find(struct state* s) {
  for (struct carrier** at = &here; *at; at = &(*at)->next) {
    struct carrier* c = *at;
    if (c->s == s) {
      *at = c->next;
      c->next = here;
      here = c;
      return c;
    }
  }
  return NULL;
}

/* On the M's own stack, or in a G that cannot park meanwhile. */
struct carrier* carrier_here(struct state* s) {
  struct carrier* c = here;
  if (c && c->s == s) {
    return c;
  }
  c = carrier_find(s);
  if (!c) {
    c = PyMem_RawCalloc(1, sizeof *c);
    PyThreadState* home = c ? PyThreadState_New(s->interp) : NULL;
    if (!home) {
      PyMem_RawFree(c);
      return NULL;
    }
    c->s = s;
    c->home = home;
    c->next = here;
    here = c;
  }
  return c;
}

/* The last act of an M. */
void carriers_end(void) {
  while (here && !finalizing()) {
    struct carrier* c = here;
    here = c->next;
    PyEval_RestoreThread(c->home);
    PyThreadState_Clear(c->home);
    PyThreadState_DeleteCurrent();
    PyMem_RawFree(c);
  }
}

static void make_current(struct state* s, struct carrier* c, PyThreadState* ts,
                         struct green* g) {
  PyThreadState* left = c->active;
  struct green* was = c->green;
  PyThreadState_Swap(ts);
  gilstate_repair(ts);
  c->active = ts;
  c->green = g;
  if (was) {
    atomic_store_explicit(&was->on, NULL, memory_order_release);
  } else if (left != c->home) {
    tstate_give(s, left); /* of a green that has ended */
  }
}

/* Makes g's thread state current on c, whose M has the GIL. */
void carrier_switch(struct state* s, struct carrier* c, struct green* g) {
  if (c->green == g) {
    return; /* nobody ran in between */
  }
  if (!g->ts) {
    if (!c->green && c->active != c->home) {
      g->ts = c->active; /* what the green before has left */
      c->green = g;
      atomic_store_explicit(&g->on, c, memory_order_relaxed);
      return;
    }
    g->ts = tstate_take(s);
  }
  /* The domain may go to another M while g is outside thrum, and g queue there
   * before its own M has switched away from its thread state. That M is about
   * to; since 3.12 a Swap needs the GIL in between. */
  while (atomic_load_explicit(&g->on, memory_order_acquire)) {
    carrier_home(s, c);
    PyEval_SaveThread();
    sched_yield();
    PyEval_RestoreThread(c->home);
    gilstate_repair(c->home);
  }
  atomic_store_explicit(&g->on, c, memory_order_relaxed);
  make_current(s, c, g->ts, g);
}

/* Before the GIL is given up. */
void carrier_home(struct state* s, struct carrier* c) {
  if (c->active != c->home) {
    make_current(s, c, c->home, NULL);
  }
}
