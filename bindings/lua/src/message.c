/* One value in a channel: small ones as they are, others as a parcel.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

void message_pack(lua_State* L, struct island* isl, int at, struct message* m) {
  size_t n;
  switch (lua_type(L, at)) {
    case LUA_TNIL:
      m->tag = P_NIL;
      return;
    case LUA_TBOOLEAN:
      m->tag = lua_toboolean(L, at) ? P_TRUE : P_FALSE;
      return;
    case LUA_TNUMBER:
      if (lua_isinteger(L, at)) {
        m->tag = P_INTEGER;
        m->u.integer = (int64_t)lua_tointeger(L, at);
      } else {
        m->tag = P_NUMBER;
        m->u.number = lua_tonumber(L, at);
      }
      return;
    case LUA_TSTRING: {
      const char* text = lua_tolstring(L, at, &n);
      if (n <= sizeof m->u.text) {
        m->tag = P_STRING;
        m->size = (unsigned char)n;
        memcpy(m->u.text, text, n);
        return;
      }
      break;
    }
  }
  m->tag = P_TABLE;
  m->u.parcel = parcel_pack(L, isl, lua_absindex(L, at), 1);
  if (!m->u.parcel) {
    lua_error(L);
  }
}

static int unpack_protected(lua_State* L) {
  struct island* isl = lua_touserdata(L, 1);
  struct parcel* p = lua_touserdata(L, 2);
  lua_settop(L, 0);
  return parcel_unpack(L, isl, p);
}

/* Under pcall: it may run out of memory, or run a module that fails. */
static void unpack_parcel(lua_State* L, struct island* isl, struct parcel* p) {
  if (!lua_checkstack(L, 4)) {
    parcel_free(p);
    luaL_error(L, "stack overflow");
  }
  ready_push(L, unpack_protected);
  lua_pushlightuserdata(L, isl);
  lua_pushlightuserdata(L, p);
  int bad = lua_pcall(L, 2, LUA_MULTRET, 0);
  parcel_free(p);
  if (bad) {
    lua_error(L);
  }
}

void message_prepare(lua_State* L) { ready_set(L, unpack_protected); }

void message_unpack(lua_State* L, struct island* isl, struct message* m) {
  switch (m->tag) {
    case P_NIL:
      lua_pushnil(L);
      break;
    case P_TRUE:
    case P_FALSE:
      lua_pushboolean(L, m->tag == P_TRUE);
      break;
    case P_INTEGER:
      lua_pushinteger(L, (lua_Integer)m->u.integer);
      break;
    case P_NUMBER:
      lua_pushnumber(L, m->u.number);
      break;
    case P_STRING:
      lua_pushlstring(L, m->u.text, m->size);
      break;
    default:
      unpack_parcel(L, isl, m->u.parcel);
  }
}

void message_drop(void* arg, void* m) {
  (void)arg;
  if (((struct message*)m)->tag == P_TABLE) {
    parcel_free(((struct message*)m)->u.parcel);
  }
}
