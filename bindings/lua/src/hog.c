/* Lua that does not stop by itself. With preemption on, the scheduler's signal
 * sets a hook in the Lua thread that runs; the hook fires at the next
 * instruction, clears itself and yields. Nothing is paid until then.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

#define EVENTS (LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT)

/* Once set it stays: pcall gets it again until the G has ended. */
static void end_hook(lua_State* L, lua_Debug* at) {
  (void)at;
  canceled_push(L);
  lua_error(L);
}

static void yield_hook(lua_State* L, lua_Debug* at) {
  (void)at;
  lua_sethook(L, NULL, 0, 0);
  struct island* isl = island_of(L);
  if (!isl || !isl->cur || isl->pack.busy || isl->sharing || wait_refused(L)) {
    return; /* the next slice will do */
  }
  if (thrum_yield() != THRUM_ECANCELED) {
    return;
  }
  struct house* h = isl->house;
  if (isl->isolated && atomic_load_explicit(&h->ends, memory_order_relaxed)) {
    lua_sethook(isl->cur->L, end_hook, EVENTS, 1);
    lua_sethook(L, end_hook, EVENTS, 1);
  }
  canceled_push(L);
  lua_error(L);
}

/* In a signal handler on the thread where the G runs. A hook of the host's own
 * is left alone; ours is set again: Lua may have been about to take it away, and
 * had its mask still to clear. */
void hog_preempt(void* island, void* green) {
  struct green* g = green;
  (void)island;
  lua_State* L = g ? atomic_load_explicit(&g->at, memory_order_relaxed) : NULL;
  lua_Hook hook = L ? lua_gethook(L) : end_hook;
  if (!hook || hook == yield_hook) {
    lua_sethook(L, yield_hook, EVENTS, 1);
  }
}

/* A G of no state's, which makes others in its domain give way: nobody but the
 * thread that runs a state may set its hook. */
static void come_once(void* arg) { (void)arg; }

static void come_until_the_end(void* arg) {
  (void)arg;
  while (thrum_yield() >= 0) {}
}

void hog_nudge(struct house* h, thrum_domain* domain, int for_good) {
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .domain = domain};
  /* It cannot: then the runtime or the domain has ended, or memory is short. */
  (void)thrum_spawn(h->rt, &opts, for_good ? come_until_the_end : come_once,
                    NULL, NULL);
}

/* ---- Threads that Gs resume -------------------------------------------------------- */
static int resume_raw(lua_State* L, lua_State* co, int n, int* results) {
#if LUA_VERSION_NUM >= 504
  return lua_resume(co, L, n, results);
#elif LUA_VERSION_NUM >= 503
  int status = lua_resume(co, L, n);
  *results = lua_gettop(co);
  return status;
#else
  (void)L;
  int status = lua_resume(co, n);
  *results = lua_gettop(co);
  return status;
#endif
}

static int resume_error(lua_State* L, const char* text) {
  lua_pushboolean(L, 0);
  lua_pushstring(L, text);
  return 2;
}

/* NULL: it can be resumed. */
static const char* not_resumable(lua_State* L, lua_State* co) {
  lua_Debug at;
  int status = lua_status(co);
  if (co == L || (status == LUA_OK && lua_getstack(co, 0, &at))) {
    return "cannot resume non-suspended coroutine";
  }
  return status == LUA_YIELD || (status == LUA_OK && lua_gettop(co) > 0)
             ? NULL
             : "cannot resume dead coroutine";
}

/* coroutine.resume, which tells the G where it is. */
static int resume(lua_State* L) {
  struct island* isl = island_here(L);
  lua_State* co = lua_tothread(L, 1);
  luaL_argcheck(L, co, 1, "coroutine expected");
  int n = lua_gettop(L) - 1;
  int results;
  const char* why = not_resumable(L, co);
  if (!why && !lua_checkstack(co, n)) {
    why = "too many arguments to resume";
  }
  if (why) {
    return resume_error(L, why);
  }
  lua_xmove(L, co, n);
  struct green* g = isl->cur;
  lua_State* before = g ? g->at : NULL;
  if (g) {
    atomic_store_explicit(&g->at, co, memory_order_relaxed);
  }
  int status = resume_raw(L, co, n, &results);
  if (g) {
    atomic_store_explicit(&g->at, before, memory_order_relaxed);
  }
  int good = status == LUA_OK || status == LUA_YIELD;
  results = good ? results : 1;
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    return resume_error(L, "too many results to resume");
  }
  lua_pushboolean(L, good);
  lua_xmove(co, L, results);
  return results + 1;
}

/* Puts it in the place of coroutine.resume, and a wrap that uses it. */
void hog_track(lua_State* L, struct island* isl) {
  static const char wrap[] =
      "local resume, close, create = ...\n"
      "local function check(co, ok, ...)\n"
      "  if ok then return ... end\n"
      "  if close then close(co) end\n"
      "  error((...), 0)\n"
      "end\n"
      "return function(f)\n"
      "  local co = create(f)\n"
      "  return function(...) return check(co, resume(co, ...)) end\n"
      "end";
  lua_getglobal(L, "coroutine");
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, resume, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "resume");
  if (luaL_loadbuffer(L, wrap, strlen(wrap), "=wrap") != LUA_OK) {
    lua_error(L);
  }
  lua_insert(L, -2);
  lua_getfield(L, -3, "close");
  lua_getfield(L, -4, "create");
  lua_call(L, 3, 1);
  lua_setfield(L, -2, "wrap");
  lua_pop(L, 1);
}
