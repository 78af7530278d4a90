/* Handles: full userdata that refer to objects. Several states may refer to one.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

static const char* const names[KINDS] = {
    "thrum.channel", "thrum.G",    "thrum.mutex",    "thrum.wg", "thrum.sem",
    "thrum.buffer",  "thrum.conn", "thrum.listener", "thrum.udp"};
static const char metatables[KINDS]; /* in the registry, by these addresses */

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
  b->mark = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatables[o->kind]);
  lua_setmetatable(L, -2);
  b->mark = metatables;
  b->o = o;
  b->isl = isl;
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
  b->mark = NULL; /* its memory may be somebody's userdata next */
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

/* By its size and mark: each call would feel a look at the metatable. NULL: it is
 * none, or it was collected. */
static struct box* box_at(lua_State* L, int at) {
  struct box* b = lua_touserdata(L, at);
  return b && lua_rawlen(L, at) == sizeof *b && b->mark == metatables ? b
                                                                      : NULL;
}

struct object* object_at(lua_State* L, int at) {
  struct box* b = box_at(L, at);
  return b ? b->o : NULL;
}

static int type_error(lua_State* L, int at, const char* want) {
  return luaL_argerror(
      L, at,
      lua_pushfstring(L, "%s expected, got %s", want, luaL_typename(L, at)));
}

struct box* box_check(lua_State* L, int at, enum kind kind) {
  struct box* b = box_at(L, at);
  if (!b || b->o->kind != kind) {
    type_error(L, at, names[kind]);
  }
  return b;
}

void* object_check(lua_State* L, int at, enum kind kind) {
  return box_check(L, at, kind)->o;
}

static int collect(lua_State* L) {
  struct box* b = box_at(L, 1);
  if (b) {
    box_empty(b->isl, b);
  }
  return 0;
}

static int equal(lua_State* L) {
  lua_pushboolean(L, object_at(L, 1) == object_at(L, 2));
  return 1;
}

static int text(lua_State* L) {
  struct object* o = object_at(L, 1);
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
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatables[kind]);
}
