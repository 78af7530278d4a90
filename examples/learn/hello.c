/* hello: a runtime, a first green thread, and three more.
 *
 * A green thread (G) is a function with a stack of its own that costs less than
 * a microsecond to start. The runtime runs Gs on as many cores as it was given.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

static void greet(void* arg) {
  const char* name = arg;
  for (int i = 1; i <= 3; i++) {
    printf("%s, for the %d. time\n", name, i);
    thrum_yield(); /* others first */
  }
}

/* The first G. It starts three others, which run beside it, and waits. */
static void first(void* arg) {
  char* names[] = {"hello from Ada", "hello from Grace", "hello from Edsger"};
  thrum_g gs[3];
  (void)arg;
  for (int i = 0; i < 3; i++) {
    /* NULL: this G's own runtime, and all defaults. */
    if (thrum_spawn(NULL, NULL, greet, names[i], &gs[i]) < 0) {
      return;
    }
  }
  for (int i = 0; i < 3; i++) {
    thrum_join(NULL, gs[i], THRUM_FOREVER);
  }
  printf("all three have said it\n");
}

int main(void) {
  thrum_rt* rt;
  int rc = thrum_rt_new(&rt, NULL);
  if (rc == 0) {
    printf("thrum %s, %d at a time\n", thrum_version_string(), thrum_procs(rt));
    rc = thrum_run(rt, first, NULL); /* returns when `first` has ended */
    thrum_rt_stop(rt, THRUM_FOREVER);
    thrum_rt_free(rt);
  }
  if (rc < 0) {
    fprintf(stderr, "hello: %s\n", thrum_strerror(rc));
  }
  return rc < 0;
}
