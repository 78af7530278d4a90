/* Whole numbers of 64 bits; see integers.h.
 * SPDX-License-Identifier: MIT
 */
#include "compat.h"
#include "integers.h"
#include <stdio.h>
#include <thrum/thrum.h>

#if LUA_VERSION_NUM >= 503

int integer_is(lua_State* L, int at) {
  int whole;
  lua_tointegerx(L, at, &whole);
  return whole && lua_type(L, at) == LUA_TNUMBER;
}

int64_t integer_get(lua_State* L, int at) {
  return (int64_t)lua_tointeger(L, at);
}

uint64_t unsigned_get(lua_State* L, int at) {
  return (uint64_t)lua_tointeger(L, at);
}

void integer_push(lua_State* L, int64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
}

void unsigned_push(lua_State* L, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
}

static void set_boxes(lua_State* L) { (void)L; }

#else

#define EXACT 9007199254740992.0 /* 2^53: above it doubles have gaps */

struct box {
  uint64_t bits;
  int is_unsigned;
};

static const char box_key = 0;

static struct box* box_at(lua_State* L, int at) {
  struct box* b = lua_touserdata(L, at);
  if (!b || lua_islightuserdata(L, at) || !lua_getmetatable(L, at)) {
    return NULL;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
  int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? b : NULL;
}

int integer_is(lua_State* L, int at) {
  if (lua_type(L, at) == LUA_TNUMBER) {
    double n = lua_tonumber(L, at);
    return n >= -EXACT && n <= EXACT && n == (double)(int64_t)n;
  }
  return box_at(L, at) != NULL;
}

uint64_t unsigned_get(lua_State* L, int at) {
  struct box* b = box_at(L, at);
  return b ? b->bits : (uint64_t)(int64_t)lua_tonumber(L, at);
}

int64_t integer_get(lua_State* L, int at) {
  return (int64_t)unsigned_get(L, at);
}

static void push_box(lua_State* L, uint64_t bits, int is_unsigned) {
  struct box* b = lua_newuserdata(L, sizeof *b);
  b->bits = bits;
  b->is_unsigned = is_unsigned;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
  lua_setmetatable(L, -2);
}

void integer_push(lua_State* L, int64_t n) {
  if (n >= -(int64_t)EXACT && n <= (int64_t)EXACT) {
    lua_pushnumber(L, (double)n);
  } else {
    push_box(L, (uint64_t)n, 0);
  }
}

void unsigned_push(lua_State* L, uint64_t n) {
  if (n <= (uint64_t)EXACT) {
    lua_pushnumber(L, (double)n);
  } else {
    push_box(L, n, 1);
  }
}

static int box_text(lua_State* L) {
  struct box* b = box_at(L, 1);
  char text[32];
  luaL_argcheck(L, b, 1, "a box expected");
  snprintf(text, sizeof text, b->is_unsigned ? "%llu" : "%lld",
           (unsigned long long)b->bits);
  lua_pushstring(L, text);
  return 1;
}

static int box_equal(lua_State* L) {
  struct box* a = box_at(L, 1);
  struct box* b = box_at(L, 2);
  lua_pushboolean(L, a && b && a->bits == b->bits);
  return 1;
}

/* integer("9007199254740993") */
static int integer(lua_State* L) {
  const char* text = luaL_checkstring(L, 1);
  int minus = text[0] == '-';
  uint64_t n = 0;
  uint64_t most = minus ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
  const char* at = text + minus;
  for (; *at >= '0' && *at <= '9'; ++at) {
    uint64_t digit = (uint64_t)(*at - '0');
    luaL_argcheck(L, n <= (most - digit) / 10, 1, "more than 64 bits");
    n = 10 * n + digit;
  }
  luaL_argcheck(L, at > text + minus && !*at, 1, "not a whole number");
  if (minus || n <= INT64_MAX) {
    integer_push(L, (int64_t)(minus ? 0 - n : n));
  } else {
    unsigned_push(L, n);
  }
  return 1;
}

static void set_boxes(lua_State* L) {
  lua_newtable(L);
  lua_pushcfunction(L, box_text);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, box_equal);
  lua_setfield(L, -2, "__eq");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &box_key);
  lua_pushcfunction(L, integer);
  lua_setfield(L, -2, "integer");
}

#endif

int integer32_is(lua_State* L, int at) {
  return integer_is(L, at) && integer_get(L, at) >= INT32_MIN &&
         integer_get(L, at) <= INT32_MAX;
}

int unsigned32_is(lua_State* L, int at) {
  return integer_is(L, at) && integer_get(L, at) >= 0 &&
         integer_get(L, at) <= UINT32_MAX;
}

void flat_constants(lua_State* L) {
  set_boxes(L);
  integer_push(L, THRUM_FOREVER);
  lua_setfield(L, -2, "THRUM_FOREVER");
}
