/* plugin_dlopen: a host that was built without thrum, loads it, and unloads it.
 *
 *   plugin_dlopen [PATH-OF-THE-LIBRARY]     (default: by its soname)
 *
 * This is what a language runtime does. It takes types and constants from the
 * header and every function from dlsym; its own thread stays outside and talks
 * to the Gs over a channel, blocking as a thread does. Loading starts nothing,
 * and once the runtime is stopped and freed nothing of it runs, so that dlclose
 * is safe. (The library asks the loader to keep its code mapped all the same.)
 *
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <thrum/thrum.h>

/* clang-format off */
#define FUNCTIONS(X)                                                         \
  X(uint32_t, version, (void))                                               \
  X(const char*, build_info, (void))                                         \
  X(const char*, strerror, (int))                                            \
  X(int, rt_new, (thrum_rt**, const thrum_config*))                          \
  X(int, rt_stop, (thrum_rt*, int64_t))                                      \
  X(void, rt_free, (thrum_rt*))                                              \
  X(int, spawn, (thrum_rt*, const thrum_spawn_opts*, thrum_fn, void*,        \
                 thrum_g*))                                                  \
  X(int, sleep, (int64_t))                                                   \
  X(int, chan_new, (uint32_t, uint32_t, thrum_chan**))                       \
  X(void, chan_release, (thrum_chan*))                                       \
  X(int, chan_send, (thrum_chan*, const void*, int64_t))                     \
  X(int, chan_recv, (thrum_chan*, void*, int64_t))

#define POINTER(result, name, args) result (*name) args;
/* clang-format on */
static struct { FUNCTIONS(POINTER) } lib;

static int resolve(void* handle) {
#define RESOLVE(result, name, args)                             \
  if (!(*(void**)& lib.name = dlsym(handle, "thrum_" #name))) { \
    return -1;                                                  \
  }
  FUNCTIONS(RESOLVE)
  return 0;
}

static thrum_chan* answers; /* int */

static void guest(void* arg) {
  int n = *(int*)arg, square = n * n;
  lib.sleep((10 - n) * 1000000LL); /* the last one answers first */
  lib.chan_send(answers, &square, THRUM_FOREVER);
}

static int use(void) {
  static int numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  thrum_rt* rt;
  int square, rc = lib.rt_new(&rt, NULL);
  rc = rc < 0 ? rc : lib.chan_new(sizeof(int), 0, &answers);
  for (int i = 0; i < 9 && rc == 0; i++) {
    rc = lib.spawn(rt, NULL, guest, &numbers[i], NULL);
  }
  printf("9 guests answer:");
  for (int i = 0; i < 9 && rc == 0; i++) {
    rc = lib.chan_recv(answers, &square, THRUM_FOREVER);
    printf(" %d", square);
  }
  printf("\n%s\n", rc < 0 ? lib.strerror(rc) : "stopping");
  if (rc == 0 && (rc = lib.rt_stop(rt, THRUM_FOREVER)) == 0) {
    lib.rt_free(rt); /* every thread of its own has been joined */
    lib.chan_release(answers);
  }
  return rc;
}

int main(int argc, char** argv) {
  const char* path = argc > 1 ? argv[1] : "libthrum.so.0";
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle || resolve(handle) < 0) {
    fprintf(stderr, "plugin_dlopen: %s\n", dlerror());
    return 1;
  }
  printf("loaded %s\n", lib.build_info());
  /* Before 1.0 the minor version counts as the major one. */
  if (lib.version() >> 8 != THRUM_VERSION >> 8 ||
      lib.version() < THRUM_VERSION) {
    fprintf(stderr, "plugin_dlopen: not the version of our header\n");
    return 1;
  }
  int rc = use();
  if (rc == 0) { /* else its threads may still be inside: keep it loaded */
    rc = dlclose(handle);
    printf("closed; its code is %s\n",
           dlopen(path, RTLD_NOW | RTLD_NOLOAD) ? "still mapped" : "gone");
  }
  return rc != 0;
}
