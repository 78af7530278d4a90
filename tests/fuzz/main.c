/* A fuzzer without a compiler's aid, to be run everywhere for some seconds: the
 * seeds, then mutations of them.
 *
 *   fuzz_X [--seconds S] [--seed N]    runs; what fails is left in fuzz.failed
 *   fuzz_X --write DIR                 writes the seeds as files, for libFuzzer
 *   fuzz_X FILE...                     runs those
 *
 * See README.md for libFuzzer itself.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

enum { ROOM = 20000 };

static uint8_t input[ROOM];
static uint64_t state;

static uint64_t draw(uint64_t below) { /* xorshift64* */
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (state * 2685821657736338717u >> 16) % below;
}

static size_t insert(size_t n, size_t at, const void* bytes, size_t count) {
  if (n + count > ROOM) {
    return n;
  }
  memmove(input + at + count, input + at, n - at);
  memcpy(input + at, bytes, count);
  return n + count;
}

/* One change of what is in input. */
static size_t mutate(size_t n, const char* other) {
  static const char* const words[] = {"\r\n",
                                      "\n",
                                      "\r",
                                      ":",
                                      " ",
                                      ",",
                                      "-",
                                      "%",
                                      "%2e%2e",
                                      "..",
                                      "/",
                                      "//",
                                      "\r\n\r\n",
                                      "0",
                                      "9",
                                      "fff",
                                      "-1",
                                      "$",
                                      "*",
                                      "\t",
                                      "18446744073709551616",
                                      "9223372036854775807",
                                      "4294967296",
                                      ";"};
  size_t at = draw(n + 1);
  switch (draw(7)) {
    case 0:
      if (at < n) {
        input[at] = (uint8_t)draw(256);
      }
      return n;
    case 1:
      if (at < n) {
        input[at] ^= (uint8_t)(1u << draw(8));
      }
      return n;
    case 2: { /* something is missing */
      size_t count = draw(n - at < 16 ? n - at + 1 : 16);
      memmove(input + at, input + at + count, n - at - count);
      return n - count;
    }
    case 3: { /* something is there twice */
      uint8_t copy[64];
      size_t count = draw(n - at < 64 ? n - at + 1 : 64);
      memcpy(copy, input + at, count);
      return insert(n, draw(n + 1), copy, count);
    }
    case 4: { /* something of another one */
      size_t size = strlen(other), from = draw(size + 1);
      return insert(n, at, other + from, draw(size - from + 1));
    }
    case 5:
      return at; /* cut off */
    default: {
      const char* word = words[draw(sizeof words / sizeof *words)];
      return insert(n, at, word, strlen(word));
    }
  }
}

/* Round i: always the same for the same seed. */
static size_t make(uint64_t seed, uint64_t i) {
  size_t seeds = 0;
  while (fuzz_seeds[seeds]) {
    seeds++;
  }
  const char* first = fuzz_seeds[i % seeds];
  size_t n = strlen(first);
  memcpy(input, first, n);
  state = (seed + 1) * 0x9e3779b97f4a7c15u ^ (i + 1) * 0xbf58476d1ce4e5b9u;
  for (uint64_t k = i < seeds ? 0 : 1 + draw(12); k > 0; k--) {
    n = mutate(n, fuzz_seeds[draw(seeds)]);
  }
  return n;
}

/* A copy of just this size shows the sanitizers a read beyond its end. */
static void run(size_t n) {
  uint8_t* copy = malloc(n ? n : 1);
  memcpy(copy, input, n);
  LLVMFuzzerTestOneInput(copy, n);
  free(copy);
}

static int save(const char* name, size_t n) {
  FILE* f = fopen(name, "wb");
  int ok = f && fwrite(input, 1, n, f) == n;
  return f && fclose(f) == 0 && ok;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The rounds run in a child, which tells in shared memory where it is: however it
 * dies, the parent can make that input again. */
static int rounds(uint64_t seed, double seconds) {
  uint64_t* at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status = 1;
  pid_t child = at == MAP_FAILED ? -1 : fork();
  if (child == 0) {
    double end = now() + seconds;
    for (; *at % 256 || now() < end; ++*at) {
      run(make(seed, *at));
    }
    exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) < 0) {
    perror("fuzz");
    return 1;
  }
  printf("%llu inputs\n", (unsigned long long)*at);
  if (status != 0) {
    int saved = save("fuzz.failed", make(seed, *at));
    printf("FAILED: --seed %llu, the last one; %s\n", (unsigned long long)seed,
           saved ? "it is in fuzz.failed" : "it could not be kept");
  }
  return status != 0;
}

static int write_seeds(const char* folder) {
  for (uint64_t i = 0; fuzz_seeds[i]; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%llu", folder, (unsigned long long)i);
    if (!save(name, make(0, i))) {
      perror(name);
      return 1;
    }
  }
  return 0;
}

int main(int argc, char** argv) {
  uint64_t seed = 1;
  double seconds = getenv("THRUM_LONG") ? 60 : 3;
  for (int i = 1; i < argc; i++) {
    if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
      seconds = atof(argv[++i]);
    } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
      seed = strtoull(argv[++i], NULL, 10);
    } else if (i + 1 < argc && strcmp(argv[i], "--write") == 0) {
      return write_seeds(argv[i + 1]);
    } else {
      FILE* f = fopen(argv[i], "rb");
      if (!f) {
        perror(argv[i]);
        return 2;
      }
      run(fread(input, 1, ROOM, f));
      fclose(f);
      seconds = 0;
    }
  }
  return seconds > 0 ? rounds(seed, seconds) : 0;
}
