/* pipeline: the sieve of Eratosthenes as a chain of Gs that grows.
 *
 * The first G sends 2, 3, 4, ... Whoever stands at the end of the chain meets a
 * number that nobody before it could divide: a prime. It puts one more G behind
 * itself, which lets pass what that prime does not divide. A hundred primes
 * make a hundred Gs, all at work at the same time, each holding one number.
 *
 * Nobody tells the chain to end. When we have seen enough, thrum_rt_stop makes
 * every wait answer THRUM_ECANCELED, and each G returns.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

enum { PRIMES = 100 };

/* Belongs to its own G, whose `drop` frees it, even if the G never ran. */
struct link {
  thrum_chan *in, *out;
  uint32_t prime; /* 0: the source */
};

static void link_drop(void* arg) {
  struct link* link = arg;
  thrum_chan_release(link->in);
  thrum_chan_release(link->out);
  thrum_free(link);
}

static void link_run(void* arg) {
  struct link* link = arg;
  int rc = 0;
  for (uint32_t n = 2; rc == 0; n++) {
    if (link->prime) {
      rc = thrum_chan_recv(link->in, &n, THRUM_FOREVER);
    }
    if (rc == 0 && (!link->prime || n % link->prime != 0)) {
      rc = thrum_chan_send(link->out, &n, THRUM_FOREVER);
    }
  }
}

/* Starts a link behind *end, and makes *end its outgoing channel. */
static int extend(thrum_chan** end, uint32_t prime) {
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .drop = link_drop};
  struct link* link = thrum_calloc(1, sizeof *link);
  int rc =
      link ? thrum_chan_new(sizeof(uint32_t), 0, &link->out) : THRUM_ENOMEM;
  if (rc < 0) {
    thrum_free(link);
    return rc;
  }
  thrum_chan* next = link->out;
  link->in = *end; /* our reference becomes the link's */
  link->prime = prime;
  thrum_chan_retain(next);
  rc = thrum_spawn(NULL, &opts, link_run, link, NULL);
  if (rc < 0) {
    link_drop(link); /* spawn failed: it is still ours */
  }
  *end = next;
  return rc;
}

static void first(void* arg) {
  thrum_chan* end = NULL;
  uint32_t prime = 0;
  (void)arg;
  int rc = extend(&end, 0);
  for (int i = 1; i <= PRIMES && rc == 0; i++) {
    rc = thrum_chan_recv(end, &prime, THRUM_FOREVER);
    rc = rc < 0 ? rc : extend(&end, prime);
    printf("%5u%s", prime, i % 10 == 0 ? "\n" : "");
  }
  thrum_chan_release(end);
}

int main(void) {
  thrum_rt* rt;
  int rc = thrum_rt_new(&rt, NULL);
  if (rc == 0) {
    rc = thrum_run(rt, first, NULL);
    thrum_rt_stop(rt, THRUM_FOREVER);
    thrum_rt_free(rt);
  }
  if (rc < 0) {
    fprintf(stderr, "pipeline: %s\n", thrum_strerror(rc));
  }
  return rc < 0;
}
