/* Locks, counters and sleep. Their handles go to any state.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

struct lock {
  struct object head;
  thrum_mutex mutex;
};
struct group {
  struct object head;
  thrum_wg wg;
};
struct permits {
  struct object head;
  thrum_sem sem;
};

static void end(struct object* o) { thrum_free(o); }

/* true, or what the code means. */
static int done(lua_State* L, int code) {
  if (code < 0) {
    return answer(L, code);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- Mutex ---------------------------------------------------------------------- */
static int mutex(lua_State* L) {
  struct lock* m = object_new(L, sizeof *m, MUTEX, end);
  object_push(L, island_here(L), &m->head);
  return 1;
}

static struct lock* lock_at(lua_State* L) { return object_check(L, 1, MUTEX); }

/* lock([timeout]): the mutex itself, for `local held <close> = m:lock()`. */
static int lock(lua_State* L) {
  struct lock* m = lock_at(L);
  int64_t deadline = deadline_at(L, 2);
  wait_check(L, island_here(L));
  int code = thrum_mutex_lock(&m->mutex, deadline);
  if (code < 0) {
    return answer(L, code);
  }
  lua_settop(L, 1);
  return 1;
}

static int unlock(lua_State* L) {
  int code = thrum_mutex_unlock(&lock_at(L)->mutex);
  return code == THRUM_EPERM
             ? luaL_error(L, "unlock() of a mutex that another G has, or none")
             : done(L, code);
}

/* ---- WaitGroup ------------------------------------------------------------------- */
static int waitgroup(lua_State* L) {
  struct group* g = object_new(L, sizeof *g, WAITGROUP, end);
  object_push(L, island_here(L), &g->head);
  return 1;
}

static struct group* group_at(lua_State* L) {
  return object_check(L, 1, WAITGROUP);
}

static int add(lua_State* L) {
  struct group* g = group_at(L);
  lua_Integer n = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= INT32_MIN && n <= INT32_MAX, 2, "out of range");
  int code = thrum_wg_add(&g->wg, (int32_t)n);
  return code < 0 ? luaL_error(L, "the counter would leave its range")
                  : done(L, code);
}

static int wg_done(lua_State* L) {
  int code = thrum_wg_done(&group_at(L)->wg);
  return code < 0 ? luaL_error(L, "done() without add()") : done(L, code);
}

static int wait(lua_State* L) {
  struct group* g = group_at(L);
  int64_t deadline = deadline_at(L, 2);
  wait_check(L, island_here(L));
  return done(L, thrum_wg_wait(&g->wg, deadline));
}

/* ---- Semaphore --------------------------------------------------------------------- */
static int semaphore(lua_State* L) {
  lua_Integer n = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 1, "out of range");
  struct permits* s = object_new(L, sizeof *s, SEMAPHORE, end);
  thrum_sem_release(&s->sem, (uint32_t)n);
  object_push(L, island_here(L), &s->head);
  return 1;
}

static struct permits* permits_at(lua_State* L) {
  return object_check(L, 1, SEMAPHORE);
}

static int release(lua_State* L) {
  struct permits* s = permits_at(L);
  lua_Integer n = luaL_optinteger(L, 2, 1);
  luaL_argcheck(L, n >= 0 && n <= INT32_MAX, 2, "out of range");
  return done(L, thrum_sem_release(&s->sem, (uint32_t)n));
}

static int acquire(lua_State* L) {
  struct permits* s = permits_at(L);
  int64_t deadline = deadline_at(L, 2);
  wait_check(L, island_here(L));
  return done(L, thrum_sem_acquire(&s->sem, deadline));
}

/* ---- Time and turns ------------------------------------------------------------------- */
static int sleep(lua_State* L) {
  int64_t ns = nanoseconds_at(L, 1);
  wait_check(L, island_here(L));
  int code = thrum_sleep(ns);
  return code == THRUM_ENOTG ? luaL_error(L, "only inside a G") : done(L, code);
}

static int yield(lua_State* L) {
  wait_check(L, island_here(L));
  int code = thrum_yield();
  if (code == THRUM_ENOTG) {
    return luaL_error(L, "only inside a G");
  }
  return code < 0 ? answer(L, code) : 0;
}

/* A safepoint in a long computation. */
static int check(lua_State* L) {
  if (wait_refused(L)) {
    return 0;
  }
  wait_check(L, island_here(L));
  int code = thrum_check();
  return code == THRUM_ECANCELED ? answer(L, code) : 0;
}

static int now(lua_State* L) {
  lua_pushnumber(L, (lua_Number)thrum_now() / 1e9);
  return 1;
}

/* blocking(f, ...): f as it is, while the core goes to Gs of other states. */
static int blocking(lua_State* L) {
  luaL_checkany(L, 1);
  wait_check(L, island_here(L));
  int declared = thrum_enter_blocking() == 0;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (declared) {
    thrum_exit_blocking();
    back_in(L);
  }
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* shield(f, ...): no cancel ends a wait in f. */
static int shield(lua_State* L) {
  struct green* g = island_here(L)->cur;
  luaL_checkany(L, 1);
  if (g) {
    thrum_shield(1);
    ++g->shields;
  }
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (g) {
    thrum_shield(-1);
    --g->shields;
  }
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static int canceled(lua_State* L) {
  lua_pushboolean(L, thrum_cancelled() == 1);
  return 1;
}

const luaL_Reg sync_functions[] = {{"mutex", mutex},
                                   {"wg", waitgroup},
                                   {"sem", semaphore},
                                   {"sleep", sleep},
                                   {"yield", yield},
                                   {"check", check},
                                   {"now", now},
                                   {"shield", shield},
                                   {"blocking", blocking},
                                   {"iscanceled", canceled},
                                   {NULL, NULL}};
const luaL_Reg mutex_methods[] = {
    {"lock", lock}, {"unlock", unlock}, {"__close", unlock}, {NULL, NULL}};
const luaL_Reg waitgroup_methods[] = {
    {"add", add}, {"done", wg_done}, {"wait", wait}, {NULL, NULL}};
const luaL_Reg semaphore_methods[] = {
    {"release", release}, {"acquire", acquire}, {NULL, NULL}};
