/* A stranger's program, built out of the tree: it runs Gs on all cores, and its
 * malloc is still libc's.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <thrum/host.h>
#include <thrum/thrum.h>

static void child(void* arg) {
  int one = 1;
  thrum_yield();
  thrum_chan_send(arg, &one, THRUM_FOREVER);
}

static void first(void* arg) {
  thrum_chan* ch = NULL;
  int* sum = arg;
  if (thrum_chan_new(sizeof(int), 4, &ch) != 0) {
    return;
  }
  for (int i = 0; i < 100; i++) {
    thrum_spawn(NULL, NULL, child, ch, NULL);
  }
  for (int i = 0; i < 100; i++) {
    int got = 0;
    thrum_chan_recv(ch, &got, THRUM_FOREVER);
    *sum += got;
  }
  thrum_chan_release(ch);
}

int main(void) {
  thrum_rt* rt = NULL;
  Dl_info where;
  int sum = 0;
  if (thrum_rt_new(&rt, NULL) != 0 || thrum_run(rt, first, &sum) != 0 ||
      thrum_rt_stop(rt, THRUM_FOREVER) != 0) {
    return 1;
  }
  thrum_rt_free(rt);
  void* allocator = dlsym(RTLD_DEFAULT, "malloc");
  if (!dladdr(allocator, &where) || !strstr(where.dli_fname, "libc.so")) {
    printf("malloc comes from %s\n", where.dli_fname);
    return 1;
  }
  printf("%s: %d Gs ended\n", thrum_build_info(), sum);
  return sum != 100;
}
