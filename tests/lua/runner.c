/* runner FILE.lua [PROCS]: a host that embeds Lua and the module, so that the
 * tests run where no interpreter can load it: in the sanitizers' builds. The
 * globals of the tests are made by check.lua beside the file.
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

int luaopen_thrum(lua_State* L);

static int preload(lua_State* L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_thrum);
  lua_setfield(L, -2, "thrum");
  return 0;
}

static int run(lua_State* L, const char* dir, const char* name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (luaL_loadfile(L, path) || lua_pcall(L, 0, 0, 0)) {
    const char* text = lua_tostring(L, -1);
    fprintf(stderr, "%s: %s\n", name, text ? text : "(an error)");
    return 1;
  }
  return 0;
}

static int threads(void) {
  DIR* d = opendir("/proc/self/task");
  int n = -2; /* ".", ".." */
  while (d && readdir(d)) {
    ++n;
  }
  if (d) {
    closedir(d);
  }
  return n;
}

static void* nothing(void* arg) { return arg; }

/* With the one that TSan makes beside the first of the program's. */
static int threads_at_rest(void) {
  pthread_t t;
  if (pthread_create(&t, NULL, nothing, NULL) == 0) {
    pthread_join(t, NULL);
    poll(NULL, 0, 10); /* it may be seen for a moment */
  }
  return threads();
}

int main(int argc, char** argv) {
  int before = threads_at_rest();
  setvbuf(stdout, NULL, _IOLBF, 0);
  lua_State* L = luaL_newstate();
  if (argc < 3 || !L) {
    return 2;
  }
  luaL_openlibs(L);
  lua_pushcfunction(L, preload);
  lua_call(L, 0, 0);
  lua_pushinteger(L, argc > 3 ? argv[3][0] - '0' : 2);
  lua_setglobal(L, "PROCS");
  /* Preemption needs a signal and is for the tests of it. */
  lua_pushboolean(L, strcmp(argv[2], "preempt.lua") == 0);
  lua_setglobal(L, "PREEMPT");
  int bad = strcmp(argv[2], "bench.lua") != 0 && run(L, argv[1], "check.lua");
  bad = bad || run(L, argv[1], argv[2]);
  lua_getglobal(L, "ENDS"); /* so says a test, of all that it has begun */
  int ends = lua_toboolean(L, -1);
  lua_close(L);

  for (int i = 0; ends && threads() > before && i < 5000; ++i) {
    poll(NULL, 0, 1);
  }
  if (ends && threads() > before) {
    fprintf(stderr, "%s: %d threads are left\n", argv[2], threads() - before);
    bad = 1;
  }
  return bad;
}
