/* Packing: a deep copy of values, as bytes that belong to no state. Tables and
 * functions are packed once, and referred to by number after that: cycles and
 * aliases survive. Packing calls no Lua code, but the collector may, in a
 * finalizer that packs: hence `busy`.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <stdio.h>
#include <string.h>

/* Tables within tables. The C stack of a G and Lua's own have room for it. */
#define DEEPEST 200

static int fail(struct packer* p, const char* what) {
  p->what = what;
  p->path[0] = 0;
  return -1;
}

static int grow(struct packer* p, size_t more) {
  size_t room = p->room ? p->room : 256;
  if (p->size + more > UINT32_MAX) {
    return fail(p, "more than 4 GiB");
  }
  while (room < p->size + more) {
    room *= 2;
  }
  unsigned char* bytes = thrum_realloc(p->bytes, room);
  if (!bytes) {
    return fail(p, "not enough memory");
  }
  p->bytes = bytes;
  p->room = room;
  return 0;
}

/* NULL: there is no room for n bytes. */
static inline unsigned char* place(struct packer* p, size_t n) {
  if (p->size + n > p->room && grow(p, n) < 0) {
    return NULL;
  }
  p->size += n;
  return p->bytes + p->size - n;
}

static int put(struct packer* p, const void* bytes, size_t n) {
  unsigned char* to = place(p, n);
  return to ? (memcpy(to, bytes, n), 0) : -1;
}

static int put_tag(struct packer* p, unsigned char tag) {
  unsigned char* to = place(p, 1);
  return to ? (*to = tag, 0) : -1;
}

/* A tag and 8 bytes. */
static inline int put_word(struct packer* p, unsigned char tag,
                           const void* bytes) {
  unsigned char* to = place(p, 9);
  if (!to) {
    return -1;
  }
  *to = tag;
  memcpy(to + 1, bytes, 8);
  return 0;
}

static int put_sized(struct packer* p, unsigned char tag, const void* bytes,
                     size_t n) {
  uint32_t size = (uint32_t)n;
  unsigned char* to = place(p, 1 + sizeof size + n);
  if (!to) {
    return -1;
  }
  *to = tag;
  memcpy(to + 1, &size, sizeof size);
  memcpy(to + 1 + sizeof size, bytes, n);
  return 0;
}

/* ---- What was packed before ---------------------------------------------------- */
static struct seen* slot_of(struct packer* p, const void* key) {
  uint32_t mask = p->seen_room - 1;
  uint32_t at = (uint32_t)(((uintptr_t)key * 0x9E3779B97F4A7C15u) >> 32) & mask;
  while (p->seen[at].round == p->round && p->seen[at].key != key) {
    at = (at + 1) & mask;
  }
  return &p->seen[at];
}

static int seen_grow(struct packer* p) {
  struct seen* old = p->seen;
  uint32_t old_room = p->seen_room;
  uint32_t room = old_room ? old_room * 2 : 64;
  struct seen* fresh = thrum_calloc(room, sizeof *fresh);
  if (!fresh) {
    return fail(p, "not enough memory");
  }
  p->seen = fresh;
  p->seen_room = room;
  for (uint32_t i = 0; i < old_room; ++i) {
    if (old[i].round == p->round) {
      *slot_of(p, old[i].key) = old[i];
    }
  }
  thrum_free(old);
  return 0;
}

/* 1: it was, and a reference with `tag` is in its place. 0: it is new. */
static int put_seen(struct packer* p, const void* key, unsigned char tag) {
  if (2 * (p->seen_count + 1) > p->seen_room && seen_grow(p) < 0) {
    return -1;
  }
  struct seen* s = slot_of(p, key);
  if (s->round == p->round) {
    p->refs = 1;
    return put_tag(p, tag) < 0 || put(p, &s->index, sizeof s->index) < 0 ? -1
                                                                         : 1;
  }
  *s = (struct seen){key, p->seen_count++, p->round};
  return 0;
}

/* ---- Where it failed -------------------------------------------------------------- */
/* Puts a step in front of the path. */
static void blame_step(struct packer* p, const char* step) {
  char rest[sizeof p->path];
  memcpy(rest, p->path, sizeof rest);
  snprintf(p->path, sizeof p->path, "%.60s%.*s", step, (int)sizeof p->path - 64,
           rest);
}

static void blame(lua_State* L, struct packer* p, int at) {
  const char* form;
  if (lua_type(L, at) == LUA_TSTRING) {
    form = lua_pushfstring(L, ".%s", lua_tostring(L, at));
  } else if (lua_type(L, at) == LUA_TNUMBER) {
    lua_pushvalue(L, at); /* tostring changes what it reads */
    form = lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    form = lua_pushfstring(L, "[%s]", luaL_typename(L, at));
  }
  blame_step(p, form);
  lua_pop(L, 1);
}

/* ---- Values ------------------------------------------------------------------------- */
static int pack(lua_State* L, struct island* isl, int at, int depth);

/* 1: it has a name in every state, which was put. */
static int put_known(lua_State* L, struct packer* p, int at) {
  if (!lua_checkstack(L, 8)) {
    return fail(p, "values nested too deep");
  }
  lua_pushvalue(L, at);
  lua_rawget(L, p->known);
  size_t n;
  const char* name = lua_tolstring(L, -1, &n);
  p->global |= name != NULL;
  int done = name ? (put_sized(p, P_KNOWN, name, n) < 0 ? -1 : 1) : 0;
  lua_pop(L, 1);
  return done;
}

static int is_index(lua_State* L, int at, lua_Integer n) {
  return has_integers ? lua_isinteger(L, at) && lua_tointeger(L, at) == n
                      : lua_type(L, at) == LUA_TNUMBER &&
                            lua_tonumber(L, at) == (lua_Number)n;
}

/* What stands at 1, 2, 3 and so on comes first, and without its keys. n: how many
 * those are, and how many the others. */
static int pack_pairs(lua_State* L, struct island* isl, int at, int depth,
                      uint32_t* n) {
  struct packer* p = &isl->pack;
  int key = lua_gettop(L) + 1;
  lua_pushnil(L);
  while (lua_next(L, at)) {
    int bad = 0;
    if (n[1] == 0 && is_index(L, key, (lua_Integer)n[0] + 1)) {
      ++n[0];
    } else {
      ++n[1];
      bad = pack(L, isl, key, depth) < 0;
    }
    if (bad || pack(L, isl, key + 1, depth) < 0) {
      blame(L, p, key);
      lua_settop(L, key - 1);
      return -1;
    }
    lua_pop(L, 1);
  }
  return 0;
}

static int pack_table(lua_State* L, struct island* isl, int at, int depth) {
  struct packer* p = &isl->pack;
  const void* table = lua_topointer(L, at);
  if (table == p->globals) {
    p->global = 1;
    return put_tag(p, P_GLOBALS);
  }
  if (table == p->canceled) {
    return put_tag(p, P_CANCELED);
  }
  int done = put_known(L, p, at);
  if (done == 0 && p->code && !p->learned) { /* perhaps a module */
    p->learned = 1;
    known_learn(L);
    done = put_known(L, p, at);
  }
  if (done == 0) {
    done = put_seen(p, table, P_REF);
  }
  if (done) {
    return done < 0 ? -1 : 0;
  }
  if (lua_getmetatable(L, at)) {
    lua_pop(L, 1);
    return fail(p, "a table with a metatable");
  }
  if (depth == 0) {
    return fail(p, "tables nested too deep");
  }
  uint32_t n[2] = {0, 0};
  size_t where = p->size + 1;
  if (put_word(p, P_TABLE, n) < 0 || pack_pairs(L, isl, at, depth - 1, n) < 0) {
    return -1;
  }
  memcpy(p->bytes + where, n, sizeof n);
  return 0;
}

static int write_code(lua_State* L, const void* bytes, size_t n, void* packer) {
  (void)L;
  return put(packer, bytes, n);
}

static int pack_upvalue(lua_State* L, struct island* isl, int at, int n,
                        const char* name, int depth) {
  struct packer* p = &isl->pack;
  void* id = lua_upvalueid(L, at, n);
  int done = id ? put_seen(p, id, P_SHARED) : 0;
  if (done) {
    return done < 0 ? -1 : 0;
  }
  if (put_tag(p, P_UPVALUE) < 0) {
    return -1;
  }
  if (pack(L, isl, lua_gettop(L), depth) < 0) {
    lua_pushfstring(L, "(upvalue '%s')", name);
    blame_step(p, lua_tostring(L, -1));
    lua_pop(L, 1);
    return -1;
  }
  return 0;
}

static int pack_function(lua_State* L, struct island* isl, int at, int depth) {
  struct packer* p = &isl->pack;
  int done = put_known(L, p, at);
  if (done == 0 && lua_iscfunction(L, at)) {
    known_learn(L);
    done = put_known(L, p, at);
    return done > 0 ? 0 : done < 0 ? -1 : fail(p, "a C function");
  }
  if (done == 0) {
    done = put_seen(p, lua_topointer(L, at), P_REF);
  }
  if (done) {
    return done < 0 ? -1 : 0;
  }
  if (depth == 0) {
    return fail(p, "functions nested too deep");
  }
  p->global |= LUA_VERSION_NUM < 502; /* there every function has globals */
  uint32_t size = 0;
  if (put_tag(p, P_FUNCTION) < 0) {
    return -1;
  }
  size_t where = p->size;
  if (put(p, &size, sizeof size) < 0) {
    return -1;
  }
  lua_pushvalue(L, at);
  int dumped = lua_dump(L, write_code, p, 0);
  lua_pop(L, 1);
  if (dumped != 0) {
    return p->what ? -1 : fail(p, "a function that cannot be dumped");
  }
  size = (uint32_t)(p->size - where - sizeof size);
  memcpy(p->bytes + where, &size, sizeof size);
  p->code = 1;
  const char* name;
  for (int n = 1; (name = lua_getupvalue(L, at, n)); ++n) {
    int bad = pack_upvalue(L, isl, at, n, name, depth - 1);
    lua_pop(L, 1);
    if (bad < 0) {
      return -1;
    }
  }
  return put_tag(p, P_END);
}

static int pack_object(struct packer* p, struct object* o) {
  if (p->count == p->objects_room) {
    uint32_t room = p->count ? 2 * p->count : 16;
    void* more = thrum_realloc(p->objects, room * sizeof(void*));
    if (!more) {
      return fail(p, "not enough memory");
    }
    p->objects = more;
    p->objects_room = room;
  }
  p->global = 1;
  p->objects[p->count++] = o;
  return put_word(p, P_OBJECT, &o);
}

static int pack_userdata(lua_State* L, struct island* isl, int at) {
  struct object* o = object_at(L, at);
  if (!o) {
    return fail(&isl->pack, "userdata");
  }
  if (o->kind == GREEN) {
    green_share(L, isl, (struct outcome*)o);
  }
  return o->kind == CHANNEL && channel_is_local(o)
             ? fail(&isl->pack, "a local channel")
             : pack_object(&isl->pack, o);
}

static int pack_number(lua_State* L, struct packer* p, int at) {
  if (lua_isinteger(L, at)) {
    int64_t i = (int64_t)lua_tointeger(L, at);
    return put_word(p, P_INTEGER, &i);
  }
  double n = lua_tonumber(L, at);
  return put_word(p, P_NUMBER, &n);
}

static int pack(lua_State* L, struct island* isl, int at, int depth) {
  struct packer* p = &isl->pack;
  switch (lua_type(L, at)) {
    case LUA_TNIL:
      return put_tag(p, P_NIL);
    case LUA_TBOOLEAN:
      return put_tag(p, lua_toboolean(L, at) ? P_TRUE : P_FALSE);
    case LUA_TNUMBER:
      return pack_number(L, p, at);
    case LUA_TSTRING: {
      size_t n;
      const char* text = lua_tolstring(L, at, &n);
      return put_sized(p, P_STRING, text, n);
    }
    case LUA_TLIGHTUSERDATA: {
      void* light = lua_touserdata(L, at);
      return put_word(p, P_LIGHT, &light);
    }
    case LUA_TTABLE:
      return pack_table(L, isl, at, depth);
    case LUA_TFUNCTION:
      return pack_function(L, isl, at, depth);
    case LUA_TUSERDATA:
      return pack_userdata(L, isl, at);
    case LUA_TTHREAD:
      return fail(p, "a coroutine");
    default:
      return fail(p, "a value of LuaJIT's own");
  }
}

static struct parcel* seal(struct packer* p, int n) {
  size_t front = sizeof(struct parcel) + p->count * sizeof(struct object*);
  struct parcel* made = thrum_alloc(front + p->size);
  if (!made) {
    fail(p, "not enough memory");
    return NULL;
  }
  made->size = (uint32_t)p->size;
  made->refs = p->refs != 0;
  made->global = p->global != 0;
  made->values = (uint32_t)n;
  made->objects = p->count;
  for (uint32_t i = 0; i < p->count; ++i) {
    made->object[i] = p->objects[i];
    object_retain(p->objects[i]);
  }
  memcpy((char*)made + front, p->bytes, p->size);
  return made;
}

/* A large value must not cost memory for ever. */
static void shrink(struct packer* p) {
  if (p->room > 1u << 20) {
    thrum_free(p->bytes);
    p->bytes = NULL;
    p->room = 0;
  }
  if (p->seen_room > 1u << 14) {
    thrum_free(p->seen);
    p->seen = NULL;
    p->seen_room = 0;
  }
}

static struct parcel* pack_all(lua_State* L, struct island* isl, int first,
                               int n) {
  struct packer* p = &isl->pack;
  p->size = p->count = p->seen_count = p->refs = 0;
  p->code = p->global = p->learned = 0;
  p->what = NULL;
  if (++p->round == 0) { /* it has been that often: nothing is seen */
    memset(p->seen, 0, p->seen_room * sizeof *p->seen);
    p->round = 1;
  }
  int bad = 0;
  luaL_checkstack(L, 8, "too many values");
  lua_pushglobaltable(L);
  p->globals = lua_topointer(L, -1);
  canceled_push(L);
  p->canceled = lua_topointer(L, -1);
  lua_pop(L, 2);
  known_push(L);
  p->known = lua_gettop(L);
  p->busy = 1;
  for (int i = 0; i < n && !bad; ++i) {
    bad = pack(L, isl, first + i, DEEPEST) < 0;
  }
  struct parcel* made = bad ? NULL : seal(p, n);
  p->busy = 0;
  lua_settop(L, p->known - 1);
  if (!made) {
    lua_pushfstring(L, p->path[0] ? "cannot send %s at %s" : "cannot send %s",
                    p->what, p->path);
  }
  shrink(p);
  return made;
}

#if LUA_VERSION_NUM >= 503

struct parcel* parcel_pack(lua_State* L, struct island* isl, int first, int n) {
  /* Else the last one was cut short by a Lua error: out of memory. */
  if (isl->pack.busy && wait_refused(L)) {
    luaL_error(L, "a finalizer must not send");
  }
  return pack_all(L, isl, first, n);
}

#else /* it does not tell whether this is a finalizer */

struct packing {
  struct island* isl;
  struct parcel* made;
};

/* [1]: the packing; then come the values. */
static int pack_protected(lua_State* L) {
  struct packing* packing = lua_touserdata(L, 1);
  packing->made = pack_all(L, packing->isl, 2, lua_gettop(L) - 1);
  return packing->made ? 0 : 1;
}

struct parcel* parcel_pack(lua_State* L, struct island* isl, int first, int n) {
  struct packing packing = {isl, NULL};
  if (isl->pack.busy) {
    luaL_error(L, "a finalizer must not send");
  }
  luaL_checkstack(L, n + 4, "too many values");
  lua_pushcfunction(L, pack_protected);
  lua_pushlightuserdata(L, &packing);
  for (int i = 0; i < n; ++i) {
    lua_pushvalue(L, first + i);
  }
  int bad = lua_pcall(L, n + 1, LUA_MULTRET, 0);
  isl->pack.busy = 0;
  return bad ? (lua_error(L), NULL) : packing.made;
}

#endif

void parcel_free(struct parcel* p) {
  for (uint32_t i = 0; p && i < p->objects; ++i) {
    object_release(p->object[i]);
  }
  thrum_free(p);
}

void packer_free(struct packer* p) {
  thrum_free(p->bytes);
  thrum_free(p->seen);
  thrum_free(p->objects);
  p->bytes = NULL;
  p->seen = NULL;
  p->objects = NULL;
  p->room = p->objects_room = p->seen_room = 0;
}
