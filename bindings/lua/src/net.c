/* TCP, Unix sockets and UDP. Calls look blocking; what they answer for an error of
 * the system is nil and its text. Handles go to any state.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <thrum/net.h>

#define CHUNK 16384

struct conn {
  struct object head;
  thrum_conn* conn; /* owned */
};
struct listener {
  struct object head;
  thrum_listener* listener; /* owned */
};
struct udp {
  struct object head;
  thrum_udp* udp; /* owned */
};

static void conn_end(struct object* head) {
  thrum_conn_release(((struct conn*)head)->conn);
  thrum_free(head);
}

static void listener_end(struct object* head) {
  thrum_listener_release(((struct listener*)head)->listener);
  thrum_free(head);
}

static void udp_end(struct object* head) {
  thrum_udp_release(((struct udp*)head)->udp);
  thrum_free(head);
}

static int net_answer(lua_State* L, int code) {
  if (code == THRUM_ECANCELED || code == THRUM_ETIMEDOUT ||
      code == THRUM_EAGAIN || code == THRUM_ECLOSED) {
    return answer(L, code);
  }
  lua_pushnil(L);
  lua_pushstring(L, code == THRUM_ENODATA ? "host not found"
                                          : thrum_strerror(code));
  return 2;
}

static int good(lua_State* L, int code) {
  if (code < 0) {
    return net_answer(L, code);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static uint16_t port_at(lua_State* L, int at) {
  lua_Integer port = luaL_checkinteger(L, at);
  luaL_argcheck(L, port >= 0 && port <= 65535, at, "not a port");
  return (uint16_t)port;
}

/* host, port at `at`; the resolver may be asked, and that waits. */
static int address_at(lua_State* L, struct island* isl, int at,
                      thrum_addr* addr) {
  const char* host = luaL_checkstring(L, at);
  uint16_t port = port_at(L, at + 1);
  if (thrum_addr_parse(addr, host, port) == 0) {
    return 0;
  }
  int n =
      thrum_resolve(house_need(L, isl)->rt, host, port, addr, 1, THRUM_FOREVER);
  return n < 0 ? n : 0;
}

static int push_address(lua_State* L, const thrum_addr* addr) {
  char text[128];
  int n = thrum_addr_text(addr, text, sizeof text);
  lua_pushstring(L, n < 0 ? "?" : text);
  lua_pushinteger(L, thrum_addr_port(addr));
  return 2;
}

/* ---- Listeners ------------------------------------------------------------------ */
/* listen(host or nil, port[, backlog]) */
static int listen(lua_State* L) {
  struct island* isl = island_here(L);
  const char* host = luaL_optstring(L, 1, NULL);
  uint16_t port = port_at(L, 2);
  int backlog = (int)luaL_optinteger(L, 3, 0);
  wait_check(L, isl);
  struct listener* l = object_new(L, sizeof *l, LISTENER, listener_end);
  int code = thrum_tcp_listen(house_need(L, isl)->rt, host, port, backlog,
                              &l->listener);
  if (code < 0) {
    thrum_free(l);
    return net_answer(L, code);
  }
  object_push(L, isl, &l->head);
  return 1;
}

static struct listener* listener_at(lua_State* L) {
  return object_check(L, 1, LISTENER);
}

static int push_conn(lua_State* L, struct island* isl, thrum_conn* made) {
  struct conn* c = object_new(L, sizeof *c, CONN, conn_end);
  c->conn = made;
  object_push(L, isl, &c->head);
  return 1;
}

/* accept([timeout]) */
static int accept(lua_State* L) {
  struct island* isl = island_here(L);
  struct listener* l = listener_at(L);
  int64_t deadline = deadline_at(L, 2);
  thrum_conn* made;
  wait_check(L, isl);
  int code = thrum_accept(l->listener, &made, deadline);
  return code < 0 ? net_answer(L, code) : push_conn(L, isl, made);
}

static int listener_port(lua_State* L) {
  lua_pushinteger(L, thrum_listener_port(listener_at(L)->listener));
  return 1;
}

static int listener_close(lua_State* L) {
  return good(L, thrum_listener_close(listener_at(L)->listener));
}

/* ---- Connections ----------------------------------------------------------------- */
/* dial(host or nil, port[, timeout]) */
static int dial(lua_State* L) {
  struct island* isl = island_here(L);
  const char* host = luaL_optstring(L, 1, NULL);
  uint16_t port = port_at(L, 2);
  int64_t deadline = deadline_at(L, 3);
  thrum_conn* made;
  wait_check(L, isl);
  int code =
      thrum_tcp_dial(house_need(L, isl)->rt, host, port, &made, deadline);
  return code < 0 ? net_answer(L, code) : push_conn(L, isl, made);
}

static struct conn* conn_at(lua_State* L) { return object_check(L, 1, CONN); }

static int pushed_read(lua_State* L, const char* bytes, int64_t n) {
  if (n < 0) {
    return net_answer(L, (int)n);
  }
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

/* read([most[, timeout]]): what there is, at least one byte; "" at the end. */
static int read(lua_State* L) {
  struct conn* c = conn_at(L);
  lua_Integer most = luaL_optinteger(L, 2, CHUNK);
  int64_t deadline = deadline_at(L, 3);
  luaL_argcheck(L, most > 0 && most <= PTRDIFF_MAX, 2, "not a size");
  wait_check(L, island_here(L));
  if (most <= CHUNK) {
    char bytes[CHUNK];
    return pushed_read(L, bytes,
                       thrum_read(c->conn, bytes, (size_t)most, deadline));
  }
  char* bytes = lua_newuserdatauv(L, (size_t)most, 1);
  return pushed_read(L, bytes,
                     thrum_read(c->conn, bytes, (size_t)most, deadline));
}

/* write(string[, timeout]): true; or nil, why, and how much went out. */
static int write(lua_State* L) {
  struct conn* c = conn_at(L);
  size_t n;
  const char* bytes = luaL_checklstring(L, 2, &n);
  int64_t deadline = deadline_at(L, 3);
  wait_check(L, island_here(L));
  int64_t code = thrum_write(c->conn, bytes, n, deadline);
  if (code < 0) {
    return net_answer(L, (int)code);
  }
  if ((size_t)code < n) {
    lua_pushnil(L);
    lua_pushliteral(L, "interrupted");
    lua_pushinteger(L, (lua_Integer)code);
    return 3;
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int shut(lua_State* L) {
  return good(L, thrum_conn_shutdown(conn_at(L)->conn));
}

static int conn_close(lua_State* L) {
  return good(L, thrum_conn_close(conn_at(L)->conn));
}

static int peer(lua_State* L) {
  thrum_addr addr;
  int code = thrum_conn_peer(conn_at(L)->conn, &addr);
  return code < 0 ? net_answer(L, code) : push_address(L, &addr);
}

/* ---- Datagrams -------------------------------------------------------------------- */
/* udp(host, port) */
static int udp(lua_State* L) {
  struct island* isl = island_here(L);
  thrum_addr at;
  wait_check(L, isl);
  int code = address_at(L, isl, 1, &at);
  if (code < 0) {
    return net_answer(L, code);
  }
  struct udp* u = object_new(L, sizeof *u, UDP, udp_end);
  code = thrum_udp_open(house_need(L, isl)->rt, &at, 0, &u->udp);
  if (code < 0) {
    thrum_free(u);
    return net_answer(L, code);
  }
  object_push(L, isl, &u->head);
  return 1;
}

static struct udp* udp_at(lua_State* L) { return object_check(L, 1, UDP); }

/* send(string, host, port[, timeout]) */
static int udp_send(lua_State* L) {
  struct island* isl = island_here(L);
  struct udp* u = udp_at(L);
  size_t n;
  const char* bytes = luaL_checklstring(L, 2, &n);
  int64_t deadline = deadline_at(L, 5);
  thrum_addr to;
  wait_check(L, isl);
  int code = address_at(L, isl, 3, &to);
  if (code == 0) {
    code = (int)thrum_udp_send(u->udp, bytes, n, &to, deadline);
  }
  return good(L, code);
}

/* recv([timeout]): string, host, port */
static int udp_recv(lua_State* L) {
  struct udp* u = udp_at(L);
  int64_t deadline = deadline_at(L, 2);
  wait_check(L, island_here(L));
  char* bytes = lua_newuserdatauv(L, 65536, 1);
  thrum_addr from;
  int64_t n = thrum_udp_recv(u->udp, bytes, 65536, &from, deadline);
  if (n < 0) {
    return net_answer(L, (int)n);
  }
  lua_pushlstring(L, bytes, (size_t)n);
  return 1 + push_address(L, &from);
}

static int udp_local(lua_State* L) {
  thrum_addr addr;
  int code = thrum_udp_local(udp_at(L)->udp, &addr);
  return code < 0 ? net_answer(L, code) : push_address(L, &addr);
}

static int udp_close(lua_State* L) {
  return good(L, thrum_udp_close(udp_at(L)->udp));
}

const luaL_Reg net_functions[] = {
    {"listen", listen}, {"dial", dial}, {"udp", udp}, {NULL, NULL}};
const luaL_Reg listener_methods[] = {{"accept", accept},
                                     {"port", listener_port},
                                     {"close", listener_close},
                                     {"__close", listener_close},
                                     {NULL, NULL}};
const luaL_Reg conn_methods[] = {
    {"read", read},        {"write", write},        {"shutdown", shut},
    {"close", conn_close}, {"__close", conn_close}, {"peer", peer},
    {NULL, NULL}};
const luaL_Reg udp_methods[] = {{"send", udp_send},     {"recv", udp_recv},
                                {"address", udp_local}, {"close", udp_close},
                                {"__close", udp_close}, {NULL, NULL}};
