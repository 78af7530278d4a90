/* The module: luaopen_thrum makes the island of a state, and loads thrum.lua,
 * which is part of this library.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include "thrum_lua.h"
#include <string.h>

int luaopen__thrum(lua_State* L); /* made by SWIG */

static const char island_key = 0, core_key = 0; /* in the registry */

struct island* island_of(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &island_key);
  struct island* isl = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return isl;
}

static int collect(lua_State* L) {
  island_end(lua_touserdata(L, 1));
  return 0;
}

/* Of the host's state: memory of Lua's, until the state is closed. */
static struct island* island_make(lua_State* L) {
  struct island* isl = lua_newuserdatauv(L, sizeof *isl, 1);
  memset(isl, 0, sizeof *isl);
  thrum_config_init(&isl->config, sizeof isl->config);
  isl->config.stack_size = STACK;
  lua_newtable(L);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &island_key);
  return isl;
}

static uint64_t field(lua_State* L, const char* name, double scale) {
  lua_getfield(L, 1, name);
  double n = lua_tonumber(L, -1) * scale;
  if (!(lua_isnil(L, -1) || lua_isnumber(L, -1)) || !(n >= 0 && n < 9e18)) {
    luaL_error(L, "setup: %s is out of range or no number", name);
  }
  lua_pop(L, 1);
  return (uint64_t)n;
}

/* A misspelt option would pass for one that does nothing. */
static void check_options(lua_State* L) {
  static const char* const known[] = {"procs", "slice", "stack_size",
                                      "preempt"};
  enum { KNOWN = sizeof known / sizeof *known };
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char* name =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    int i = 0;
    while (i < KNOWN && strcmp(name, known[i]) != 0) {
      ++i;
    }
    if (i == KNOWN) {
      luaL_error(L, "setup: there is no option '%s'", name);
    }
  }
}

/* setup{procs=, slice=, stack_size=, preempt=}: before anything runs. */
static int setup(lua_State* L) {
  struct island* isl = island_here(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (isl->house) {
    return luaL_error(L, "setup() comes first, and once");
  }
  check_options(L);
  isl->config.procs = (uint32_t)field(L, "procs", 1);
  isl->config.slice_ns = (int64_t)field(L, "slice", 1e9);
  uint64_t stack = field(L, "stack_size", 1);
  isl->config.stack_size = stack > STACK ? stack : STACK;
  lua_getfield(L, 1, "preempt");
  isl->preempt = lua_toboolean(L, -1);
  return 0;
}

static int procs(lua_State* L) {
  int n = thrum_procs(house_need(L, island_here(L))->rt);
  if (n < 0) {
    return luaL_error(L, "%s", thrum_strerror(n));
  }
  lua_pushinteger(L, n);
  return 1;
}

/* The C part as a table in the registry; pushes nothing. */
void module_core(lua_State* L, struct island* isl) {
  static const luaL_Reg own[] = {
      {"setup", setup}, {"procs", procs}, {NULL, NULL}};
  static const luaL_Reg* const parts[] = {own,
                                          island_functions,
                                          green_functions,
                                          spawn_functions,
                                          sync_functions,
                                          channel_functions,
                                          buffer_functions};
  static const struct {
    enum kind kind;
    const luaL_Reg* methods;
  } types[] = {{CHANNEL, channel_methods},
               {GREEN, green_methods},
               {MUTEX, mutex_methods},
               {WAITGROUP, waitgroup_methods},
               {SEMAPHORE, semaphore_methods},
               {BUFFER, buffer_methods},
               {CONN, conn_methods},
               {LISTENER, listener_methods},
               {UDP, udp_methods}};
  if (isl->isolated) {
    lua_pushlightuserdata(L, isl);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &island_key);
  }
  green_prepare(L, isl);
  parcel_prepare(L);
  for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
    object_type(L, isl, types[i].kind, types[i].methods);
  }
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    methods_set(L, isl, parts[i]);
  }
#ifdef THRUM_LUA_FLAT
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen__thrum);
  lua_setfield(L, -2, "thrum.flat");
  lua_pop(L, 2);
#endif
  lua_newtable(L);
  methods_set(L, isl, net_functions);
  lua_setfield(L, -2, "net");
  canceled_push(L);
  lua_setfield(L, -2, "canceled");
  lua_pushstring(L, thrum_version_string());
  lua_setfield(L, -2, "version");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &core_key);
}

int luaopen_thrum(lua_State* L) {
  struct island* isl = island_of(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
  if (lua_isnil(L, -1)) {
    module_core(L, isl ? isl : island_make(L));
    lua_rawgetp(L, LUA_REGISTRYINDEX, &core_key);
  }
  if (luaL_loadbuffer(L, thrum_facade, strlen(thrum_facade), "=thrum.lua")) {
    return lua_error(L);
  }
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  return 1;
}

/* ---- For hosts in C ------------------------------------------------------------------ */
int thrum_lua_attach(lua_State* L, thrum_rt* rt) {
  struct island* isl = island_of(L);
  if (!rt) {
    return THRUM_EINVAL;
  }
  isl = isl ? isl : island_make(L);
  if (isl->house) {
    return THRUM_EBUSY;
  }
  isl->house = house_new(rt, 0);
  return isl->house ? 0 : THRUM_ENOMEM;
}

int thrum_lua_pump(lua_State* L, int64_t deadline_ns) {
  struct island* isl = island_of(L);
  if (!isl || !isl->house) {
    return THRUM_EINVAL;
  }
  if (!isl->domain) {
    return 0;
  }
  return thrum_domain_pump(isl->domain, deadline_ns);
}
