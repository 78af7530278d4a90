/* A pooled state is to be as good as new: globals, the tables of the standard
 * modules and the metatable of strings have again what they had. Nearly always
 * nothing has changed, and then a table is still walked in the order in which it
 * was walked when the state was new: one comparison an entry. Else it is filled
 * from its copy.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

static const char snapshot_key = 0;

struct entry {
  uint64_t key, value;
};

struct snapshot {
  uint32_t tables, entries;
  uint32_t* ends; /* of each table, in entry */
  struct entry* entry;
};

/* What tells two values of the same table apart; the copy keeps them alive.
 * Since 5.4 strings, too, have a pointer. */
static uint64_t print_of(lua_State* L, int at) {
  uint64_t bits = (uintptr_t)lua_topointer(L, at);
  if (bits) {
    return bits;
  }
  switch (lua_type(L, at)) {
    case LUA_TNUMBER: {
      double n = lua_tonumber(L, at);
      memcpy(&bits, &n, sizeof bits);
      return bits;
    }
    case LUA_TSTRING:
      return (uintptr_t)lua_tostring(L, at);
    default:
      return (uint64_t)lua_toboolean(L, at);
  }
}

/* ---- When the state is new -------------------------------------------------------- */
static void copy_table(lua_State* L, int from) {
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
}

static void note_entry(lua_State* L, struct snapshot* s) {
  struct entry* more =
      thrum_realloc(s->entry, (s->entries + 1) * sizeof *s->entry);
  if (!more) {
    luaL_error(L, "not enough memory");
  }
  s->entry = more;
  s->entry[s->entries++] = (struct entry){print_of(L, -2), print_of(L, -1)};
}

/* The list at 1 has a table and its copy, and so on. */
static void remember(lua_State* L, struct snapshot* s, int table) {
  table = lua_absindex(L, table);
  for (uint32_t i = 0; i < s->tables; ++i) {
    lua_rawgeti(L, 1, (int)(2 * i + 1));
    int known = lua_rawequal(L, -1, table);
    lua_pop(L, 1);
    if (known) {
      return;
    }
  }
  lua_pushvalue(L, table);
  lua_rawseti(L, 1, (int)(2 * s->tables + 1));
  copy_table(L, table);
  lua_rawseti(L, 1, (int)(2 * s->tables + 2));
  uint32_t* ends = thrum_realloc(s->ends, (s->tables + 1) * sizeof *s->ends);
  if (!ends) {
    luaL_error(L, "not enough memory");
  }
  s->ends = ends;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    note_entry(L, s);
  }
  s->ends[s->tables++] = s->entries;
}

static int snapshot_free(lua_State* L) {
  struct snapshot* s = lua_touserdata(L, 1);
  thrum_free(s->ends);
  thrum_free(s->entry);
  return 0;
}

static struct snapshot* snapshot_new(lua_State* L) {
  struct snapshot* s = lua_newuserdatauv(L, sizeof *s, 1);
  memset(s, 0, sizeof *s);
  lua_newtable(L);
  lua_pushcfunction(L, snapshot_free);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return s;
}

static int prepare(lua_State* L) {
  lua_newtable(L);
  struct snapshot* s = snapshot_new(L);
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  int loaded = lua_gettop(L);
  remember(L, s, loaded);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_istable(L, -1)) {
      remember(L, s, -1);
    }
  }
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1)) {
    remember(L, s, -1);
  }
  lua_settop(L, 2);
  lua_rawseti(L, 1, (int)(2 * s->tables + 1));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &snapshot_key);
  lua_pushlightuserdata(L, s);
  return 1;
}

void reset_prepare(lua_State* L) {
  lua_pushcfunction(L, prepare);
  lua_call(L, 0, 1);
  island_of(L)->snapshot = lua_touserdata(L, -1);
  lua_pop(L, 1);
}

/* ---- After each use ------------------------------------------------------------------ */
static int as_it_was(lua_State* L, const struct entry* e, uint32_t n) {
  uint32_t i = 0;
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1), ++i) {
    if (i >= n || print_of(L, 3) != e[i].key || print_of(L, 4) != e[i].value) {
      lua_settop(L, 2);
      return 0;
    }
  }
  return i == n;
}

/* Table 2 gets what its copy at 3 has, and no more. */
static void refill(lua_State* L) {
  for (lua_pushnil(L); lua_next(L, 2);) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, 2);
  }
  for (lua_pushnil(L); lua_next(L, 3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, 2);
  }
}

static int reset_all(lua_State* L) {
  struct snapshot* s = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &snapshot_key);
  lua_replace(L, 1);
  uint32_t at = 0;
  for (uint32_t i = 0; i < s->tables; ++i) {
    lua_rawgeti(L, 1, (int)(2 * i + 1));
    if (!as_it_was(L, s->entry + at, s->ends[i] - at)) {
      lua_rawgeti(L, 1, (int)(2 * i + 2));
      refill(L);
    }
    lua_settop(L, 2);
    if (lua_getmetatable(L, 2)) {
      lua_pushnil(L);
      lua_setmetatable(L, 2);
    }
    lua_settop(L, 1);
    at = s->ends[i];
  }
  return 0;
}

int reset(lua_State* L, struct snapshot* s) {
  lua_sethook(L, NULL, 0, 0);
  lua_gc(L, LUA_GCRESTART, 0);
  lua_pushcfunction(L, reset_all);
  lua_pushlightuserdata(L, s);
  return lua_pcall(L, 1, 0, 0) == LUA_OK;
}
