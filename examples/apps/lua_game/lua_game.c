/* A game's loop that hosts scripts: 10,000 characters, each a green thread in Lua,
 * in four groups. A group is a lua_State with a pumped domain: what it may compute
 * in a frame is its pump's budget, and what it may keep is its allocator's limit.
 * One group computes all the time and one eats memory: the others do not notice.
 *
 *   lua_game npc.lua [FRAMES [CHARACTERS]]
 *
 * The runtime is hosted: it owns no thread, and nothing runs outside the frame's
 * 2 ms. SPDX-License-Identifier: MIT
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <thrum/thrum.h>
#include <thrum_lua.h>

#define GROUPS 4
#define FRAME_NS 8000000  /* 125 frames a second */
#define BUDGET_NS 500000  /* of each group, in each frame */
#define MEMORY (8u << 20) /* bytes of each group */

struct group {
  const char* kind;
  lua_State* L;
  size_t used, most;
  int64_t longest; /* pump so far, ns */
};

/* Counts, and says no at the limit: the script sees "not enough memory". */
static void* allocate(void* arg, void* p, size_t old, size_t size) {
  struct group* g = arg;
  if (!p) {
    old = 0; /* it is the kind of object then */
  }
  if (size == 0) {
    g->used -= old;
    free(p);
    return NULL;
  }
  if (size > old && g->used + size - old > MEMORY) {
    return NULL;
  }
  p = realloc(p, size);
  if (p) {
    g->used += size - old;
    g->most = g->used > g->most ? g->used : g->most;
  }
  return p;
}

static void check(int bad, lua_State* L, const char* what) {
  if (bad) {
    const char* why = L ? lua_tostring(L, -1) : "";
    fprintf(stderr, "lua_game: %s: %s\n", what, why ? why : "?");
    exit(1);
  }
}

static void group_open(struct group* g, thrum_rt* rt, const char* script,
                       int characters) {
  lua_State* L = g->L = lua_newstate(allocate, g);
  check(!L, NULL, "no state");
  luaL_openlibs(L);
  check(thrum_lua_attach(L, rt) < 0, NULL, "no runtime");
  luaL_requiref(L, "thrum", luaopen_thrum, 0);
  lua_pop(L, 1);
  check(luaL_loadfile(L, script), L, "script");
  lua_pushstring(L, g->kind);
  lua_pushinteger(L, characters);
  check(lua_pcall(L, 2, 0, 0), L, "script");
}

static void frame(struct group* groups, thrum_rt* rt) {
  thrum_pump(rt, THRUM_TRY); /* those whose sleep is over */
  for (int i = 0; i < GROUPS; ++i) {
    int64_t began = thrum_now();
    thrum_lua_pump(groups[i].L, began + BUDGET_NS);
    int64_t took = thrum_now() - began;
    groups[i].longest = took > groups[i].longest ? took : groups[i].longest;
  }
}

static lua_Integer global(lua_State* L, const char* name) {
  lua_getglobal(L, name);
  lua_Integer n = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return n;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: lua_game npc.lua [FRAMES [CHARACTERS]]\n");
    return 2;
  }
  int frames = argc > 2 ? atoi(argv[2]) : 250;
  int characters = (argc > 3 ? atoi(argv[3]) : 10000) / GROUPS;
  struct group groups[GROUPS] = {{.kind = "villagers"},
                                 {.kind = "guards"},
                                 {.kind = "thinkers"},
                                 {.kind = "hoarders"}};
  thrum_config config;
  thrum_rt* rt;
  thrum_config_init(&config, sizeof config);
  config.flags = THRUM_RT_HOSTED;
  check(thrum_rt_new(&rt, &config) < 0, NULL, "no runtime");
  for (int i = 0; i < GROUPS; ++i) {
    group_open(&groups[i], rt, argv[1], characters);
  }
  int64_t next = thrum_now();
  for (int n = 0; n < frames; ++n) {
    frame(groups, rt);
    next += FRAME_NS; /* here a game would draw */
    thrum_sleep(next - thrum_now());
  }
  int quiet = 0;
  for (int i = 0; i < GROUPS; ++i) {
    struct group* g = &groups[i];
    printf("%-10s %6lld steps of %lld scripts, %lld out of memory, "
           "%5.1f MiB, longest pump %.2f ms\n",
           g->kind, (long long)global(g->L, "steps"),
           (long long)global(g->L, "alive"), (long long)global(g->L, "starved"),
           (double)g->most / 1048576, (double)g->longest / 1e6);
    quiet += global(g->L, "steps") == 0;
    lua_close(g->L);
  }
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  return quiet ? 1 : 0; /* every group has had its turn */
}
