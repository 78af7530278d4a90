/* How calls wait, and what their codes mean in Lua.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <math.h>
#include <string.h>

static const char canceled_key = 0;

/* Somebody else's Lua would run with the collector switched off. 5.1 and LuaJIT
 * do not tell. */
int wait_refused(lua_State* L) {
#if LUA_VERSION_NUM >= 504 && LUA_VERSION_RELEASE_NUM >= 50404
  return lua_gc(L, LUA_GCCOUNT) < 0; /* no option is valid there */
#elif LUA_VERSION_NUM >= 503
  if (lua_gc(L, LUA_GCISRUNNING, 0)) {
    return 0;
  }
  lua_Debug at; /* stopped, by a finalizer or by the program */
  for (int level = 0; lua_getstack(L, level, &at); ++level) {
    if (lua_getinfo(L, "n", &at) && at.name && strcmp(at.name, "__gc") == 0) {
      return 1;
    }
  }
  return 0;
#else
  (void)L;
  return 0;
#endif
}

static int ends(const struct island* isl) {
  return isl->ending && isl->cur && !isl->cur->shields;
}

int wait_allowed(lua_State* L, struct island* isl) {
  return !wait_refused(L) && !ends(isl);
}

void wait_check(lua_State* L, struct island* isl) {
  if (wait_refused(L)) {
    luaL_error(L, "a finalizer must not wait");
  }
  if (ends(isl)) {
    canceled_push(L);
    lua_error(L);
  }
}

int64_t nanoseconds_at(lua_State* L, int at) {
  double s = luaL_checknumber(L, at);
  luaL_argcheck(L, s == s, at, "a time must not be NaN");
  s = ceil(s * 1e9);
  return s >= 9.2e18 ? THRUM_FOREVER : s <= 0 ? 0 : (int64_t)s;
}

int64_t deadline_at(lua_State* L, int at) {
  if (lua_isnoneornil(L, at)) {
    return THRUM_FOREVER;
  }
  int64_t ns = nanoseconds_at(L, at);
  return ns ? thrum_after(ns) : THRUM_TRY;
}

int answer(lua_State* L, int code) {
  back_in(L);
  switch (code) {
    case THRUM_ECANCELED:
      canceled_push(L);
      return lua_error(L);
    case THRUM_EAGAIN:
    case THRUM_ETIMEDOUT:
      lua_pushnil(L);
      lua_pushliteral(L, "timeout");
      return 2;
    case THRUM_ECLOSED:
      lua_pushnil(L);
      lua_pushliteral(L, "closed");
      return 2;
    default:
      return luaL_error(L, "%s", thrum_strerror(code));
  }
}

#ifdef LUAJIT
static int nothing(lua_State* L) {
  (void)L;
  return 0;
}

/* It notes who runs when a function is called or returns, not when one raises; and
 * its compiled code believes the note. */
void back_in(lua_State* L) { lua_cpcall(L, nothing, NULL); }
#endif

static int canceled_text(lua_State* L) {
  lua_pushliteral(L, "canceled");
  return 1;
}

/* The one value that a canceled wait raises. */
void canceled_push(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &canceled_key);
  if (!lua_isnil(L, -1)) {
    return;
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, canceled_text);
  lua_setfield(L, -2, "__tostring");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &canceled_key);
}

int canceled_at(lua_State* L, int at) {
  at = lua_absindex(L, at);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &canceled_key);
  int same = lua_istable(L, -1) && lua_rawequal(L, at, -1);
  lua_pop(L, 1);
  return same;
}
