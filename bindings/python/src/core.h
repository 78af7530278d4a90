/* What the files of the extension share. The words:
 *   Task     the Python object; lives as long as somebody refers to it.
 *   green    the part of a Task that only its G needs: made by the spawn, owned
 *            by the G, gone when it ends. It is the G's spawn arg.
 *   carrier  what an M is to Python: its home thread state, and which thread
 *            state is current on it. Owned by its M; touched by it alone.
 * All fields without another note are guarded by the GIL.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_PYTHON_CORE_H
#define THRUM_PYTHON_CORE_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error \
    "a free-threaded CPython: Tasks that move between threads are unsound there"
#endif
#include <thrum/host.h>
#include <thrum/thrum.h>

#define HIDDEN __attribute__((visibility("hidden")))

typedef struct runtime Runtime;
typedef struct task Task;

/* ---- The module's state, one per interpreter ------------------------------- */
struct state {
  PyInterpreterState* interp;
  PyObject *Error, *Timeout, *Closed, *Deadlock, *Cancelled;
  PyTypeObject *RuntimeType, *TaskType, *ChannelType, *ConnType, *PortType;
  Runtime* runtimes; /* list of all that are not stopped, which owns none */
  PyObject* dropped; /* list: by a Task, which could not stop them */
  PyObject* entered; /* list, by `with`: `go` outside a G means the last */
  PyThreadState** spare;
  Py_ssize_t spares;
  unsigned forks; /* how often this process is the child of one */
  int ending;     /* the interpreter is */
};

HIDDEN extern struct PyModuleDef core_module;

static inline struct state* state_of(PyObject* self) {
  return PyType_GetModuleState(Py_TYPE(self));
}

/* ---- tstate.c: thread states and who has them ------------------------------ */
struct carrier {
  struct state* s;       /* an M has one for each interpreter it ran */
  struct carrier* next;  /* of the same M */
  PyThreadState* home;   /* current when no green's is */
  PyThreadState* active; /* current, while this M has the GIL */
  struct green* green;   /* whose `active` is; NULL: nobody's */
};

struct green {
  PyThreadState* ts;           /* NULL: it has not begun */
  _Atomic(struct carrier*) on; /* where ts is current; see carrier_switch */
  Task* task;                  /* owned */
  PyObject *args, *kwargs, *context; /* owned until the call is over */
  int apart;                         /* inside offload: must not park */
  int held; /* locks of threading, as debug_locks counts them */
};

/* Of the calling G; NULL in a thread and in a native G. */
HIDDEN struct green* green_here(void);
HIDDEN struct carrier* carrier_here(struct state* s);
HIDDEN void carriers_end(void);
HIDDEN void carrier_switch(struct state* s, struct carrier* c, struct green* g);
HIDDEN void carrier_home(struct state* s, struct carrier* c);
HIDDEN void tstate_begin(PyThreadState* ts);
HIDDEN void tstate_forget(struct state* s);
HIDDEN void tstate_free_spares(struct state* s);
HIDDEN int finalizing(void);
/* gilstate.c: PyGILState_Ensure on this thread is to find ts. */
#if PY_VERSION_HEX < 0x030c0000
HIDDEN void gilstate_repair(PyThreadState* ts);
#else
static inline void gilstate_repair(PyThreadState* ts) { (void)ts; }
#endif

/* ---- task.c ---------------------------------------------------------------- */
struct task {
  PyObject_HEAD Runtime* runtime; /* owned */
  struct green* green;            /* the G's; NULL once it has ended */
  thrum_g g;
  PyObject *result, *error;
  PyObject *fn, *name; /* fn: until it has ended; name: if somebody set it */
  unsigned char seen;  /* somebody has been told of the error */
  PyObject* weak;
};

HIDDEN extern PyType_Spec task_spec;
HIDDEN struct green* green_of_g(void); /* as the G itself keeps it */
HIDDEN void green_drop(void* arg);
HIDDEN int green_key_make(void);
HIDDEN Task* task_spawn(struct state* s, Runtime* rt, PyObject* const* args,
                        Py_ssize_t n, PyObject* kwnames);
HIDDEN int task_wait_code(Task* t, int64_t deadline); /* raises nothing */
HIDDEN int task_wait(struct state* s, Task* t, int64_t deadline);
HIDDEN PyObject* task_answer(struct state* s, Task* t);
HIDDEN PyObject* offload(PyObject* module, PyObject* const* args, Py_ssize_t n,
                         PyObject* kwnames);
HIDDEN PyObject* native_call(PyObject* module, PyObject* const* args,
                             Py_ssize_t n);

/* ---- runtime.c ------------------------------------------------------------- */
struct runtime {
  PyObject_HEAD thrum_rt*
      rt; /* until this is freed: it may have stopped long ago */
  thrum_domain* domain;
  struct carrier* carrier; /* of the M that has the domain */
  thrum_spawn_opts opts;   /* of every spawn */
  struct state* state;
  struct interp* interps; /* owned; NULL: none */
  unsigned interp_count;
  Runtime* next; /* in state.runtimes, while `listed` */
  int listed;    /* it has not stopped */
  int told;      /* that it was dropped before */
  int attached; /* of a further interpreter: the main one's stops it, and it is the
                   list's own */
  int stopping; /* calls may fail by ClosedError, whoever makes them */
};

HIDDEN extern PyType_Spec runtime_spec;
HIDDEN Runtime* runtime_here(struct state* s);
/* Another one on the same Ps and Ms, for this interpreter. */
HIDDEN Runtime* runtime_attach(struct state* s, thrum_rt* rt);
/* Cancels what runs there and waits for its end, in a thread. */
HIDDEN int stop_until(Runtime* rt, int64_t deadline);
HIDDEN void list_remove(Runtime* rt); /* from state.runtimes */
/* ends.c: nothing runs in any of them, or ever will here. */
HIDDEN void runtimes_forget(struct state* s);
HIDDEN PyObject* shutdown_all(PyObject* module, PyObject* none);
HIDDEN PyObject* forked(PyObject* module, PyObject* none);

/* ---- stacks.c ------------------------------------------------------------- */
HIDDEN PyObject* stacks(PyObject* module, PyObject* runtime);
/* Raises Cancelled in a Task, or all, at the next bytecode. */
HIDDEN void interrupt(Task* t);
HIDDEN void interrupt_all(Runtime* rt);
/* Every G waits for another one, without a time limit. Needs no GIL. */
HIDDEN int all_wait(thrum_rt* rt);
/* No Task can ever go on. */
HIDDEN int deadlocked(Runtime* rt);
HIDDEN void deadlock_report(Runtime* rt);

/* ---- wait.c: how calls wait, and what their codes mean --------------------- */
typedef int (*wait_fn)(void* object, void* arg, int64_t deadline);
#define INTERRUPTED (-2000) /* a signal handler raised: the exception is set */

/* What is behind wait_call: for threads, and Tasks that hold locks or are apart. */
HIDDEN int wait_other(struct green* g, wait_fn fn, void* object, void* arg,
                      int64_t deadline);
/* Calls fn as where it is called from wants it. In a G it just parks: its M
 * keeps the GIL and switches to the next G's thread state. A thread gives the
 * GIL up first, and the main one looks at signals in between. */
static inline int wait_call(wait_fn fn, void* object, void* arg,
                            int64_t deadline) {
  struct green* g = green_here();
  return g && !g->apart && !g->held ? fn(object, arg, deadline)
                                    : wait_other(g, fn, object, arg, deadline);
}
/* In the child of a fork, where it is the parent's. */
HIDDEN void bell_forget(void);
/* The same for a call that must not be begun twice: a thread looks at signals
 * only when it is over. */
HIDDEN int wait_whole(wait_fn fn, void* object, void* arg, int64_t deadline);
/* Raises that nobody may wait here; returns INTERRUPTED. */
HIDDEN int raise_no_wait(void);
/* Raises what a code means and returns NULL. */
HIDDEN PyObject* raise_code(struct state* s, int code);
/* The timeout of a call with `want` arguments before it: one more, or
 * timeout=. Written for speed: this is the hot path's parser. */
HIDDEN int timeout_of(const char* name, PyObject* const* args, Py_ssize_t n,
                      PyObject* kwnames, Py_ssize_t want, int64_t* deadline);
/* A timeout in seconds or None as a deadline. < 0: not a number. */
HIDDEN int deadline_of(PyObject* timeout, int64_t* deadline);
HIDDEN int nanoseconds(PyObject* seconds, int64_t* ns);
/* For "O&": a count, as an unsigned. */
HIDDEN int count_of(PyObject* number, void* count);

/* ---- channel.c, sync.c ----------------------------------------------------- */
HIDDEN extern PyType_Spec channel_spec;
HIDDEN PyObject* select_cases(PyObject* module, PyObject* const* args,
                              Py_ssize_t n);
HIDDEN extern PyType_Spec* const sync_specs[];

/* ---- port.c --------------------------------------------------------------- */
HIDDEN extern PyType_Spec port_spec;
HIDDEN thrum_chan* port_chan_new(uint32_t cap); /* NULL: no memory */
HIDDEN PyObject* port_of(PyTypeObject* type, thrum_chan* chan); /* retains */

/* ---- interp.c: own-GIL interpreters of a runtime, a domain each ------------- */
HIDDEN int interps_new(Runtime* rt, unsigned n); /* < 0: an exception */
/* When the runtime has stopped. */
HIDDEN void interps_end(Runtime* rt);
/* Interrupts all Tasks there. */
HIDDEN void interps_interrupt(Runtime* rt);
HIDDEN PyObject* interp_attach(PyObject* module, PyObject* args);
HIDDEN PyObject* interp_port(PyObject* runtime, PyObject* args);

/* ---- net.c: adds its types and functions to the module; < 0: an exception --- */
HIDDEN int net_add(PyObject* module);

#endif
