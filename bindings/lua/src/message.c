/* One value in a channel: small ones as they are, others as a parcel.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

#define SHORT (sizeof(struct message) - offsetof(struct message, text))

static char* text_of(struct message* m) {
  return (char*)m + offsetof(struct message, text);
}

/* Each is written in whole words, as the channel copies them: a word whose bytes are
 * still on their way to memory is waited for. */
void message_pack(lua_State* L, struct island* isl, int at, struct message* m) {
  if (lua_isinteger(L, at)) { /* first, being the most frequent */
    *m = (struct message){.tag = P_INTEGER,
                          .u.integer = (int64_t)lua_tointeger(L, at)};
    return;
  }
  switch (lua_type(L, at)) {
    case LUA_TNIL:
      *m = (struct message){.tag = P_NIL};
      return;
    case LUA_TBOOLEAN:
      *m = (struct message){.tag = lua_toboolean(L, at) ? P_TRUE : P_FALSE};
      return;
    case LUA_TNUMBER:
      *m = (struct message){.tag = P_NUMBER, .u.number = lua_tonumber(L, at)};
      return;
    case LUA_TSTRING: {
      size_t n;
      const char* text = lua_tolstring(L, at, &n);
      if (n <= SHORT) {
        *m = (struct message){.tag = P_STRING, .size = (unsigned char)n};
        memcpy(text_of(m), text, n);
        return;
      }
      break;
    }
  }
  *m = (struct message){
      .tag = P_TABLE, .u.parcel = parcel_pack(L, isl, lua_absindex(L, at), 1)};
  if (!m->u.parcel) {
    lua_error(L);
  }
}

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
      lua_pushlstring(L, text_of(m), m->size);
      break;
    default:
      parcel_deliver(L, isl, m->u.parcel);
  }
}

void message_drop(void* arg, void* m) {
  (void)arg;
  if (((struct message*)m)->tag == P_TABLE) {
    parcel_free(((struct message*)m)->u.parcel);
  }
}
