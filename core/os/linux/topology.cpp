// Sources: Documentation/ABI/stable/sysfs-devices-node, sysfs-devices-system-cpu,
// Documentation/admin-guide/cputopology.rst.
// SPDX-License-Identifier: MIT
#include "os/topology.hpp"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

constexpr u16 kNear = 10, kFar = 20;  // ACPI's: itself, and another as a rule
constexpr u32 kCacheLeaves = 10;      // kinds of caches of a CPU, at most

bool digit(char c) { return c >= '0' && c <= '9'; }

// A number at `at`, which moves behind it; false: none, or above `most`.
bool number(const char*& at, u32 most, u32* out) {
  if (!digit(*at)) {
    return false;
  }
  u32 n = 0;
  for (; digit(*at); ++at) {
    n = n * 10 + static_cast<u32>(*at - '0');
    if (n > most) {
      return false;
    }
  }
  *out = n;
  return true;
}

bool ends(const char* at) { return *at == 0 || (*at == '\n' && at[1] == 0); }

struct Reader {
  Topology& t;
  const char* root;

  void failed(int error) { t.error = t.error ? t.error : error; }

  // Into t.text. 0 or errno.
  __attribute__((format(printf, 2, 3))) int read(const char* name, ...) {
    char below[128], path[512];
    va_list args;
    va_start(args, name);
    vsnprintf(below, sizeof below, name, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/sys/devices/system/%s", root, below);
    errno = 0;
    if (read_text(path, t.text, sizeof t.text)) {
      return 0;
    }
    return errno ? errno : ENODATA;
  }

  // What was read, as a set. A file that is not there leaves it empty.
  bool as_set(int error, CpuSet* out) {
    *out = CpuSet{};
    if (!error && !cpu_list_parse(t.text, out)) {
      error = EINVAL;
    }
    if (error && error != ENOENT) {
      failed(error);
    }
    return !error;
  }

  // The CPU numbers that share something with `cpu` get the lowest of them, also
  // if the text leaves out cpu itself. Who has one already keeps it.
  void share(const CpuSet& with, u32 cpu, u16* of, u16 none) {
    of[cpu] = static_cast<u16>(cpu);
    each_cpu(with & t.online, [&](u32 other) {
      if (other > cpu && of[other] == none) {
        of[other] = static_cast<u16>(cpu);
      }
    });
  }

  void cpus();
  void nodes();
  void flat();
  void distances(u32 index);
  void caches();
  void cores();
};

// Those of the process, if the kernel does not say which there are.
void Reader::cpus() {
  if (as_set(read("cpu/online"), &t.online) && t.online.count()) {
    return;
  }
  failed(ENODATA);
  if (affinity_get(0, t.online.words, kCpuWords) != 0) {
    t.online = CpuSet{};
    t.online.add(0);
  }
}

void Reader::flat() {
  t.nodes = 1;
  Node& n = t.node[0];
  n = Node{};
  n.memory = true;
  n.cpus = t.online;
  n.distance[0] = kNear;
}

// One number for each node that is online.
void Reader::distances(u32 index) {
  Node& n = t.node[index];
  int error = read("node/node%u/distance", n.id);
  if (!error && numbers_parse(t.text, n.distance, kNodes) == t.nodes) {
    return;
  }
  failed(error ? error : EINVAL);
  for (u32 i = 0; i < t.nodes; ++i) {
    n.distance[i] = i == index ? kNear : kFar;
  }
}

void Reader::nodes() {
  CpuSet ids, memory;
  if (!as_set(read("node/online"), &ids) || !ids.count()) {
    return flat();
  }
  if (ids.count() > kNodes) {
    failed(E2BIG);
    return flat();
  }
  bool known = as_set(read("node/has_memory"), &memory);
  CpuSet left = t.online;
  each_cpu(ids, [&](u32 id) {
    Node& n = t.node[t.nodes++];
    n = Node{};
    n.id = id;
    n.memory = !known || memory.has(id);
    if (as_set(read("node/node%u/cpulist", id), &n.cpus)) {
      n.cpus = n.cpus & left;
    }
    left = left.without(n.cpus);
  });
  if (left.count()) {
    failed(ENODATA);
    each_cpu(left, [&](u32 cpu) { t.node[0].cpus.add(cpu); });
  }
  for (u32 i = 0; i < t.nodes; ++i) {
    distances(i);
    each_cpu(t.node[i].cpus,
             [&](u32 cpu) { t.node_of[cpu] = static_cast<u8>(i); });
  }
}

// The one of the highest level. Read of one CPU, it is known of all that share it.
void Reader::caches() {
  each_cpu(t.online, [&](u32 cpu) {
    if (t.cache_of[cpu] != kNoCache) {
      return;
    }
    u32 last = 0, highest = 0;
    for (u32 leaf = 0; leaf < kCacheLeaves; ++leaf) {
      u32 level;
      const char* at = t.text;
      if (read("cpu/cpu%u/cache/index%u/level", cpu, leaf) ||
          !number(at, kCacheLeaves, &level)) {
        break;
      }
      if (level > highest) {
        highest = level;
        last = leaf;
      }
    }
    CpuSet with;
    if (highest &&
        as_set(read("cpu/cpu%u/cache/index%u/shared_cpu_list", cpu, last),
               &with)) {
      share(with, cpu, t.cache_of, kNoCache);
    }
  });
}

void Reader::cores() {
  each_cpu(t.online, [&](u32 cpu) {
    if (t.core_of[cpu] != kNoCache) {
      return;
    }
    CpuSet with;
    if (!as_set(read("cpu/cpu%u/topology/core_cpus_list", cpu), &with)) {
      as_set(read("cpu/cpu%u/topology/thread_siblings_list", cpu), &with);
    }
    share(with, cpu, t.core_of, kNoCache);
  });
}

}  // namespace

bool cpu_list_parse(const char* at, CpuSet* out) {
  *out = CpuSet{};
  if (ends(at)) {
    return true;
  }
  for (;; ++at) {
    u32 first, last;
    if (!number(at, kCpus - 1, &first)) {
      break;
    }
    last = first;
    if (*at == '-' && (!number(++at, kCpus - 1, &last) || last < first)) {
      break;
    }
    for (u32 cpu = first; cpu <= last; ++cpu) {
      out->add(cpu);
    }
    if (ends(at)) {
      return true;
    }
    if (*at != ',') {
      break;
    }
  }
  *out = CpuSet{};
  return false;
}

u32 numbers_parse(const char* at, u16* out, u32 most) {
  for (u32 n = 0;;) {
    u32 value;
    if (!number(at, UINT16_MAX, &value)) {
      return 0;
    }
    if (n < most) {
      out[n] = static_cast<u16>(value);
    }
    ++n;
    if (ends(at)) {
      return n;
    }
    if (*at++ != ' ') {
      return 0;
    }
  }
}

void topology_read(Topology& t, const char* root) {
  ErrnoKeep keep;
  t.error = 0;
  t.nodes = 0;
  memset(t.node_of, 0, sizeof t.node_of);
  memset(t.cache_of, 0xff, sizeof t.cache_of);
  memset(t.core_of, 0xff, sizeof t.core_of);
  Reader r{t, root};
  r.cpus();
  r.nodes();
  r.caches();
  r.cores();
}

}  // namespace thrum::os
