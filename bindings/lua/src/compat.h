/* One spelling for PUC Lua 5.1, 5.3, 5.4 and LuaJIT: that of 5.4.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_LUA_COMPAT_H
#define THRUM_LUA_COMPAT_H
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, values) lua_newuserdata(L, size)
#endif

#if LUA_VERSION_NUM == 503
#define lua_setiuservalue(L, at, n) lua_setuservalue(L, at)
#define lua_getiuservalue(L, at, n) lua_getuservalue(L, at)
#endif

#if LUA_VERSION_NUM < 502
#define LUA_OK 0
#define lua_rawlen(L, at) lua_objlen(L, at)
#define lua_pushglobaltable(L) lua_pushvalue(L, LUA_GLOBALSINDEX)
#define lua_setiuservalue(L, at, n) lua_setfenv(L, at)
#define lua_getiuservalue(L, at, n) lua_getfenv(L, at)

static inline int lua_absindex(lua_State* L, int at) {
  return at < 0 && at > LUA_REGISTRYINDEX ? lua_gettop(L) + at + 1 : at;
}

static inline void lua_rawgetp(lua_State* L, int at, const void* key) {
  at = lua_absindex(L, at);
  lua_pushlightuserdata(L, (void*)key);
  lua_rawget(L, at);
}

static inline void lua_rawsetp(lua_State* L, int at, const void* key) {
  at = lua_absindex(L, at);
  lua_pushlightuserdata(L, (void*)key);
  lua_insert(L, -2);
  lua_rawset(L, at);
}
#endif

/* Whole numbers are a type of their own since 5.3. */
#if LUA_VERSION_NUM >= 503
#define has_integers 1
#else
#define has_integers 0
#define lua_isinteger(L, at) 0
#endif

/* LuaJIT has most of 5.2's C API, plain 5.1 has not. */
#if LUA_VERSION_NUM < 502 && !defined(LUAJIT)
#define has_upvalue_ids 0
#define lua_upvalueid(L, f, n) ((void)(f), (void)(n), (void*)0)
#define lua_upvaluejoin(L, f, n, g, m) ((void)(n))
void luaL_traceback(lua_State* L, lua_State* of, const char* msg, int level);
#else
#define has_upvalue_ids 1
#endif

/* A C function where nothing may raise: before 5.2 to push one takes memory, so it
 * is made ready with the module. */
#if LUA_VERSION_NUM < 502
#define ready_set(L, f) \
  (lua_pushcfunction(L, f), lua_rawsetp(L, LUA_REGISTRYINDEX, (const void*)(f)))
#define ready_push(L, f) lua_rawgetp(L, LUA_REGISTRYINDEX, (const void*)(f))
#else
#define ready_set(L, f) ((void)(L))
#define ready_push(L, f) lua_pushcfunction(L, f)
#endif

#if LUA_VERSION_NUM < 503
#define lua_dump(L, w, to, strip) (lua_dump)(L, w, to)
#endif

#endif
