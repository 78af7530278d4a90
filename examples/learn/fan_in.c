/* fan_in: many Gs compute, one collects.
 *
 * Eight Gs count primes, each in its own part of the numbers, and send what
 * they found into one channel. When all are done the channel is closed, and
 * that is how the collector learns that nothing more will come. A wait group
 * counts who is still at it; a mutex guards the number that all of them change.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

enum { PARTS = 8, PART_SIZE = 50000 };

struct found {
  uint32_t from, primes;
};

struct shared {
  thrum_chan* results; /* struct found */
  thrum_wg running;    /* zeroed is valid, also for a mutex */
  thrum_mutex lock;
  uint32_t next; /* under the lock: the part that nobody has taken */
};

static void count_primes(void* arg) {
  struct shared* shared = arg;
  thrum_mutex_lock(&shared->lock, THRUM_FOREVER);
  struct found found = {shared->next++ * PART_SIZE, 0};
  thrum_mutex_unlock(&shared->lock);
  for (uint32_t n = found.from; n < found.from + PART_SIZE; n++) {
    uint32_t d = 2;
    while (d * d <= n && n % d != 0) {
      d++;
    }
    found.primes += n >= 2 && d * d > n;
    thrum_check(); /* a long computation lets others in now and then */
  }
  thrum_chan_send(shared->results, &found, THRUM_FOREVER);
  thrum_wg_done(&shared->running);
}

static void close_when_done(void* arg) {
  struct shared* shared = arg;
  thrum_wg_wait(&shared->running, THRUM_FOREVER);
  thrum_chan_close(shared->results);
}

static void first(void* arg) {
  struct shared* shared = arg;
  struct found found;
  uint32_t total = 0;
  for (int i = 0; i < PARTS; i++) {
    thrum_wg_add(&shared->running, 1); /* before the G that will call done */
    if (thrum_spawn(NULL, NULL, count_primes, shared, NULL) < 0) {
      thrum_wg_done(&shared->running);
    }
  }
  if (thrum_spawn(NULL, NULL, close_when_done, shared, NULL) < 0) {
    close_when_done(shared);
  }
  while (thrum_chan_recv(shared->results, &found, THRUM_FOREVER) == 0) {
    printf("from %6u: %u primes\n", found.from, found.primes);
    total += found.primes;
  }
  printf("%u primes below %u\n", total, PARTS * PART_SIZE);
}

int main(void) {
  thrum_rt* rt;
  struct shared shared = {0};
  int rc = thrum_chan_new(sizeof(struct found), PARTS, &shared.results);
  rc = rc < 0 ? rc : thrum_rt_new(&rt, NULL);
  if (rc == 0) {
    rc = thrum_run(rt, first, &shared);
    thrum_rt_stop(rt, THRUM_FOREVER);
    thrum_rt_free(rt);
  }
  thrum_chan_release(shared.results);
  if (rc < 0) {
    fprintf(stderr, "fan_in: %s\n", thrum_strerror(rc));
  }
  return rc < 0;
}
