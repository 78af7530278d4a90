/* The baseline beside every round: how long a thread of this machine sleeps on
 * after another CPU has woken it with a futex. Two plain threads, pinned to two
 * CPUs; the figure is one way, from before the call to the first line behind the
 * wait. Nothing that wakes a thread on another CPU can be faster than this.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_PING_H
#define THRUM_TESTS_LAB_PING_H

#include "lab.h"

#include <linux/futex.h>
#include <semaphore.h>
#include <sys/syscall.h>

/* Long enough that the sleeper sleeps and its CPU is idle again. */
enum { LAB_PING_GAP_NS = 200000 };

typedef struct lab_ping {
  int word;              /* futex: counts the wakes */
  int64_t sent, arrived; /* atomic: of the wake under way, ns; 0: not yet */
  int64_t asked;         /* pings of the order; < 0: end */
  int64_t* to;           /* where they go */
  sem_t order, done;
  pthread_t waker, sleeper;
  int there; /* two CPUs, or there is no baseline */
} lab_ping;

static inline long lab_futex(int* word, int op, int value) {
  return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL,
                 0);
}

static inline void lab_pin_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static inline void* lab_ping_sleeper(void* arg) {
  lab_ping* p = arg;
  lab_pin_thread(lab_cpu(1));
  for (int seen = 0;; seen++) {
    while (__atomic_load_n(&p->word, __ATOMIC_ACQUIRE) == seen) {
      lab_futex(&p->word, FUTEX_WAIT, seen);
    }
    if (lab_load(&p->asked) < 0) {
      return NULL;
    }
    lab_store(&p->arrived, bench_now());
  }
}

static inline int64_t lab_ping_one(lab_ping* p) {
  lab_store(&p->arrived, 0);
  lab_nap(LAB_PING_GAP_NS);
  int64_t sent = bench_now(), arrived;
  __atomic_fetch_add(&p->word, 1, __ATOMIC_ACQ_REL);
  lab_futex(&p->word, FUTEX_WAKE, 1);
  while ((arrived = lab_load(&p->arrived)) == 0) {
    lab_nap(LAB_PING_GAP_NS);
  }
  return arrived - sent;
}

static inline void* lab_ping_waker(void* arg) {
  lab_ping* p = arg;
  lab_pin_thread(lab_cpu(0));
  for (;;) {
    while (sem_wait(&p->order) != 0) {}
    for (int64_t i = 0; i < p->asked; i++) {
      p->to[i] = lab_ping_one(p);
    }
    if (p->asked < 0) {
      __atomic_fetch_add(&p->word, 1, __ATOMIC_ACQ_REL);
      lab_futex(&p->word, FUTEX_WAKE, 1);
      return NULL;
    }
    sem_post(&p->done);
  }
}

static inline void lab_ping_start(lab_ping* p) {
  memset(p, 0, sizeof *p);
  p->there = lab_cpu(1) >= 0;
  if (p->there) {
    sem_init(&p->order, 0, 0);
    sem_init(&p->done, 0, 0);
    lab_thread(&p->sleeper, lab_ping_sleeper, p);
    lab_thread(&p->waker, lab_ping_waker, p);
  }
}

/* Pings count times into `to`; returns how many there are: 0 on one CPU. */
static inline int64_t lab_ping_now(lab_ping* p, int64_t* to, int64_t count) {
  if (!p->there) {
    return 0;
  }
  p->to = to;
  lab_store(&p->asked, count);
  sem_post(&p->order);
  while (sem_wait(&p->done) != 0) {}
  return count;
}

static inline void lab_ping_stop(lab_ping* p) {
  if (p->there) {
    lab_store(&p->asked, -1);
    sem_post(&p->order);
    pthread_join(p->waker, NULL);
    pthread_join(p->sleeper, NULL);
  }
}

#endif
