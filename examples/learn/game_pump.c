/* game_pump: green threads inside a frame loop, for 2 ms a frame.
 *
 * A game owns its threads and its time. A hosted runtime starts no thread at
 * all: its Gs run only inside thrum_pump, on the thread that calls it, and not
 * longer than they are given. So each character can be written as a plain
 * function that walks, waits and looks around, and touches the game's state
 * without a lock.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

#define MS 1000000LL

enum { FRAMES = 120, NPCS = 400, THINKERS = 8 };

static int at[NPCS], steps, thoughts; /* the world */

/* Walks to and fro, with a rest after each step. */
static void npc(void* arg) {
  int* place = arg;
  int me = (int)(place - at), way = 1;
  while (thrum_sleep((5 + me % 40) * MS) == 0) { /* < 0: the game is over */
    *place += way;
    way = *place % 10 == 0 ? -way : way;
    steps++;
  }
}

/* Thinks hard all the time. What does not fit into this frame's 2 ms waits for
 * the next: the yield is where the pump may stop. */
static void thinker(void* arg) {
  volatile unsigned plan = 1;
  (void)arg;
  while (thrum_yield() == 0) {
    for (int i = 0; i < 20000; i++) {
      plan = plan * 1664525u + 1013904223u;
    }
    thoughts++;
  }
}

static int play(thrum_rt* rt) {
  int64_t longest = 0, total = 0, frame = thrum_now();
  int rc = 0, full = 0;
  for (int i = 0; i < FRAMES && rc >= 0; i++) {
    int64_t start = thrum_now();
    rc = thrum_pump(rt, thrum_after(2 * MS)); /* 2: work is left over */
    int64_t took = thrum_now() - start;
    longest = took > longest ? took : longest;
    total += took;
    full += rc == 2;
    /* Here a game would draw. We wait for the next frame of 1/120 s. */
    frame += 1000 * MS / 120;
    thrum_sleep(frame - thrum_now());
    if (i % 30 == 29) {
      printf("frame %3d: %5d steps, %5d thoughts\n", i + 1, steps, thoughts);
    }
  }
  printf("pump: %.2f ms on average, %.2f ms at most, %d of %d used it up\n",
         (double)total / FRAMES / MS, (double)longest / MS, full, FRAMES);
  return rc;
}

int main(void) {
  thrum_config config = {.struct_size = sizeof config,
                         .flags = THRUM_RT_HOSTED};
  thrum_rt* rt;
  int rc = thrum_rt_new(&rt, &config);
  if (rc < 0) {
    fprintf(stderr, "game_pump: %s\n", thrum_strerror(rc));
    return 1;
  }
  for (int i = 0; i < NPCS && rc == 0; i++) {
    rc = thrum_spawn(rt, NULL, npc, &at[i], NULL);
  }
  for (int i = 0; i < THINKERS && rc == 0; i++) {
    rc = thrum_spawn(rt, NULL, thinker, NULL, NULL);
  }
  rc = rc < 0 ? rc : play(rt);
  if (rc < 0) {
    fprintf(stderr, "game_pump: %s\n", thrum_strerror(rc));
  }
  thrum_rt_stop(rt, THRUM_FOREVER); /* its Gs end on this thread */
  thrum_rt_free(rt);
  return rc < 0;
}
