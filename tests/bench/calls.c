/* calls: what calls cost that have nothing to do. --call check: thrum_check in a
 * G that nobody waits for. --call blocking: thrum_enter_blocking with
 * thrum_exit_blocking while no other G is there; one op is the pair.
 * --via linked calls the static library; --via loaded loads the shared one (--lib)
 * with dlopen, as a foreign runtime does, and calls through its addresses.
 *
 * SPDX-License-Identifier: MIT */
#include "support/blocks.h"

#include <dlfcn.h>

#ifndef BENCH_LIB
#define BENCH_LIB "libthrum.so.0"
#endif

static int64_t n = 200000000;
static const char *call = "check", *via = "linked", *lib = BENCH_LIB;
static bench_blocks blocks;

/* The part of the ABI that this program needs, of the library that it loads. */
static struct {
  void (*config_init)(thrum_config*, uint32_t);
  int (*rt_new)(thrum_rt**, const thrum_config*);
  int (*run)(thrum_rt*, thrum_fn, void*);
  int (*rt_stop)(thrum_rt*, int64_t);
  void (*rt_free)(thrum_rt*);
  int (*check)(void);
  int (*enter_blocking)(void);
  int (*exit_blocking)(void);
} loaded;

static void* symbol(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (found == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return found;
}

static void load(void) {
  void* library = dlopen(lib, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "--lib: %s\n", dlerror());
    exit(1);
  }
#define LOAD(name) *(void**)&loaded.name = symbol(library, "thrum_" #name)
  LOAD(config_init);
  LOAD(rt_new);
  LOAD(run);
  LOAD(rt_stop);
  LOAD(rt_free);
  LOAD(check);
  LOAD(enter_blocking);
  LOAD(exit_blocking);
#undef LOAD
}

/* The calls of one side as direct calls, of the other through their addresses:
 * a pointer for both would make the linked ones dearer than they are. */
#define MEASURE(name, op)                              \
  static void name(void* arg) {                        \
    (void)arg;                                         \
    int failed = 0;                                    \
    for (int64_t k = bench_blocks_of(n); k > 0; k--) { \
      bench_span span;                                 \
      bench_start(&span);                              \
      for (int i = 0; i < BENCH_BLOCK; i++) {          \
        op;                                            \
      }                                                \
      bench_stop(&span);                               \
      bench_blocks_add(&blocks, &span);                \
    }                                                  \
    BENCH_MUST(failed);                                \
  }
MEASURE(check_linked, failed |= thrum_check())
MEASURE(check_loaded, failed |= loaded.check())
MEASURE(blocking_linked, failed |= thrum_enter_blocking();
        failed |= thrum_exit_blocking())
MEASURE(blocking_loaded, failed |= loaded.enter_blocking();
        failed |= loaded.exit_blocking())

static void run_loaded(thrum_fn fn) {
  thrum_config config;
  thrum_rt* rt = NULL;
  load();
  loaded.config_init(&config, sizeof config);
  config.procs = 1;
  BENCH_MUST(loaded.rt_new(&rt, &config));
  BENCH_MUST(loaded.run(rt, fn, NULL));
  BENCH_MUST(loaded.rt_stop(rt, THRUM_FOREVER));
  loaded.rt_free(rt);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "calls, or pairs", &n, 1),
      BENCH_FLAG_WORD("call", "which", &call, "check|blocking"),
      BENCH_FLAG_WORD("via", "how they are reached", &via, "linked|loaded"),
      BENCH_FLAG_WORD("lib", "the shared library", &lib, NULL),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  blocks = bench_blocks_new(bench_blocks_of(n));
  int check = strcmp(call, "check") == 0;
  if (strcmp(via, "linked") == 0) {
    bench_run(1, check ? check_linked : blocking_linked, NULL);
  } else {
    run_loaded(check ? check_loaded : blocking_loaded);
  }
  int64_t count = blocks.count;
  bench_span span = bench_blocks_median(&blocks);
  bench_json_begin("calls", 1, n, BENCH_BLOCK, &span);
  bench_json_text("call", call);
  bench_json_text("via", via);
  bench_json_int("blocks", count);
  bench_json_end();
  return 0;
}
