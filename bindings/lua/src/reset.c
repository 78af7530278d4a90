/* A pooled state is to be as good as new: globals and the tables of the standard
 * modules have again what they had, whatever a guest has put there.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

static const char snapshot_key = 0;

static void copy_table(lua_State* L, int from) {
  from = lua_absindex(L, from);
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

static void remember(lua_State* L, int snapshots, int table) {
  int n = (int)lua_rawlen(L, snapshots);
  table = lua_absindex(L, table);
  lua_pushvalue(L, table);
  lua_rawseti(L, snapshots, n + 1);
  copy_table(L, table);
  int entries = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    ++entries;
  }
  lua_rawseti(L, snapshots, n + 2);
  lua_pushinteger(L, entries);
  lua_rawseti(L, snapshots, n + 3);
}

/* Triples: the table, its copy, how many entries. */
void reset_prepare(lua_State* L) {
  lua_newtable(L);
  int snapshots = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  int loaded = lua_gettop(L);
  remember(L, snapshots, loaded);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_istable(L, -1)) {
      remember(L, snapshots, -1);
    }
  }
  lua_settop(L, snapshots);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &snapshot_key);
}

/* Puts back what was there and is not as it was. */
static void put_back(lua_State* L, int table, int copy) {
  for (lua_pushnil(L); lua_next(L, copy);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, table);
  }
}

static void reset_table(lua_State* L, int table, int copy, int entries) {
  int same = 0;
  int changed = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, copy);
    if (lua_rawequal(L, -1, -2)) {
      ++same;
    } else {
      changed = 1;
      if (lua_isnil(L, -1)) { /* a field that a guest has added */
        lua_pushvalue(L, -3);
        lua_pushnil(L);
        lua_rawset(L, table);
      }
    }
    lua_pop(L, 1);
  }
  if (changed || same != entries) {
    put_back(L, table, copy);
  }
  if (lua_getmetatable(L, table)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_setmetatable(L, table);
  }
}

static int reset_all(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &snapshot_key);
  int n = (int)lua_rawlen(L, 1);
  for (int i = 1; i < n; i += 3) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, i + 1);
    lua_rawgeti(L, 1, i + 2);
    reset_table(L, 2, 3, (int)lua_tointeger(L, 4));
    lua_settop(L, 1);
  }
  return 0;
}

int reset(lua_State* L) {
  lua_sethook(L, NULL, 0, 0);
  lua_gc(L, LUA_GCRESTART, 0);
  lua_pushcfunction(L, reset_all);
  return lua_pcall(L, 0, 0, 0) == LUA_OK;
}
