/* Handles: full userdata that refer to objects. Several states may refer to one.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

static const char* const names[KINDS] = {
    "thrum.channel", "thrum.G",    "thrum.mutex",    "thrum.wg", "thrum.sem",
    "thrum.buffer",  "thrum.conn", "thrum.listener", "thrum.udp"};

void object_retain(struct object* o) {
  atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
}

/* acq_rel: what others did to it is done before it is freed. */
void object_release(struct object* o) {
  if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) {
    o->end(o);
  }
}

void* object_new(lua_State* L, size_t size, enum kind kind,
                 void (*end)(struct object*)) {
  struct object* o = thrum_calloc(1, size);
  if (!o) {
    luaL_error(L, "not enough memory");
  }
  atomic_init(&o->refs, 1);
  o->kind = kind;
  o->end = end;
  return o;
}

static int push_box(lua_State* L) {
  struct island* isl = island_of(L);
  struct object* o = isl->pushed; /* now: a finalizer may push others */
  struct box* b = lua_newuserdatauv(L, sizeof *b, 1);
  b->o = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &isl->mt[o->kind]);
  lua_setmetatable(L, -2);
  b->o = o;
  b->next = isl->boxes;
  b->link = &isl->boxes;
  if (b->next) {
    b->next->link = &b->next;
  }
  isl->boxes = b;
  ++isl->boxed;
  return 1;
}

static void box_empty(struct island* isl, struct box* b) {
  struct object* o = b->o;
  if (!o) {
    return;
  }
  b->o = NULL;
  *b->link = b->next;
  if (b->next) {
    b->next->link = b->link;
  }
  if (o->kind == GREEN) {
    green_unboxed(isl, (struct outcome*)o);
  }
  object_release(o);
}

void objects_forget(struct island* isl) {
  while (isl->boxes) {
    box_empty(isl, isl->boxes);
  }
}

void object_push(lua_State* L, struct island* isl, struct object* o) {
  ready_push(L, push_box);
  isl->pushed = o; /* LuaJIT takes memory for a pointer on the stack */
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    object_release(o);
    lua_error(L);
  }
}

struct object* object_at(lua_State* L, struct island* isl, int at) {
  struct box* box = lua_touserdata(L, at);
  if (!box || lua_islightuserdata(L, at) || !lua_getmetatable(L, at)) {
    return NULL;
  }
  const void* mt = lua_topointer(L, -1);
  lua_pop(L, 1);
  for (int kind = 0; kind < KINDS; ++kind) {
    if (isl->mt[kind] == mt) {
      return box->o;
    }
  }
  return NULL;
}

static int type_error(lua_State* L, int at, const char* want) {
  return luaL_argerror(
      L, at,
      lua_pushfstring(L, "%s expected, got %s", want, luaL_typename(L, at)));
}

void* object_check(lua_State* L, struct island* isl, int at, enum kind kind) {
  struct box* box = lua_touserdata(L, at);
  if (box && lua_getmetatable(L, at)) {
    const void* mt = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (mt == isl->mt[kind] && box->o) {
      return box->o;
    }
  }
  type_error(L, at, names[kind]);
  return NULL;
}

static int collect(lua_State* L) {
  box_empty(island_here(L), lua_touserdata(L, 1));
  return 0;
}

static int equal(lua_State* L) {
  struct island* isl = island_here(L);
  lua_pushboolean(L, object_at(L, isl, 1) == object_at(L, isl, 2));
  return 1;
}

static int text(lua_State* L) {
  struct object* o = object_at(L, island_here(L), 1);
  lua_pushfstring(L, "%s: %p", o ? names[o->kind] : "thrum", (void*)o);
  return 1;
}

void methods_set(lua_State* L, struct island* isl, const luaL_Reg* list) {
  for (; list->name; ++list) {
    lua_pushlightuserdata(L, isl);
    lua_pushcclosure(L, list->func, 1);
    lua_setfield(L, -2, list->name);
  }
}

void object_type(lua_State* L, struct island* isl, enum kind kind,
                 const luaL_Reg* methods) {
  static const luaL_Reg common[] = {
      {"__gc", collect}, {"__eq", equal}, {"__tostring", text}, {NULL, NULL}};
  ready_set(L, push_box);
  lua_newtable(L);
  methods_set(L, isl, common);
  lua_newtable(L); /* apart: what a script can reach are methods to read */
  for (const luaL_Reg* m = methods; m->name; ++m) {
    lua_pushlightuserdata(L, isl);
    lua_pushcclosure(L, m->func, 1);
    lua_setfield(L, m->name[0] == '_' ? -3 : -2, m->name);
  }
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, names[kind]);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0); /* getmetatable: nobody gets at __gc */
  lua_setfield(L, -2, "__metatable");
  isl->mt[kind] = lua_topointer(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &isl->mt[kind]);
}
