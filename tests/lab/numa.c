/* numa: how long a load takes from each node's CPUs to each node's memory.
 *
 * A thread pinned to a CPU of one node follows pointers through a buffer that is
 * bound to a node (mbind; where its pages really are is asked for afterwards),
 * one line after the other in an order drawn at random: no load can begin before
 * the one before it has ended. Below a matrix in ns per load, and how many times
 * the local one each is. `skipped: one node` where there is nothing to compare;
 * --alone 1 measures that one all the same.
 *
 * SPDX-License-Identifier: MIT */
#include "support/nodes.h"
#include "support/pin.h"
#include "support/ping.h"

#include <linux/mempolicy.h>
#include <sys/mman.h>

static int64_t mib = 64, loads = 5000000, turns = 3, alone, csv;

enum { LINE = 64, ASKED_PAGES = 64 };
typedef struct line {
  struct line* next;
  char rest[LINE - sizeof(void*)];
} line;

/* The nth CPU that this process may use, of a node; -1: there is none. */
static int cpu_of(int node) {
  for (int nth = 0, cpu; (cpu = lab_cpu(nth)) >= 0; nth++) {
    if (lab_node_of(cpu) == node) {
      return cpu;
    }
  }
  return -1;
}

static void must(const char* what, long rc) {
  if (rc < 0) {
    printf("skipped: %s is refused (%s)\n", what, strerror(errno));
    exit(77);
  }
}

/* Lines that lie on the node, in one ring; with alone wherever they come. */
static line* ring_on(int node, size_t bytes) {
  line* lines = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must("memory", lines == MAP_FAILED ? -1 : 0);
  if (!alone) {
    unsigned long mask[LAB_MOST_NODES / 64] = {1ul << node};
    must("mbind", syscall(SYS_mbind, lines, bytes, MPOL_BIND, mask,
                          LAB_MOST_NODES + 1, 0));
  }
  size_t count = bytes / LINE;
  for (size_t i = 0; i < count; i++) {
    lines[i].next = &lines[i];
  }
  /* Sattolo: one cycle through all. */
  for (size_t i = count - 1; i > 0; i--) {
    size_t other = bench_random(i) % i;
    line* kept = lines[i].next;
    lines[i].next = lines[other].next;
    lines[other].next = kept;
  }
  return lines;
}

/* Of some pages of the buffer, how many lie there; asked of move_pages(2). */
static int64_t pages_on(int node, line* lines, size_t bytes) {
  void* pages[ASKED_PAGES];
  int where[ASKED_PAGES];
  int64_t there = 0;
  for (int i = 0; i < ASKED_PAGES; i++) {
    pages[i] = (char*)lines + bytes / ASKED_PAGES * (size_t)i / 4096 * 4096;
  }
  if (syscall(SYS_move_pages, 0, ASKED_PAGES, pages, NULL, where, 0) != 0) {
    return -1;
  }
  for (int i = 0; i < ASKED_PAGES; i++) {
    there += where[i] == node;
  }
  return there;
}

static double chase(line* lines, int64_t count) {
  line* at = lines;
  int64_t begin = bench_now();
  for (int64_t i = 0; i < count; i++) {
    at = *(line* volatile*)&at->next;
  }
  return (double)(bench_now() - begin) / (double)count;
}

/* From a CPU of one node to the memory of one. */
struct cell {
  int from, to, cpu;
  double ns;
  int64_t pages;
};

static void* measure(void* arg) {
  struct cell* c = arg;
  size_t bytes = (size_t)mib << 20;
  lab_pin_thread(c->cpu);
  line* lines = ring_on(c->to, bytes);
  chase(lines, (int64_t)(bytes / LINE)); /* all of it is there */
  for (int64_t turn = 0; turn < turns; turn++) {
    double one = chase(lines, loads);
    c->ns = turn == 0 || one < c->ns ? one : c->ns;
    if (csv) {
      printf("csv,%d,%d,%.3f\n", c->from, c->to, one);
    }
  }
  c->pages = pages_on(c->to, lines, bytes);
  munmap(lines, bytes);
  return NULL;
}

static double cell(int from, int to) {
  char key[64], words[96];
  pthread_t thread;
  struct cell c = {from, to, cpu_of(from), 0, 0};
  lab_thread(&thread, measure, &c);
  pthread_join(thread, NULL);
  snprintf(key, sizeof key, "from_%d_to_%d_ns", from, to);
  snprintf(words, sizeof words, "node %d loads from node %d (distance %d)",
           from, to, lab_distance(from, to));
  lab_number(key, words, "ns", c.ns);
  snprintf(key, sizeof key, "from_%d_to_%d_pages", from, to);
  snprintf(words, sizeof words, "  of %d pages on node %d", ASKED_PAGES, to);
  lab_int(key, words, c.pages);
  return c.ns;
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"mib", "of memory on each node", &mib, 1, 65536, NULL, NULL},
      BENCH_FLAG_NUMBER("loads", "in one turn", &loads, 1000),
      BENCH_FLAG_GS("turns", "of each pair; the best counts", &turns),
      {"alone", "also where there is one node", &alone, 0, 1, NULL, NULL},
      {"csv", "every turn", &csv, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  int cpus[LAB_MOST_NODES], memory[LAB_MOST_NODES], from = 0, to = 0;
  for (int node = 0; node < LAB_MOST_NODES; node++) {
    if (cpu_of(node) >= 0) {
      cpus[from++] = node;
    }
    if (lab_node_has("has_memory", node) || (alone && node == 0)) {
      memory[to++] = node;
    }
  }
  if (from * to < 2 && !alone) {
    printf("skipped: one node\n");
    return 77;
  }
  lab_begin("numa",
            "a pinned thread follows pointers through a buffer bound to a "
            "node, one line after the other in an order drawn at random; the "
            "best of some turns");
  lab_int("mib", "memory on each node, MiB", mib);
  lab_int("loads", "loads in one turn", loads);
  lab_int("turns", "turns of each pair", turns);
  lab_int("alone", "one node will do", alone);
  double most = 0;
  for (int i = 0; i < from; i++) {
    double local = 0, ns[LAB_MOST_NODES];
    for (int k = 0; k < to; k++) {
      ns[k] = cell(cpus[i], memory[k]);
      local = memory[k] == cpus[i] ? ns[k] : local;
    }
    for (int k = 0; k < to && local > 0; k++) {
      most = ns[k] / local > most ? ns[k] / local : most;
    }
  }
  lab_number("ratio", "the farthest, times the local one", "", most);
  lab_end();
  return 0;
}
