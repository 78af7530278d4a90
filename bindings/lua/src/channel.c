/* Channels and select. A channel carries copies, to any state; a local one the
 * values themselves, within its state: they wait in a table of its handle, and
 * the message is their place there.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

struct channel {
  struct object head;
  thrum_chan* chan;    /* owned */
  struct island* home; /* of a local one; else NULL */
  uint32_t places;     /* local: how many were given out */
};

int channel_is_local(const struct object* o) {
  return ((const struct channel*)o)->home != NULL;
}

static void channel_end(struct object* head) {
  struct channel* c = (struct channel*)head;
  thrum_chan_release(c->chan);
  thrum_free(c);
}

static int make(lua_State* L, struct island* home) {
  struct island* isl = island_here(L);
  lua_Integer cap = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, cap >= 0 && cap <= UINT32_MAX, 1, "not a capacity");
  struct channel* c = object_new(L, sizeof *c, CHANNEL, channel_end);
  c->home = home;
  int code = thrum_chan_new(sizeof(struct message), (uint32_t)cap, &c->chan);
  if (code < 0) {
    thrum_free(c);
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  if (!home) {
    thrum_chan_set_drop(c->chan, message_drop, NULL);
  }
  object_push(L, isl, &c->head);
  if (home) {
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
  }
  return 1;
}

/* channel([capacity]) */
static int channel(lua_State* L) { return make(L, NULL); }

/* localchannel([capacity]) */
static int localchannel(lua_State* L) { return make(L, island_here(L)); }

/* ---- Values to messages ----------------------------------------------------------- */
/* `box` is the channel's handle. */
static void to_message(lua_State* L, struct island* isl, struct channel* c,
                       int box, int at, struct message* m) {
  if (!c->home) {
    message_pack(L, isl, at, m);
    return;
  }
  *m = (struct message){.tag = P_INTEGER, .u.integer = (int)++c->places};
  lua_getiuservalue(L, box, 1);
  lua_pushvalue(L, at);
  lua_rawseti(L, -2, (int)m->u.integer);
  lua_pop(L, 1);
}

static void from_message(lua_State* L, struct island* isl, struct channel* c,
                         int box, struct message* m) {
  if (!c->home) {
    message_unpack(L, isl, m);
    return;
  }
  lua_getiuservalue(L, box, 1);
  lua_rawgeti(L, -1, (int)m->u.integer);
  lua_pushnil(L);
  lua_rawseti(L, -3, (int)m->u.integer);
  lua_remove(L, -2);
}

/* One that was not sent. */
static void undo(lua_State* L, struct channel* c, int box, struct message* m) {
  if (!c->home) {
    message_drop(NULL, m);
    return;
  }
  lua_getiuservalue(L, box, 1);
  lua_pushnil(L);
  lua_rawseti(L, -2, (int)m->u.integer);
  lua_pop(L, 1);
}

/* ---- Methods ------------------------------------------------------------------------ */
/* Whether a try has left something to be waited for. What needs no wait is done in a
 * finalizer, too; when its state ends a G does nothing more. */
static int is_left(const struct island* isl, int code, int64_t deadline) {
  return code == THRUM_EAGAIN && (deadline != THRUM_TRY || isl->ending);
}

/* send(value[, timeout]): true, or nil and "closed" or "timeout". */
static int send(lua_State* L) {
  struct box* b = box_check(L, 1, CHANNEL);
  struct island* isl = b->isl;
  struct channel* c = (struct channel*)b->o;
  luaL_checkany(L, 2);
  int64_t deadline = deadline_at(L, 3);
  struct message m;
  to_message(L, isl, c, 1, 2, &m);
  int code =
      isl->ending ? THRUM_EAGAIN : thrum_chan_send(c->chan, &m, THRUM_TRY);
  if (is_left(isl, code, deadline)) {
    if (!wait_allowed(L, isl)) {
      undo(L, c, 1, &m);
      wait_check(L, isl);
    }
    code = thrum_chan_send(c->chan, &m, deadline);
  }
  if (code < 0) {
    undo(L, c, 1, &m);
    return answer(L, code);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int receive(lua_State* L, int64_t deadline) {
  struct box* b = box_check(L, 1, CHANNEL);
  struct island* isl = b->isl;
  struct channel* c = (struct channel*)b->o;
  struct message m;
  int code =
      isl->ending ? THRUM_EAGAIN : thrum_chan_recv(c->chan, &m, THRUM_TRY);
  if (is_left(isl, code, deadline)) {
    wait_check(L, isl);
    code = thrum_chan_recv(c->chan, &m, deadline);
  }
  if (code < 0) {
    return answer(L, code);
  }
  from_message(L, isl, c, 1, &m);
  return 1;
}

/* recv([timeout]): the value, or nil and "closed" or "timeout". */
static int recv(lua_State* L) { return receive(L, deadline_at(L, 2)); }

/* The iterator: values until it is closed. A nil ends it too. */
static int next(lua_State* L) { return receive(L, THRUM_FOREVER); }

static int iter(lua_State* L) {
  struct island* isl = island_here(L);
  object_check(L, 1, CHANNEL);
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/* close(): false if it was closed before. */
static int close_it(lua_State* L) {
  struct channel* c = object_check(L, 1, CHANNEL);
  lua_pushboolean(L, thrum_chan_close(c->chan) == 0);
  return 1;
}

static int length(lua_State* L) {
  struct channel* c = object_check(L, 1, CHANNEL);
  lua_pushinteger(L, (lua_Integer)thrum_chan_len(c->chan));
  return 1;
}

static int capacity(lua_State* L) {
  struct channel* c = object_check(L, 1, CHANNEL);
  lua_pushinteger(L, (lua_Integer)thrum_chan_cap(c->chan));
  return 1;
}

/* ---- Select ---------------------------------------------------------------------------- */
#define CASES 64

struct choice {
  thrum_case arm[CASES];
  struct message m[CASES];
  struct channel* c[CASES];
  int n, packed; /* cases; those of them whose values are in m */
  int64_t deadline;
  int timer; /* which case is `after` or `default`; 0: none */
};

/* Where the handle of case i's channel is, and next to it the value to be sent:
 * the list may change meanwhile. */
static int box_of(int i) { return 2 + 2 * i; }

/* The handle of case i's channel on top; `field` is "send" or "recv". */
static int channel_of(lua_State* L, int i, const char* field,
                      struct channel** c) {
  lua_getfield(L, -1, field);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  struct object* o = object_at(L, lua_gettop(L));
  if (!o || o->kind != CHANNEL) {
    luaL_error(L, "case %d: %s: thrum.channel expected, got %s", i + 1, field,
               luaL_typename(L, -1));
  }
  *c = (struct channel*)o;
  return 1;
}

static int sends(const struct choice* s, int i) {
  return s->c[i] && s->arm[i].op == THRUM_SEND;
}

static void undo_sends(lua_State* L, struct choice* s, int done) {
  for (int i = 0; i < s->packed; ++i) {
    if (i != done && sends(s, i)) {
      undo(L, s->c[i], box_of(i), &s->m[i]);
    }
  }
}

/* The case on top is no channel's. */
static void read_timer(lua_State* L, struct choice* s, int i) {
  lua_getfield(L, -1, "after");
  if (!lua_isnil(L, -1)) {
    if (!lua_isnumber(L, -1)) {
      luaL_error(L, "case %d: after: seconds expected, got %s", i + 1,
                 luaL_typename(L, -1));
    }
    int64_t deadline = deadline_at(L, lua_gettop(L));
    if (deadline < s->deadline) {
      s->deadline = deadline;
      s->timer = i + 1;
    }
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 1);
  lua_getfield(L, -1, "default");
  if (!lua_toboolean(L, -1)) {
    luaL_error(L, "case %d has none of recv, send, after, default", i + 1);
  }
  lua_pop(L, 1);
  s->deadline = THRUM_TRY;
  s->timer = i + 1;
}

/* Pushes the handle of case i, and what is to be sent; nil if there is none. */
static void read_case(lua_State* L, struct choice* s, int i) {
  lua_rawgeti(L, 1, i + 1);
  if (!lua_istable(L, -1)) {
    luaL_error(L, "case %d is a %s, not a table", i + 1, luaL_typename(L, -1));
  }
  s->arm[i].op = THRUM_RECV;
  if (channel_of(L, i, "recv", &s->c[i])) {
    lua_pushnil(L);
  } else if (channel_of(L, i, "send", &s->c[i])) {
    s->arm[i].op = THRUM_SEND;
    lua_rawgeti(L, -2, 1);
  } else {
    read_timer(L, s, i);
    lua_pushnil(L);
    lua_pushnil(L);
  }
  lua_remove(L, -3);
  s->arm[i].chan = s->c[i] ? s->c[i]->chan : NULL;
  s->arm[i].elem = &s->m[i];
}

/* [1] is the choice, then come handles and values. */
static int pack_sends(lua_State* L) {
  struct choice* s = lua_touserdata(L, 1);
  for (; s->packed < s->n; ++s->packed) {
    int i = s->packed;
    if (sends(s, i)) {
      to_message(L, island_here(L), s->c[i], box_of(i), box_of(i) + 1,
                 &s->m[i]);
    }
  }
  return 0;
}

/* Under pcall: one that fails leaves those that were packed before. */
static void pack_all(lua_State* L, struct island* isl, struct choice* s) {
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, pack_sends, 1);
  lua_pushlightuserdata(L, s);
  for (int i = 0; i < 2 * s->n; ++i) {
    lua_pushvalue(L, 2 + i);
  }
  if (lua_pcall(L, 1 + 2 * s->n, 0, 0) != LUA_OK) {
    undo_sends(L, s, -1);
    lua_error(L);
  }
}

static int chosen(lua_State* L, struct island* isl, struct choice* s, int i) {
  lua_pushinteger(L, i + 1);
  if (s->arm[i].result < 0) {
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 3;
  }
  if (s->arm[i].op == THRUM_SEND) {
    lua_pushboolean(L, 1);
    return 2;
  }
  from_message(L, isl, s->c[i], box_of(i), &s->m[i]);
  return 2;
}

/* select(cases): the number of the case that was done, and what came of it. */
static int select_cases(lua_State* L) {
  struct island* isl = island_here(L);
  struct choice s;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  wait_check(L, isl);
  memset(&s, 0, sizeof s);
  s.deadline = THRUM_FOREVER;
  int n = (int)lua_rawlen(L, 1);
  luaL_argcheck(L, n <= CASES, 1, "too many cases");
  luaL_checkstack(L, 4 * CASES + 8, "too many cases");
  int to_pack = 0;
  for (; s.n < n; ++s.n) {
    read_case(L, &s, s.n);
    to_pack |= sends(&s, s.n);
  }
  if (to_pack) {
    pack_all(L, isl, &s);
  }
  int i = thrum_select(s.arm, (uint32_t)s.n, s.deadline);
  undo_sends(L, &s, i >= 0 && s.arm[i].result == 0 ? i : -1);
  if (i >= 0) {
    return chosen(L, isl, &s, i);
  }
  if (s.timer && (i == THRUM_EAGAIN || i == THRUM_ETIMEDOUT)) {
    lua_pushinteger(L, s.timer);
    return 1;
  }
  return answer(L, i);
}

const luaL_Reg channel_functions[] = {{"channel", channel},
                                      {"localchannel", localchannel},
                                      {"select", select_cases},
                                      {NULL, NULL}};
const luaL_Reg channel_methods[] = {
    {"send", send},    {"recv", recv},    {"iter", iter},  {"close", close_it},
    {"cap", capacity}, {"__len", length}, {"len", length}, {NULL, NULL}};
