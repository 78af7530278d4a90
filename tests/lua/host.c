/* A host whose states run out of memory, at each allocation in turn, and end while
 * Gs are alive, before their runtime or after it.
 * SPDX-License-Identifier: MIT
 */
#include "support/check.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/thrum.h>
#include <thrum_lua.h>

static long made, failing_from,
    failing_to; /* allocations; of those, which fail */
static int counts;

static void* allocate(void* ud, void* p, size_t old, size_t size) {
  (void)ud;
  if (size == 0) {
    free(p);
    return NULL;
  }
  if (counts && (!p || size > old) && ++made > failing_from &&
      made <= failing_to) {
    return NULL;
  }
  return realloc(p, size);
}

static int count(lua_State* L) {
  counts = lua_toboolean(L, 1);
  return 0;
}

static int open_libs(lua_State* L) {
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_thrum);
  lua_setfield(L, -2, "thrum");
  lua_register(L, "count", count);
  return 0;
}

static lua_State* state(thrum_rt* rt) {
  lua_State* L = lua_newstate(allocate, NULL);
  CHECK(L && thrum_lua_attach(L, rt) == 0);
  lua_pushcfunction(L, open_libs);
  lua_call(L, 0, 0);
  return L;
}

/* NULL: it was fine; else the error. */
static const char* run(lua_State* L, const char* text) {
  int bad = luaL_loadstring(L, text) || lua_pcall(L, 0, 0, 0);
  counts = 0;
  return bad ? lua_tostring(L, -1) : NULL;
}

static const char all_of_it[] =
    "local thrum = require 'thrum'\n"
    "local function work()\n"
    "  local ch, lc = thrum.channel(2), thrum.localchannel(2)\n"
    "  local t = {1, {'a text of more than sixteen bytes'}} t.self = t\n"
    "  ch:send(t) ch:recv() lc:send(t) lc:recv()\n"
    "  local g = thrum.go(function(...) thrum.yield() return t, ... end, 1)\n"
    "  local late = thrum.go(function() thrum.sleep(0.0005) return t end)\n"
    "  local theirs = thrum.spawn(function(g) g:join() end, late)\n"
    "  g:join()\n"
    "  pcall(theirs.join, theirs)\n"
    "  local bad = thrum.go(error, setmetatable({}, {__tostring = error}))\n"
    "  pcall(bad.join, bad)\n"
    "  thrum.copy(t, function() return t, ch end)\n"
    "  thrum.select {{recv = ch}, {send = lc, {}}, {after = 0.0001}}\n"
    "  thrum.select {{send = ch, {1}}, {send = lc, 5}}\n"
    "  thrum.scope(function(s) s:go(thrum.yield) s:go(thrum.yield) end)\n"
    "  thrum.timer(0, thrum.yield):join()\n"
    "  thrum.shield(coroutine.wrap(function() thrum.yield() end))\n"
    "end\n"
    "count(true)\n"
    "local ok, err = pcall(thrum.run, work)\n"
    "count(false)\n"
    "assert(thrum.run(function()\n"
    "  local ch = thrum.channel(1)\n"
    "  ch:send({7})\n"
    "  return ch:recv()[1] + thrum.go(function() return 7 end):join()\n"
    "end) == 14)\n"
    "if not ok then error(err, 0) end\n";

/* `width`: how many in a row, for Lua tries again after a collection. */
static void sweep(long width) {
  thrum_rt* rt;
  CHECK(thrum_rt_new(&rt, NULL) == 0);
  for (failing_from = 0;; ++failing_from) {
    failing_to = failing_from + width;
    made = 0;
    lua_State* L = state(rt);
    const char* error = run(L, all_of_it);
    int ended = !error && made <= failing_from;
    /* The other is luaL_checkstack's word for it. */
    CHECK(!error || strstr(error, "not enough memory") ||
          strstr(error, "stack overflow"));
    lua_close(L);
    if (ended) {
      break;
    }
  }
  CHECK(thrum_rt_stop(rt, THRUM_FOREVER) == 0);
  thrum_rt_free(rt);
}

TEST(out_of_memory_once) { sweep(2); }
TEST(out_of_memory_from_then_on) { sweep(1000000); }

TEST(closed_while_gs_live) {
  thrum_rt* rt;
  CHECK(thrum_rt_new(&rt, NULL) == 0);
  for (int i = 0; i < 100; ++i) {
    lua_State* L = state(rt);
    CHECK(!run(L, "local thrum = require 'thrum'\n"
                  "for i = 0, 2 do\n"
                  "  thrum.spawn(function(i)\n"
                  "    if i > 0 then require 'thrum'.sleep(0.0001 * i) end\n"
                  "  end, i)\n"
                  "  thrum.go(thrum.sleep, 0.0001 * i)\n"
                  "end"));
    if (i % 2) {
      thrum_lua_pump(L, thrum_after(100000));
    }
    lua_close(L);
  }
  CHECK(thrum_rt_stop(rt, THRUM_FOREVER) == 0);
  thrum_rt_free(rt);
}

TEST(after_the_runtime) {
  thrum_rt* rt;
  CHECK(thrum_rt_new(&rt, NULL) == 0);
  lua_State* L = state(rt);
  CHECK(!run(L, "thrum = require 'thrum'\n"
                "g = thrum.go(function() return 7 end)"));
  CHECK(thrum_lua_pump(L, THRUM_FOREVER) == 0);
  CHECK(thrum_rt_stop(rt, THRUM_FOREVER) == 0);
  thrum_rt_free(rt);
  CHECK(!run(L, "assert(g:join() == 7 and not g:cancel())\n"
                "for _, f in ipairs {thrum.go, thrum.spawn} do\n"
                "  local ok, err = pcall(f, function() end)\n"
                "  assert(not ok and err == 'closed', err)\n"
                "end\n"
                "assert(not pcall(thrum.procs))"));
  lua_close(L);
}

static const struct check_case cases[] = {
    CASE(out_of_memory_once), CASE(out_of_memory_from_then_on),
    CASE(closed_while_gs_live), CASE(after_the_runtime)};
CHECK_MAIN(cases)
