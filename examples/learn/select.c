/* select: one G waits for several things at once, and for no longer than it
 * likes.
 *
 * Two birds sing, each at its own pace and in its own channel. The listener
 * takes whichever sings first, notes when both have been silent for a while,
 * and goes home when its time is up. Deadlines are absolute: a deadline that is
 * made once holds over many calls.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

#define MS 1000000LL

struct bird {
  thrum_chan* song; /* uint32_t: which note */
  int64_t pause;
};

static void sing(void* arg) {
  struct bird* bird = arg;
  for (uint32_t note = 1;; note++) {
    /* The sleep ends with THRUM_ECANCELED when the runtime stops. */
    if (thrum_sleep(bird->pause) < 0 ||
        thrum_chan_send(bird->song, &note, THRUM_FOREVER) < 0) {
      return;
    }
  }
}

static void listen(void* arg) {
  struct bird* birds = arg;
  static const char* names[] = {"cuckoo", "wren"};
  uint32_t note;
  int64_t start = thrum_now(), home = thrum_after(300 * MS);
  while (thrum_now() < home) {
    thrum_case cases[2] = {
        {birds[0].song, &note, THRUM_RECV, 0},
        {birds[1].song, &note, THRUM_RECV, 0},
    };
    int64_t bored = thrum_after(25 * MS);
    int which = thrum_select(cases, 2, bored < home ? bored : home);
    int at = (int)((thrum_now() - start) / MS);
    if (which == THRUM_ETIMEDOUT) {
      printf("%3d ms  ...\n", at);
    } else if (which < 0 || cases[which].result < 0) {
      return;
    } else {
      printf("%3d ms  %s, note %u\n", at, names[which], note);
    }
  }
  printf("%3d ms  home\n", (int)((thrum_now() - start) / MS));
}

int main(void) {
  thrum_rt* rt;
  struct bird birds[2] = {{NULL, 70 * MS}, {NULL, 40 * MS}};
  int rc = thrum_rt_new(&rt, NULL);
  if (rc < 0) {
    fprintf(stderr, "select: %s\n", thrum_strerror(rc));
    return 1;
  }
  for (int i = 0; i < 2 && rc >= 0; i++) {
    rc = thrum_chan_new(sizeof(uint32_t), 0, &birds[i].song);
    rc = rc < 0 ? rc : thrum_spawn(rt, NULL, sing, &birds[i], NULL);
  }
  rc = rc < 0 ? rc : thrum_run(rt, listen, birds);
  if (rc < 0) {
    fprintf(stderr, "select: %s\n", thrum_strerror(rc));
  }
  thrum_rt_stop(rt, THRUM_FOREVER); /* the birds end here */
  thrum_rt_free(rt);
  thrum_chan_release(birds[0].song);
  thrum_chan_release(birds[1].song);
  return rc < 0;
}
