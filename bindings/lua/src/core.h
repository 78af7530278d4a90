/* What the files of the module share. The words:
 *   house    what all states of one runtime share.
 *   island   a lua_State as a domain. The host's own, or an isolated one that
 *            thrum.spawn has made; those are pooled.
 *   green    the part of a G that only its island sees: the Lua thread where its
 *            function runs. It is the G's spawn arg.
 *   object   what handles in several states may refer to.
 *   parcel   values on their way from one state to another.
 * All fields without another note are guarded by the island's domain; outside
 * its Gs, by the thread that owns the lua_State.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_LUA_CORE_H
#define THRUM_LUA_CORE_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <thrum/host.h>
#include <thrum/thrum.h>
#include "compat.h"

/* Of address space for each G's C stack. Lua allows 200 calls of C functions within
 * each other, and gsub's frame has a buffer of 1 KiB, before 5.4 of 8. */
#if LUA_VERSION_NUM >= 504
#define STACK (1u << 20)
#else
#define STACK (4u << 20)
#endif

#define HIDDEN __attribute__((visibility("hidden")))

struct island;
struct memory;

/* ---- object.c: handles ------------------------------------------------------- */
enum kind {
  CHANNEL,
  GREEN,
  MUTEX,
  WAITGROUP,
  SEMAPHORE,
  BUFFER,
  CONN,
  LISTENER,
  UDP,
  KINDS
};

struct object {
  _Atomic int refs;
  enum kind kind;                /* const */
  void (*end)(struct object* o); /* const; frees it */
};

/* What a handle is: userdata. */
struct box {
  const void* mark; /* by this it is told from others' userdata */
  struct object* o;
  struct island* isl;       /* whose */
  struct box *next, **link; /* its island's boxes */
};

/* Pushes a handle. It takes the caller's reference over, also when it raises. */
HIDDEN void object_push(lua_State* L, struct island* isl, struct object* o);
HIDDEN void* object_new(lua_State* L, size_t size, enum kind kind,
                        void (*end)(struct object*));
HIDDEN void object_retain(struct object* o);
HIDDEN void object_release(struct object* o);
/* Lets go of what all handles of the island refer to. */
HIDDEN void objects_forget(struct island* isl);
/* The handle at `at`, and its object; raises if it is none of this kind. */
HIDDEN struct box* box_check(lua_State* L, int at, enum kind kind);
HIDDEN void* object_check(lua_State* L, int at, enum kind kind);
/* NULL: no handle. */
HIDDEN struct object* object_at(lua_State* L, int at);
/* Makes the metatable of a kind: methods by their names, others by theirs. */
HIDDEN void object_type(lua_State* L, struct island* isl, enum kind kind,
                        const luaL_Reg* methods);
HIDDEN void methods_set(lua_State* L, struct island* isl, const luaL_Reg* list);

/* ---- island.c: states --------------------------------------------------------- */
struct house {
  _Atomic int refs;
  thrum_rt* rt;     /* const */
  int owned;        /* const: the runtime is ours to stop */
  int preempt;      /* const once states exist: hogs are stopped by a signal */
  _Atomic int ends; /* isolated states are to end, whatever they catch */
  thrum_mutex lock;
  struct island* pool; /* lock */
  int pooled;          /* lock */
  struct island* all;  /* lock: isolated ones */
  int closing;         /* lock: nobody will spawn any more */
  char *path, *cpath;  /* const: where isolated states find modules */
};

struct green {
  struct island* isl;
  lua_State* L;           /* anchored; [1] is the message handler, if used */
  _Atomic(lua_State*) at; /* L, or the thread that it has resumed */
  struct outcome* out;    /* owned */
  struct green *next, **link; /* in live, or in spares */
  struct parcel* order;       /* isolated: function and arguments */
  int shields;                /* how many shield() it is in */
};

struct seen {
  const void* key;
  uint32_t index, round;
};

struct packer {
  unsigned char* bytes;
  size_t size, room;
  struct object** objects;
  uint32_t count, objects_room;
  struct seen* seen;
  uint32_t seen_count, seen_room, round, refs;
  const char* what;
  char path[256];
  int busy;
  int code, global, learned; /* there was a function; modules were looked at */
  int known;                 /* where the table of known_push is */
  const void *globals, *canceled; /* which tables these are */
};

struct island {
  struct house* house; /* NULL: not used yet */
  lua_State* L;        /* its main thread */
  thrum_domain* domain;
  thrum_spawn_opts opts;
  int isolated, pumped;
  int ending; /* no more Gs: run's function has returned, or the state closes */
  struct green* cur; /* who runs */
  _Atomic int held;  /* an M has the domain */
  int live;
  struct green *lives, *spares;
  struct green root;     /* isolated: of the spawned function */
  struct memory* memory; /* isolated: what L is made of */
  int untouched;         /* isolated: nothing of it was within reach */
  int finalizers;        /* isolated: it may have some besides the boxes' */
  struct box* boxes;
  struct object* pushed;       /* on its way into one */
  unsigned boxed;              /* how many there have been */
  struct island *next, *older; /* house lock */
  struct packer pack;
  int sharing;         /* another packer is in its place: nobody else may run */
  thrum_config config; /* of the runtime to be made */
  int preempt;         /* wanted of it */
};

HIDDEN struct island* island_of(lua_State* L);
static inline struct island* island_here(lua_State* L) {
  return (struct island*)lua_touserdata(L, lua_upvalueindex(1));
}
/* Makes runtime and domain of the host's state at first use. */
HIDDEN void island_need(lua_State* L, struct island* isl, int pumped);
HIDDEN int island_domain(struct island* isl);
HIDDEN void island_end(struct island* isl);
/* Closes a state that is not used. */
HIDDEN void island_shut(struct island* isl);
HIDDEN struct house* house_new(thrum_rt* rt, int owned);
HIDDEN void house_release(struct house* h);
HIDDEN struct house* house_need(lua_State* L, struct island* isl);
HIDDEN extern const luaL_Reg island_functions[];
/* hog.c: stopping Lua that does not stop by itself. */
HIDDEN void hog_preempt(void* island, void* green);
/* With preemption: what runs in the domain is asked to give way, once or until
 * the runtime has stopped, and so learns that it was canceled. Any state. */
HIDDEN void hog_nudge(struct house* h, thrum_domain* domain, int for_good);
HIDDEN void hog_track(lua_State* L, struct island* isl);
/* ---- memory.c: an allocator that can go back to what it once was ---------------- */
#define MEMORY_APART 64
HIDDEN struct memory* memory_new(void);
HIDDEN void memory_free(struct memory* m);
/* As lua_Alloc. */
HIDDEN void* memory_allocate(void* m, void* p, size_t old, size_t size);
/* What there is now is what reset brings back. 0: not enough memory. */
HIDDEN int memory_keep(struct memory* m);
HIDDEN void memory_reset(struct memory* m);
/* Up to MEMORY_APART bytes that no reset changes. */
HIDDEN void memory_apart(struct memory* m, void* p, size_t size);
/* Whether it has taken more from the system since it was kept. */
HIDDEN int memory_grown(const struct memory* m);
/* How many userdata were made since then. */
HIDDEN unsigned memory_userdata(const struct memory* m);

/* ---- renew.c --------------------------------------------------------------------- */
/* The last touch to a state that is new. */
HIDDEN void renew_prepare(lua_State* L, struct island* isl);
/* Makes a used one new again, where that can be done. */
HIDDEN int renew(struct island* isl);

/* ---- green.c, spawn.c ---------------------------------------------------------- */
struct outcome {
  struct object head;
  struct house* house; /* owned */
  struct island* home; /* compared, and followed at home only; NULL: isolated */
  struct green* green; /* at home: values are on its stack; NULL: none */
  struct green* runs;  /* at home: until it has ended */
  thrum_g g;
  thrum_domain* domain; /* owned: where it runs */
  /* Written before the G ends; others read them after a join. */
  int done, failed, canceled, count;
  struct parcel* parcel; /* the values for other states */
  int unsendable;        /* instead, parcel is a text that says why not */
  char* trace;           /* NULL: none */
  int wanted;            /* at home: another state has a handle */
  _Atomic int seen;      /* somebody was told of the error */
  int boxed;             /* at home: there is a handle */
};

HIDDEN extern const luaL_Reg green_functions[];
HIDDEN extern const luaL_Reg green_methods[];
HIDDEN extern const luaL_Reg spawn_functions[];
HIDDEN int green_go(lua_State* L, struct island* isl, int first);
HIDDEN void green_drop(void* arg);
HIDDEN int green_handler(lua_State* L);
HIDDEN void green_prepare(lua_State* L, struct island* isl);
HIDDEN void greens_forget(struct island* isl);
HIDDEN void green_unboxed(struct island* isl, struct outcome* o);
HIDDEN void green_share(lua_State* L, struct island* isl, struct outcome* o);
HIDDEN struct outcome* outcome_new(lua_State* L, struct house* h,
                                   thrum_domain* domain);
HIDDEN void island_recycle(struct island* isl);

/* ---- wait.c ---------------------------------------------------------------------- */
/* In a finalizer: who came next would run with the collector switched off. */
HIDDEN int wait_refused(lua_State* L);
/* Whether the caller may wait: not in a finalizer, nor once its state ends. */
HIDDEN int wait_allowed(lua_State* L, struct island* isl);
/* Raises if it may not. */
HIDDEN void wait_check(lua_State* L, struct island* isl);
/* The timeout in seconds at `at` as a deadline; none or nil: for ever. */
HIDDEN int64_t deadline_at(lua_State* L, int at);
HIDDEN int64_t nanoseconds_at(lua_State* L, int at);
/* After a wait, before an error is raised: other Gs of the state have run. */
#ifdef LUAJIT
HIDDEN void back_in(lua_State* L);
#else
#define back_in(L) ((void)(L))
#endif
/* Answers a code: nil, "timeout" or nil, "closed"; raises what is no answer. */
HIDDEN int answer(lua_State* L, int code);
HIDDEN void canceled_push(lua_State* L);
HIDDEN int canceled_at(lua_State* L, int at);

/* ---- parcel.c, unparcel.c ---------------------------------------------------------- */
struct parcel {
  uint32_t size, values, objects; /* objects stand before the bytes */
  uint16_t refs;                  /* something is referred to */
  uint16_t global;                /* it leads to globals, modules or handles */
  struct object* object[];
};

enum {
  P_NIL,
  P_FALSE,
  P_TRUE,
  P_INTEGER,
  P_NUMBER,
  P_STRING,
  P_LIGHT,
  P_TABLE,
  P_END,
  P_REF,
  P_FUNCTION,
  P_UPVALUE,
  P_SHARED,
  P_GLOBALS,
  P_KNOWN,
  P_OBJECT,
  P_CANCELED
};

/* Packs n values from `first` on. NULL: error text and path are pushed. */
HIDDEN struct parcel* parcel_pack(lua_State* L, struct island* isl, int first,
                                  int n);
/* Pushes its values, as often as one likes; raises when out of memory. */
HIDDEN int parcel_unpack(lua_State* L, struct island* isl,
                         const struct parcel* p);
HIDDEN void parcel_prepare(lua_State* L);
/* The same, and frees it, also when it raises. */
HIDDEN void parcel_deliver(lua_State* L, struct island* isl, struct parcel* p);
HIDDEN void parcel_free(struct parcel* p);
HIDDEN void packer_free(struct packer* p);
/* Value -> name and back of what is in every state: modules, C functions. */
HIDDEN void known_push(lua_State* L);
HIDDEN void known_learn(lua_State* L);
HIDDEN int parcel_copy(lua_State* L);

/* ---- message.c: one value in a channel ------------------------------------------------ */
struct message {
  unsigned char tag, size;
  char text[6]; /* a short string goes on over what follows */
  union {
    int64_t integer;
    double number;
    struct parcel* parcel;
  } u;
};
HIDDEN void message_pack(lua_State* L, struct island* isl, int at,
                         struct message* m);
/* Pushes the value, and frees what it came in. */
HIDDEN void message_unpack(lua_State* L, struct island* isl, struct message* m);
HIDDEN void message_drop(void* arg, void* m);

HIDDEN int channel_is_local(const struct object* o);

/* ---- channel.c, sync.c, buffer.c -------------------------------------------------------- */
HIDDEN extern const luaL_Reg channel_functions[], channel_methods[];
HIDDEN extern const luaL_Reg sync_functions[], mutex_methods[],
    waitgroup_methods[], semaphore_methods[];
HIDDEN extern const luaL_Reg buffer_functions[], buffer_methods[];
HIDDEN extern const luaL_Reg net_functions[], conn_methods[],
    listener_methods[], udp_methods[];

/* module.c */
HIDDEN void module_core(lua_State* L, struct island* isl);
int luaopen_thrum(lua_State* L);
extern const char thrum_facade[]; /* thrum.lua */

#endif
