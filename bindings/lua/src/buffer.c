/* Bytes that go to other states without a copy. Only their one owner writes:
 * once a second handle exists, in this state or on its way, they are fixed.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

struct buffer {
  struct object head;
  size_t size;
  char* bytes; /* owned */
};

static void end(struct object* head) {
  thrum_free(((struct buffer*)head)->bytes);
  thrum_free(head);
}

/* buffer(size) of zeroes, or buffer(string). */
static int buffer(lua_State* L) {
  size_t n;
  const char* text = NULL;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_Integer size = luaL_checkinteger(L, 1);
    luaL_argcheck(L, size >= 0 && size <= PTRDIFF_MAX, 1, "not a size");
    n = (size_t)size;
  } else {
    text = luaL_checklstring(L, 1, &n);
  }
  struct buffer* b = object_new(L, sizeof *b, BUFFER, end);
  b->bytes = text ? thrum_alloc(n) : thrum_calloc(1, n);
  b->size = n;
  if (!b->bytes) {
    thrum_free(b);
    return luaL_error(L, "not enough memory");
  }
  if (text) {
    memcpy(b->bytes, text, n);
  }
  object_push(L, island_here(L), &b->head);
  return 1;
}

static struct buffer* buffer_at(lua_State* L) {
  return object_check(L, 1, BUFFER);
}

/* As string.sub counts. */
static size_t place(lua_Integer i, size_t size) {
  return i >= 0                          ? (size_t)i
         : (size_t) - (i + 1) + 1 > size ? 0
                                         : size + 1 - ((size_t) - (i + 1) + 1);
}

/* sub([i[, j]]): a string of bytes i to j. */
static int sub(lua_State* L) {
  struct buffer* b = buffer_at(L);
  size_t from = place(luaL_optinteger(L, 2, 1), b->size);
  size_t to = place(luaL_optinteger(L, 3, -1), b->size);
  from = from ? from : 1;
  to = to < b->size ? to : b->size;
  if (from > to) {
    lua_pushliteral(L, "");
  } else {
    lua_pushlstring(L, b->bytes + from - 1, to - from + 1);
  }
  return 1;
}

/* put(i, string): writes it over the bytes from i on. */
static int put(lua_State* L) {
  struct buffer* b = buffer_at(L);
  size_t n;
  lua_Integer i = luaL_checkinteger(L, 2);
  const char* text = luaL_checklstring(L, 3, &n);
  luaL_argcheck(
      L, i >= 1 && (size_t)i <= b->size + 1 && n <= b->size + 1 - (size_t)i, 2,
      "out of range");
  if (atomic_load_explicit(&b->head.refs, memory_order_acquire) != 1) {
    return luaL_error(L,
                      "the buffer is shared, and cannot be written any more");
  }
  memcpy(b->bytes + i - 1, text, n);
  lua_settop(L, 1);
  return 1;
}

static int byte(lua_State* L) {
  struct buffer* b = buffer_at(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  if (i < 1 || (size_t)i > b->size) {
    return 0;
  }
  lua_pushinteger(L, (unsigned char)b->bytes[i - 1]);
  return 1;
}

static int length(lua_State* L) {
  lua_pushinteger(L, (lua_Integer)buffer_at(L)->size);
  return 1;
}

const luaL_Reg buffer_functions[] = {{"buffer", buffer}, {NULL, NULL}};
const luaL_Reg buffer_methods[] = {{"sub", sub},      {"put", put},
                                   {"byte", byte},    {"len", length},
                                   {"__len", length}, {NULL, NULL}};
