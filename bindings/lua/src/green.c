/* Gs in the state that they are made in: go, join, cancel.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <stdio.h>
#include <string.h>

static const char handler_key = 0, packing_key = 0; /* in the registry */

/* ---- Outcomes ------------------------------------------------------------------ */
static void outcome_end(struct object* head) {
  struct outcome* o = (struct outcome*)head;
  if (o->failed && !o->canceled &&
      !atomic_load_explicit(&o->seen, memory_order_relaxed)) {
    fprintf(stderr, "thrum: a G failed and nobody asked: %s\n",
            o->trace ? o->trace : "?");
  }
  parcel_free(o->parcel);
  thrum_free(o->trace);
  thrum_domain_release(o->domain);
  house_release(o->house);
  thrum_free(o);
}

struct outcome* outcome_new(lua_State* L, struct house* h,
                            thrum_domain* domain) {
  struct outcome* o = object_new(L, sizeof *o, GREEN, outcome_end);
  atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
  o->house = h;
  thrum_domain_retain(domain);
  o->domain = domain;
  return o;
}

/* ---- Greens ----------------------------------------------------------------------- */
/* The text on top. */
static void keep_trace(lua_State* L, struct outcome* o) {
  size_t n;
  const char* text = lua_tolstring(L, -1, &n);
  o->trace = text ? thrum_alloc(n + 1) : NULL;
  if (o->trace) {
    memcpy(o->trace, text, n + 1);
  }
}

/* The text of an error. */
static int describe(lua_State* L) {
  if (!lua_tostring(L, 1) && luaL_callmeta(L, 1, "__tostring")) {
    lua_tostring(L, -1);
  }
  return 1;
}

/* Upvalue: the island. Keeps the traceback, leaves the error as it is: tostring
 * changes a number, and a __tostring may raise another. */
int green_handler(lua_State* L) {
  struct island* isl = island_here(L);
  struct outcome* o = isl->cur ? isl->cur->out : NULL;
  if (!o || o->trace || canceled_at(L, 1)) {
    return 1;
  }
  lua_pushcfunction(L, describe);
  lua_pushvalue(L, 1);
  const char* text =
      lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tostring(L, -1) : NULL;
  if (!text) {
    text = lua_pushfstring(L, "(a %s)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, text, 1);
  keep_trace(L, o);
  lua_settop(L, 1);
  return 1;
}

static struct green* green_new(lua_State* L, struct island* isl) {
  lua_State* T = lua_newthread(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, T); /* anchored for good */
  struct green* g = thrum_calloc(1, sizeof *g);
  if (!g) {
    luaL_error(L, "not enough memory");
  }
  g->isl = isl;
  g->L = T;
  return g;
}

/* With the handler on its stack, and L's hook, as a new thread has it. */
static struct green* green_take(lua_State* L, struct island* isl) {
  struct green* g = isl->spares;
  if (g) {
    isl->spares = g->next;
#ifndef LUAJIT /* all threads have one */
    lua_sethook(g->L, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
#endif
  } else {
    g = green_new(L, isl);
  }
  lua_rawgetp(g->L, LUA_REGISTRYINDEX, &handler_key);
  return g;
}

/* Whether nobody has got hold of its thread (coroutine.running) and resumed it. */
static int unspoilt(const struct green* g) {
  lua_Debug at;
  return lua_status(g->L) == LUA_OK && !lua_getstack(g->L, 0, &at);
}

/* An empty stack: for coroutine.resume it is dead. */
static void green_give(struct island* isl, struct green* g) {
  if (!unspoilt(g)) {
    thrum_free(g);
    return;
  }
  lua_settop(g->L, 0);
  g->next = isl->spares;
  isl->spares = g;
}

static void enlist(struct island* isl, struct green* g) {
  g->next = isl->lives;
  g->link = &isl->lives;
  if (g->next) {
    g->next->link = &g->next;
  }
  isl->lives = g;
  ++isl->live;
}

static void delist(struct island* isl, struct green* g) {
  *g->link = g->next;
  if (g->next) {
    g->next->link = g->link;
  }
  --isl->live;
}

/* Upvalue: the island; [1]: the outcome. What the values above are to others. */
static int pack_values(lua_State* L) {
  struct outcome* o = lua_touserdata(L, 1);
  o->parcel = parcel_pack(L, island_here(L), 2, lua_gettop(L) - 1);
  if (!o->parcel) {
    o->unsendable = 1;
    o->parcel = parcel_pack(L, island_here(L), lua_gettop(L), 1);
  }
  return 0;
}

static void push_packing(lua_State* L, struct outcome* o) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &packing_key);
  lua_pushlightuserdata(L, o);
}

/* Copies of what it has left above its handler, on L; T itself runs nothing, and
 * must not raise. */
static void copy_values(struct outcome* o, lua_State* L) {
  lua_State* T = o->green->L;
  int n = o->count;
  luaL_checkstack(L, n + 4, "too many values");
  if (!unspoilt(o->green) || lua_gettop(T) != n + 1 || !lua_checkstack(T, 1)) {
    luaL_error(L, "what this G returned is lost");
  }
  for (int i = 1; i <= n; ++i) {
    lua_pushvalue(T, i + 1);
    lua_xmove(T, L, 1);
  }
}

/* [1]: the outcome of a G that has ended. */
static int share(lua_State* L) {
  struct outcome* o = lua_touserdata(L, 1);
  push_packing(L, o);
  copy_values(o, L);
  lua_call(L, o->count + 1, 0);
  return 0;
}

/* The G's own last act in Lua; nobody would catch an error. */
static void share_own(lua_State* L, struct outcome* o) {
  if (!lua_checkstack(L, o->count + 4)) {
    return;
  }
  push_packing(L, o);
  for (int i = 1; i <= o->count; ++i) {
    lua_pushvalue(L, i + 1);
  }
  lua_pcall(L, o->count + 1, 0, 0);
  lua_settop(L, o->count + 1);
}

/* What is needed where nothing may raise: before and after the call of a G. */
void green_prepare(lua_State* L, struct island* isl) {
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, green_handler, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &handler_key);
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, pack_values, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &packing_key);
}

static void green_main(void* arg) {
  struct green* g = arg;
  lua_State* L = g->L;
  struct outcome* o = g->out;
  atomic_store_explicit(&g->at, L, memory_order_relaxed);
  o->count = -1;
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  o->count = lua_gettop(L) - 1;
  o->failed = status != LUA_OK;
  o->canceled = o->failed && canceled_at(L, -1);
  if (status == LUA_ERRMEM && !o->trace && lua_type(L, -1) == LUA_TSTRING) {
    keep_trace(L, o); /* no handler runs then */
  }
  if (o->wanted) {
    share_own(L, o);
  }
}

/* The last act of a G, on its stack; its function was left out if the runtime
 * stops. */
void green_drop(void* arg) {
  struct green* g = arg;
  struct island* isl = g->isl;
  struct outcome* o = g->out;
  atomic_store_explicit(&g->at, NULL, memory_order_relaxed);
  g->out = NULL;
  o->runs = NULL;
  if (o->count < 0) {
    o->failed = o->canceled = 1;
    o->count = 0;
  }
  o->done = 1;
  if (g == &isl->root) {
    --isl->live;
  } else {
    delist(isl, g);
    if (o->boxed && o->count > 0 && !o->canceled) {
      o->green = g;
    } else {
      o->green = NULL;
      green_give(isl, g);
    }
  }
  object_release(&o->head);
  if (isl->isolated && isl->live == 0) {
    island_recycle(isl);
  }
}

/* The last handle of its home has been collected. */
void greens_forget(struct island* isl) {
  while (isl->spares) {
    struct green* g = isl->spares;
    isl->spares = g->next;
    thrum_free(g);
  }
}

void green_unboxed(struct island* isl, struct outcome* o) {
  if (o->home != isl) {
    return;
  }
  struct green* g = o->green;
  o->boxed = 0;
  if (g && o->done) {
    o->green = NULL;
    if (isl->house) {
      green_give(isl, g);
    } else {
      thrum_free(g); /* the state closes */
    }
  }
}

/* ---- go --------------------------------------------------------------------------------- */
/* Spawns the function at `first` with the arguments above it; pushes the handle
 * in their place. */
int green_go(lua_State* L, struct island* isl, int first) {
  int n = lua_gettop(L) - first + 1;
  struct outcome* o = outcome_new(L, isl->house, isl->domain);
  object_push(L, isl, &o->head);
  lua_insert(L, first);
  struct green* g = green_take(L, isl);
  if (!lua_checkstack(g->L, n + 2)) {
    green_give(isl, g);
    return luaL_error(L, "too many arguments");
  }
  lua_xmove(L, g->L, n);
  object_retain(&o->head);
  o->home = isl;
  o->boxed = 1;
  o->count = -1;
  g->out = o;
  o->runs = g;
  enlist(isl, g);
  int code = thrum_spawn(isl->house->rt, &isl->opts, green_main, g, &o->g);
  if (code < 0) {
    delist(isl, g);
    g->out = NULL;
    o->runs = NULL;
    o->boxed = 0;
    object_release(&o->head);
    green_give(isl, g);
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  return 1;
}

static void check_callable(lua_State* L, int at) {
  if (!lua_isfunction(L, at)) {
    if (!luaL_getmetafield(L, at, "__call")) {
      luaL_checktype(L, at, LUA_TFUNCTION);
    }
    lua_pop(L, 1);
  }
}

static int go(lua_State* L) {
  struct island* isl = island_here(L);
  check_callable(L, 1);
  island_need(L, isl, 1);
  if (!isl->cur && !isl->pumped) { /* it would run beside this thread */
    return luaL_error(L, "go() outside run(), in a state that is not pumped");
  }
  if (isl->ending) {
    return answer(L, THRUM_ECANCELED);
  }
  return green_go(L, isl, 1);
}

/* ---- Handles ------------------------------------------------------------------------------- */
void green_share(lua_State* L, struct island* isl, struct outcome* o) {
  if (o->home != isl || o->wanted) {
    return;
  }
  o->wanted = 1;
  if (o->done && o->green) {
    lua_pushcfunction(L, share);
    lua_pushlightuserdata(L, o);
    struct packer outer = isl->pack; /* this is in the middle of packing */
    memset(&isl->pack, 0, sizeof outer);
    isl->sharing = 1;
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
    }
    isl->sharing = 0;
    packer_free(&isl->pack);
    isl->pack = outer;
  }
}

static int push_values(lua_State* L, struct island* isl, struct outcome* o) {
  if (o->canceled) {
    canceled_push(L);
    return 1;
  }
  if (o->home != isl || !o->green) { /* or its state is a new one by now */
    return o->parcel ? parcel_unpack(L, isl, o->parcel) : 0;
  }
  copy_values(o, L);
  return o->count;
}

static struct outcome* outcome_at(lua_State* L) {
  return object_check(L, 1, GREEN);
}

/* Whether o has ended; what it left may be read then. */
static int ended(struct island* isl, struct outcome* o) {
  return o->home == isl ? o->done
                        : thrum_join(o->house->rt, o->g, THRUM_TRY) == 0;
}

/* join([timeout]): what the function returned, or its error again. */
static int join(lua_State* L) {
  struct island* isl = island_here(L);
  struct outcome* o = outcome_at(L);
  if (!ended(isl, o)) {
    int64_t deadline = deadline_at(L, 2);
    wait_check(L, isl);
    int code = thrum_join(o->house->rt, o->g, deadline);
    if (code < 0) {
      return answer(L, code);
    }
  }
  atomic_store_explicit(&o->seen, 1, memory_order_relaxed);
  back_in(L);
  int n = push_values(L, isl, o);
  if (o->failed || (o->unsendable && o->home != isl)) {
    return n ? lua_error(L) : luaL_error(L, "not enough memory");
  }
  return n;
}

static int cancel(lua_State* L) {
  struct outcome* o = outcome_at(L);
  int code = thrum_cancel(o->house->rt, o->g);
  if (o->house->preempt) { /* it may be in a loop */
    if (o->home != island_here(L)) {
      hog_nudge(o->house, o->domain, 0);
    } else if (o->runs) {
      hog_preempt(NULL, o->runs);
    }
  }
  lua_pushboolean(L, code == 0);
  return 1;
}

/* "running", "done", "failed" or "canceled". */
static int status(lua_State* L) {
  struct outcome* o = outcome_at(L);
  lua_pushstring(L, !ended(island_here(L), o) ? "running"
                    : o->canceled             ? "canceled"
                    : o->failed               ? "failed"
                                              : "done");
  return 1;
}

static int traceback(lua_State* L) {
  struct outcome* o = outcome_at(L);
  lua_pushstring(L, ended(island_here(L), o) ? o->trace : NULL);
  return 1;
}

/* At the end of its block: cancels it if the block failed; waits. */
static int close_g(lua_State* L) {
  if (!lua_isnoneornil(L, 2)) {
    cancel(L);
  }
  lua_settop(L, 1);
  return join(L) * 0;
}

/* The number of the G that calls, nil outside. */
static int self(lua_State* L) {
  thrum_g g = thrum_self();
  if (!g) {
    lua_pushnil(L);
    return 1;
  }
  char text[24];
  snprintf(text, sizeof text, "%llx", (unsigned long long)g);
  lua_pushstring(L, text);
  return 1;
}

const luaL_Reg green_functions[] = {{"go", go}, {"self", self}, {NULL, NULL}};
const luaL_Reg green_methods[] = {
    {"join", join},           {"cancel", cancel},   {"status", status},
    {"traceback", traceback}, {"__close", close_g}, {NULL, NULL}};
