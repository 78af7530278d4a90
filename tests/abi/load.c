/* Loading the library does nothing to the process: no thread, no signal
 * handler, no descriptor, no change of the allocator; unloading leaves it as
 * it was; a second load works.
 *   load LIBRARY
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNALS 65

struct facts {
  int threads;
  int descriptors;
  struct sigaction actions[SIGNALS];
  sigset_t mask;
  stack_t alt;
  void* malloc_address;
};

static int entries(const char* path) {
  DIR* dir = opendir(path);
  int n = 0;
  if (!dir) {
    return -1;
  }
  while (readdir(dir)) {
    n++;
  }
  closedir(dir);
  return n;
}

static void look(struct facts* f) {
  memset(f, 0, sizeof *f);
  f->threads = entries("/proc/self/task");
  f->descriptors = entries("/proc/self/fd");
  for (int i = 1; i < SIGNALS; i++) {
    sigaction(i, NULL, &f->actions[i]);
  }
  sigprocmask(SIG_BLOCK, NULL, &f->mask);
  sigaltstack(NULL, &f->alt);
  f->malloc_address = dlsym(RTLD_DEFAULT, "malloc");
}

static int differ(const char* when, const struct facts* a,
                  const struct facts* b) {
  int bad = 0;
  if (a->threads != b->threads) {
    printf("%s: threads %d -> %d\n", when, a->threads, b->threads);
    bad = 1;
  }
  if (a->descriptors != b->descriptors) {
    printf("%s: descriptors %d -> %d\n", when, a->descriptors, b->descriptors);
    bad = 1;
  }
  for (int i = 1; i < SIGNALS; i++) {
    if (a->actions[i].sa_handler != b->actions[i].sa_handler ||
        a->actions[i].sa_flags != b->actions[i].sa_flags) {
      printf("%s: the handler of signal %d changed\n", when, i);
      bad = 1;
    }
  }
  if (memcmp(&a->mask, &b->mask, sizeof a->mask) != 0) {
    printf("%s: the signal mask changed\n", when);
    bad = 1;
  }
  if (a->alt.ss_sp != b->alt.ss_sp || a->alt.ss_flags != b->alt.ss_flags) {
    printf("%s: the signal stack changed\n", when);
    bad = 1;
  }
  if (a->malloc_address != b->malloc_address) {
    printf("%s: malloc is another function\n", when);
    bad = 1;
  }
  return bad;
}

int main(int argc, char** argv) {
  static struct facts before, loaded, after;
  int bad = 0;
  if (argc != 2) {
    fprintf(stderr, "usage: load LIBRARY\n");
    return 2;
  }
  look(&before);
  for (int round = 0; round < 3; round++) {
    void* lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
      printf("dlopen: %s\n", dlerror());
      return 1;
    }
    look(&loaded);
    bad |= differ("load", &before, &loaded);
    uint32_t (*version)(void) = (uint32_t(*)(void))dlsym(lib, "thrum_version");
    if (!version || version() == 0) {
      printf("thrum_version does not answer\n");
      bad = 1;
    }
    if (dlclose(lib) != 0) {
      printf("dlclose: %s\n", dlerror());
      bad = 1;
    }
    look(&after);
    bad |= differ("unload", &before, &after);
  }
  if (!bad) {
    printf("load: no thread, handler, descriptor or allocator changed\n");
  }
  return bad;
}
