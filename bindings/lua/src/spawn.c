/* spawn: a function in a state of its own, on any core. States are pooled: a new
 * one costs forty times as much as a spawn.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

/* States that are kept for the next spawn; what is beyond is closed. */
#define POOL 256

/* ---- States ------------------------------------------------------------------- */
static void set_path(lua_State* L, const char* name, const char* path) {
  if (path) {
    lua_getglobal(L, "package");
    lua_pushstring(L, path);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
  }
}

/* What stands on the stack of a state, to be called where nothing may raise. */
enum { HANDLER = 1, BODY, KEEP_ERROR };

static void push_own(lua_State* L, struct island* isl, lua_CFunction f) {
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, f, 1);
}

static int body(lua_State* L);
static int keep_error(lua_State* L);

/* [1]: the island. */
static int furnish(lua_State* L) {
  struct island* isl = lua_touserdata(L, 1);
  luaL_openlibs(L);
  set_path(L, "path", isl->house->path);
  set_path(L, "cpath", isl->house->cpath);
  module_core(L, isl);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_thrum);
  lua_setfield(L, -2, "thrum");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "thrum");
  lua_call(L, 1, 0);
  known_push(L);
  lua_settop(L, 0);
  if (isl->house->preempt) {
    hog_track(L, isl);
  }
  renew_prepare(L, isl);
  push_own(L, isl, green_handler);
  push_own(L, isl, body);
  push_own(L, isl, keep_error);
  return KEEP_ERROR;
}

/* On the G's own stack and core: 0 if there is no memory. */
static int open_state(struct island* isl) {
#ifdef LUAJIT
  lua_State* L = luaL_newstate();
#else
  isl->memory = memory_new();
  lua_State* L =
      isl->memory ? lua_newstate(memory_allocate, isl->memory) : NULL;
#endif
  isl->L = L;
  if (!L) {
    return 0;
  }
  lua_pushcfunction(L, furnish);
  lua_pushlightuserdata(L, isl);
  if (lua_pcall(L, 1, KEEP_ERROR, 0) != LUA_OK) {
    return 0;
  }
  lua_gc(L, LUA_GCCOLLECT, 0);
  return !isl->memory || memory_keep(isl->memory);
}

static void root_drop(void* arg);

static int island_new(struct house* h, struct island** out) {
  struct island* isl = thrum_calloc(1, sizeof *isl);
  if (!isl) {
    return THRUM_ENOMEM;
  }
  isl->house = h;
  isl->isolated = 1;
  isl->root.isl = isl;
  int code = island_domain(isl);
  if (code < 0) {
    thrum_free(isl);
    return code;
  }
  isl->opts.drop = root_drop;
  thrum_mutex_lock(&h->lock, THRUM_FOREVER);
  isl->older = h->all;
  h->all = isl;
  thrum_mutex_unlock(&h->lock);
  *out = isl;
  return 0;
}

static int pool_take(struct house* h, struct island** out) {
  thrum_mutex_lock(&h->lock, THRUM_FOREVER);
  struct island* isl = h->pool;
  if (isl) {
    h->pool = isl->next;
    --h->pooled;
  }
  thrum_mutex_unlock(&h->lock);
  *out = isl;
  return isl ? 0 : island_new(h, out);
}

/* Somebody may spawn in it at once: nothing of it is touched after this. */
static void pool_give(struct island* isl) {
  struct house* h = isl->house;
  thrum_mutex_lock(&h->lock, THRUM_FOREVER);
  int full = h->closing || (isl->L && h->pooled >= POOL);
  if (!full) {
    isl->next = h->pool;
    h->pool = isl;
    ++h->pooled;
  }
  thrum_mutex_unlock(&h->lock);
  if (!full) {
    return;
  }
  island_shut(isl);
  thrum_mutex_lock(&h->lock, THRUM_FOREVER);
  if (!h->closing) { /* without a state, for the time when one is needed */
    isl->next = h->pool;
    h->pool = isl;
    ++h->pooled;
  }
  thrum_mutex_unlock(&h->lock);
}

/* The last G of its state has ended; finalizers must not start others. */
void island_recycle(struct island* isl) {
  isl->ending = 1;
  if (isl->L) {
    lua_settop(isl->L, KEEP_ERROR);
    if (!(isl->untouched && isl->memory && !memory_grown(isl->memory)) &&
        !renew(isl)) {
      island_shut(isl);
    }
  }
  pool_give(isl);
}

/* ---- The G ------------------------------------------------------------------------ */
/* Upvalue: the island. Unpacks the order, calls, packs what comes back. */
static int body(lua_State* L) {
  struct island* isl = island_here(L);
  struct green* g = &isl->root;
  isl->untouched = !g->order->global;
  int n = parcel_unpack(L, isl, g->order);
  parcel_free(g->order);
  g->order = NULL;
  lua_call(L, n - 1, LUA_MULTRET);
  n = lua_gettop(L);
  struct outcome* o = g->out;
  o->count = n;
  o->parcel = n ? parcel_pack(L, isl, 1, n) : NULL;
  if (n && !o->parcel) {
    return lua_error(L);
  }
  return 0;
}

/* [1] is an error. */
static int keep_error(lua_State* L) {
  struct island* isl = island_here(L);
  struct outcome* o = isl->root.out;
  o->parcel = parcel_pack(L, isl, 1, 1);
  if (!o->parcel) { /* its text at least */
    lua_pushfstring(L, "%s (%s)", o->trace ? o->trace : "an error",
                    lua_tostring(L, -1));
    o->parcel = parcel_pack(L, isl, lua_gettop(L), 1);
  }
  return 0;
}

static int call_protected(lua_State* L, int f, int n) {
  lua_pushvalue(L, f);
  lua_insert(L, -n - 1);
  return lua_pcall(L, n, 0, HANDLER);
}

static void root_main(void* arg) {
  struct green* g = arg;
  struct island* isl = g->isl;
  struct outcome* o = g->out;
  o->count = 0;
  if (!isl->L && !open_state(isl)) {
    island_shut(isl);
    o->failed = 1;
    return;
  }
  g->L = isl->L;
  atomic_store_explicit(&g->at, g->L, memory_order_relaxed);
  if (call_protected(g->L, BODY, 0) != LUA_OK) {
    o->count = 1;
    o->canceled = canceled_at(g->L, -1);
    o->failed = 1;
    call_protected(g->L, KEEP_ERROR, 1);
  }
  parcel_free(g->order);
  g->order = NULL;
}

/* Of all Gs here. If the root never ran, its order is still there. */
static void root_drop(void* arg) {
  struct green* g = arg;
  parcel_free(g->order);
  g->order = NULL;
  green_drop(g);
}

/* spawn(f, ...): f and its arguments are copied. */
static int spawn(lua_State* L) {
  struct island* isl = island_here(L);
  int n = lua_gettop(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct house* h = house_need(L, isl);
  struct parcel* order = parcel_pack(L, isl, 1, n);
  if (!order) {
    return luaL_error(L, "%s", lua_tostring(L, -1));
  }
  struct island* home;
  int code = pool_take(h, &home);
  if (code < 0) {
    parcel_free(order);
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  struct outcome* o = outcome_new(L, h, home->domain);
  struct green* g = &home->root;
  g->out = o;
  g->order = order;
  home->live = 1;
  home->ending = 0;
  o->count = -1;
  object_retain(&o->head);
  code = thrum_spawn(h->rt, &home->opts, root_main, g, &o->g);
  home = NULL; /* it may run already */
  if (code < 0) {
    parcel_free(order);
    g->order = NULL;
    g->isl->live = 0;
    o->done = 1;
    object_release(&o->head);
    pool_give(g->isl);
    object_release(&o->head);
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  object_push(L, isl, &o->head);
  return 1;
}

const luaL_Reg spawn_functions[] = {
    {"spawn", spawn}, {"copy", parcel_copy}, {NULL, NULL}};
