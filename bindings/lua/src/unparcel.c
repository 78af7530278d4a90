/* Unpacking, and the names of what every state has.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

struct reader {
  struct island* isl;
  const unsigned char* at;
  int refs; /* where the table of what was unpacked before is; 0: not needed */
  lua_Integer next;
};

static uint32_t get_count(struct reader* r) {
  uint32_t n;
  memcpy(&n, r->at, sizeof n);
  r->at += sizeof n;
  return n;
}

static void unpack(lua_State* L, struct reader* r);

/* The value on top gets the next number. */
static void number(lua_State* L, struct reader* r) {
  if (r->refs) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, r->refs, (int)r->next);
  }
  ++r->next;
}

static void unpack_table(lua_State* L, struct reader* r) {
  uint32_t array = get_count(r);
  uint32_t rest = get_count(r);
  luaL_checkstack(L, 8, "values nested too deep");
  lua_createtable(L, (int)array, (int)rest);
  number(L, r);
  for (uint32_t i = 1; i <= array; ++i) {
    unpack(L, r);
    lua_rawseti(L, -2, (int)i);
  }
  for (uint32_t i = 0; i < rest; ++i) {
    unpack(L, r);
    unpack(L, r);
    lua_rawset(L, -3);
  }
}

struct chunk {
  const void* bytes;
  size_t size;
};

static const char* read_code(lua_State* L, void* chunk, size_t* size) {
  struct chunk* c = chunk;
  (void)L;
  *size = c->size;
  c->size = 0;
  return c->bytes;
}

/* Whose upvalue it was: refs[index] is the function, refs[-index-1] which one. */
static void join(lua_State* L, struct reader* r, int n) {
  int index = (int)get_count(r) + 1;
  lua_rawgeti(L, r->refs, index);
  lua_rawgeti(L, r->refs, -index);
  lua_upvaluejoin(L, -3, n, -2, (int)lua_tointeger(L, -1));
  lua_pop(L, 2);
}

static void own_upvalue(lua_State* L, struct reader* r, int n) {
  if (has_upvalue_ids) {
    if (r->refs) {
      lua_pushinteger(L, n);
      lua_rawseti(L, r->refs, (int)-r->next);
    }
    number(L, r);
  }
  unpack(L, r);
  lua_setupvalue(L, -2, n);
}

static void unpack_function(lua_State* L, struct reader* r) {
  struct chunk c = {NULL, get_count(r)};
  luaL_checkstack(L, 8, "values nested too deep");
  c.bytes = r->at;
  r->at += c.size;
#if LUA_VERSION_NUM >= 502
  int bad = lua_load(L, read_code, &c, "=(sent)", "b");
#else
  int bad = lua_load(L, read_code, &c, "=(sent)");
#endif
  if (bad) {
    lua_error(L);
  }
  number(L, r);
  for (int n = 1; *r->at != P_END; ++n) {
    if (*r->at++ == P_SHARED) {
      join(L, r, n);
    } else {
      own_upvalue(L, r, n);
    }
  }
  ++r->at;
}

/* "string" or "string.format": a module, or a field of one. */
static void unpack_known(lua_State* L, struct reader* r) {
  uint32_t size = get_count(r);
  const char* name = (const char*)r->at;
  r->at += size;
  const char* dot = memchr(name, ':', size);
  size_t n = dot ? (size_t)(dot - name) : size;
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  lua_pushlstring(L, name, n);
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
  } else {
    lua_remove(L, -2);
  }
  lua_remove(L, -2);
  if (dot) {
    lua_pushlstring(L, dot + 1, size - n - 1);
    lua_gettable(L, -2);
    lua_remove(L, -2);
  }
}

static void unpack_number(lua_State* L, struct reader* r) {
  if (r->at[-1] == P_INTEGER) {
    int64_t i;
    memcpy(&i, r->at, sizeof i);
    lua_pushinteger(L, (lua_Integer)i);
  } else {
    double n;
    memcpy(&n, r->at, sizeof n);
    lua_pushnumber(L, n);
  }
  r->at += 8;
}

static void* get_pointer(struct reader* r) {
  void* p;
  memcpy(&p, r->at, sizeof p);
  r->at += sizeof p;
  return p;
}

static void unpack(lua_State* L, struct reader* r) {
  switch (*r->at++) {
    case P_NIL:
      lua_pushnil(L);
      break;
    case P_FALSE:
      lua_pushboolean(L, 0);
      break;
    case P_TRUE:
      lua_pushboolean(L, 1);
      break;
    case P_INTEGER:
    case P_NUMBER:
      unpack_number(L, r);
      break;
    case P_STRING: {
      uint32_t n = get_count(r);
      lua_pushlstring(L, (const char*)r->at, n);
      r->at += n;
      break;
    }
    case P_LIGHT:
      lua_pushlightuserdata(L, get_pointer(r));
      break;
    case P_TABLE:
      unpack_table(L, r);
      break;
    case P_REF:
      lua_rawgeti(L, r->refs, (int)get_count(r) + 1);
      break;
    case P_FUNCTION:
      unpack_function(L, r);
      break;
    case P_GLOBALS:
      lua_pushglobaltable(L);
      break;
    case P_KNOWN:
      unpack_known(L, r);
      break;
    case P_OBJECT: {
      struct object* o = get_pointer(r);
      object_retain(o);
      object_push(L, r->isl, o);
      break;
    }
    default:
      canceled_push(L);
  }
}

int parcel_unpack(lua_State* L, struct island* isl, const struct parcel* p) {
  const char* bytes = (const char*)(p->object + p->objects);
  struct reader r = {isl, (const unsigned char*)bytes, 0, 1};
  luaL_checkstack(L, (int)p->values + 8, "too many values");
  if (p->refs) {
    lua_newtable(L);
    r.refs = lua_gettop(L);
  }
  for (uint32_t i = 0; i < p->values; ++i) {
    unpack(L, &r);
  }
  if (r.refs) {
    lua_remove(L, r.refs);
  }
  return (int)p->values;
}

static int unpack_protected(lua_State* L) {
  struct island* isl = lua_touserdata(L, 1);
  struct parcel* p = lua_touserdata(L, 2);
  lua_settop(L, 0);
  return parcel_unpack(L, isl, p);
}

/* Under pcall: it may run out of memory, or run a module that fails. */
void parcel_deliver(lua_State* L, struct island* isl, struct parcel* p) {
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

void parcel_prepare(lua_State* L) { ready_set(L, unpack_protected); }

/* copy(v, ...): as if it had been sent and received. */
int parcel_copy(lua_State* L) {
  struct island* isl = island_here(L);
  int n = lua_gettop(L);
  struct parcel* p = parcel_pack(L, isl, 1, n);
  if (!p) {
    return lua_error(L);
  }
  parcel_deliver(L, isl, p);
  return lua_gettop(L) - n;
}

/* ---- What every state has ---------------------------------------------------------- */
static const char known_key = 0;

void known_push(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &known_key);
    known_learn(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
  }
}

/* The C functions of module `name`, which is on top, and `known` below it. */
static void learn_functions(lua_State* L, const char* name) {
  int module = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1)) {
    if (lua_iscfunction(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
      lua_pushvalue(L, -1);
      lua_pushfstring(L, "%s:%s", name, lua_tostring(L, -3));
      lua_rawset(L, module - 1);
    }
  }
}

/* A module of that name is on top. "_G" itself has a tag of its own. */
static void learn_module(lua_State* L, const char* name) {
  int module = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &known_key);
  lua_pushvalue(L, module);
  if (strcmp(name, "_G") == 0) {
    lua_pop(L, 1);
    lua_pushstring(L, name);
  }
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushstring(L, name);
    lua_rawset(L, -3);
    if (lua_istable(L, module)) {
      lua_pushvalue(L, module);
      learn_functions(L, name);
    }
  }
  lua_settop(L, module);
}

/* Value -> name, of what package.loaded has now. */
void known_learn(lua_State* L) {
  luaL_checkstack(L, 12, "too many values");
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  int loaded = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING ||
        !(lua_istable(L, -1) || lua_isfunction(L, -1))) {
      continue;
    }
    learn_module(L, lua_tostring(L, -2));
  }
  lua_pop(L, 1);
}
