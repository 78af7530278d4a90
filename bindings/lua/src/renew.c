/* A used state of the pool becomes new again: its memory is what it was
 * (memory.c), and what that does not know of is let go. Finalizers that Lua code or
 * a module has set must run first, and lua_close alone finds them; it takes twice as
 * long as all the rest of a spawn. So it is noted whether there can be any.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

#if LUA_VERSION_NUM >= 502

static void note(lua_State* L) { island_here(L)->finalizers = 1; }

static int metatable_set(lua_State* L) {
  int type = lua_type(L, 2);
  luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2,
                "nil or table expected");
  lua_settop(L, 2);
  if (type == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL) {
      note(L);
    }
    lua_pop(L, 1);
  }
  lua_setmetatable(L, 1);
  return 1;
}

/* setmetatable(t, mt) */
static int of_table(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (luaL_getmetafield(L, 1, "__metatable")) {
    return luaL_error(L, "cannot change a protected metatable");
  }
  return metatable_set(L);
}

/* debug.setmetatable(v, mt) */
static int of_any(lua_State* L) {
  luaL_checkany(L, 2);
  return metatable_set(L);
}

/* Upvalue 2: what loads modules in C. */
static int load(lua_State* L) {
  note(L);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* The value on top becomes an upvalue of what stands in its place. */
static void wrap(lua_State* L, struct island* isl) {
  lua_pushlightuserdata(L, isl);
  lua_insert(L, -2);
  lua_pushcclosure(L, load, 2);
}

static void put(lua_State* L, struct island* isl, const char* name,
                lua_CFunction f) {
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, f, 1);
  lua_setfield(L, -2, name);
}

static void watch(lua_State* L, struct island* isl) {
  lua_pushglobaltable(L);
  put(L, isl, "setmetatable", of_table);
  lua_getfield(L, -1, "debug");
  put(L, isl, "setmetatable", of_any);
  lua_getfield(L, -2, "package");
  lua_getfield(L, -1, "loadlib");
  wrap(L, isl);
  lua_setfield(L, -2, "loadlib");
  lua_getfield(L, -1, "searchers");
  for (int i = 3; i <= 4; ++i) { /* the others look for Lua */
    lua_rawgeti(L, -1, i);
    wrap(L, isl);
    lua_rawseti(L, -2, i);
  }
  lua_settop(L, 0);
}

/* Else each use would draw the same numbers: since 5.4 the generator is a part of
 * the state. */
static void keep_random(lua_State* L, struct memory* m) {
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "random");
  if (lua_getupvalue(L, -1, 1) && lua_type(L, -1) == LUA_TUSERDATA &&
      lua_rawlen(L, -1) <= MEMORY_APART) {
    memory_apart(m, lua_touserdata(L, -1), lua_rawlen(L, -1));
  }
  lua_settop(L, 0);
}

void renew_prepare(lua_State* L, struct island* isl) {
  watch(L, isl);
  keep_random(L, isl->memory);
}

static int has_finalizers(const struct island* isl) {
  return isl->finalizers || memory_userdata(isl->memory) != isl->boxed;
}

#else         /* it does not tell what it makes */

void renew_prepare(lua_State* L, struct island* isl) {
  (void)isl;
#ifdef LUAJIT /* each state begins with the same numbers */
  lua_getglobal(L, "math");
  lua_getfield(L, -1, "randomseed");
  lua_pushnumber(L, (lua_Number)thrum_now());
  lua_call(L, 1, 0);
  lua_pop(L, 1);
#else
  (void)L;
#endif
}

static int has_finalizers(const struct island* isl) {
  (void)isl;
  return 1;
}

#endif

int renew(struct island* isl) {
  if (!isl->memory) {
    return 0;
  }
  if (has_finalizers(isl)) {
    lua_close(isl->L);
  }
  objects_forget(isl);
  greens_forget(isl);
  memory_reset(isl->memory);
  isl->boxed = 0;
  isl->finalizers = isl->pack.busy = 0;
  return 1;
}
