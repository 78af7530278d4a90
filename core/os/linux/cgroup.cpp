// The files of the control groups that limit this process. Descriptors are kept:
// to read one again takes a third of a microsecond, to open it two.
// SPDX-License-Identifier: MIT
#include "os/cgroup.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

constexpr const char* kQuotaFile[kTrees] = {"cpu.max", "cpu.cfs_quota_us"};

// A file of a level; -1 with *error: it is there and refuses.
int level_file(const CpuGroups& g, const GroupLevel& l, const char* name,
               int* error) {
  char path[2 * kGroupPath];
  int n = snprintf(path, sizeof path, "%s%.*s/%s", g.root,
                   static_cast<int>(l.length), g.trees[l.tree].path, name);
  if (n < 0 || static_cast<size_t>(n) >= sizeof path) {
    return -1;
  }
  int fd = above_std(open(path, O_RDONLY | O_CLOEXEC));
  if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
    *error = errno;
  }
  return fd;
}

// A small file from its beginning; below 0: errno.
ssize_t read_again(int fd, char* text, size_t size) {
  ssize_t n = pread(fd, text, size - 1, 0);
  if (n < 0) {
    n = -errno;
  }
  text[max(n, ssize_t{0})] = 0;
  return n;
}

void no_limit(GroupLevel& l) {
  l.quota_us = -1;
  l.period_us = 0;
}

// What the level's files say now. A period of its own file is seldom changed, and
// read when all is to be or the quota is another.
void level_read(GroupLevel& l, bool all) {
  char text[128];
  i64 quota = -1, period = l.period_us;
  ssize_t n = read_again(l.quota_fd, text, sizeof text);
  bool ok = n >= 0;
  if (l.tree == kV2) {
    ok = ok && cpu_max_parse(text, &quota, &period);
  } else if (ok && (ok = number_parse(text, &quota)) && quota > 0 &&
             (all || quota != l.quota_us)) {
    n = read_again(l.period_fd, text, sizeof text);
    ok = n >= 0 && number_parse(text, &period);
  }
  if (n < 0) {
    l.error = static_cast<int>(-n);
  }
  no_limit(l);
  if (ok) {
    l.quota_us = quota;
    l.period_us = period;
  }
}

void level_open(CpuGroups& g, u8 tree, u32 length) {
  GroupLevel l{tree, length, -1, -1, -1, 0, -1, 0};
  l.quota_fd = level_file(g, l, kQuotaFile[tree], &l.error);
  if (tree == kV1 && l.quota_fd >= 0) {
    l.period_fd = level_file(g, l, "cpu.cfs_period_us", &l.error);
  }
  if (l.quota_fd >= 0) {
    level_read(l, true);
  }
  if (l.quota_fd >= 0 || l.error) {
    g.levels[g.count++] = l;
  }
}

// Calls fn(length) for each directory from our group up to the mount's root, until it
// returns false.
template <class Fn>
void each_dir(const GroupDir& dir, Fn fn) {
  if (!dir.found) {
    return;
  }
  u32 length = static_cast<u32>(strlen(dir.path));
  while (fn(length) && length > dir.top) {
    while (dir.path[--length] != '/') {}
  }
}

void tree_open(CpuGroups& g, u8 tree) {
  each_dir(g.trees[tree], [&](u32 length) {
    level_open(g, tree, length);
    return g.count < kGroupLevels;
  });
}

// Is there a limit's file where there was none? The controller of CPUs can be switched
// on while processes run.
bool appeared(const CpuGroups& g, u8 tree) {
  u32 known = 0;  // the levels of a tree stand in the same order
  bool found = false;
  each_dir(g.trees[tree], [&](u32 length) {
    while (known < g.count &&
           (g.levels[known].tree != tree || g.levels[known].length > length)) {
      ++known;
    }
    if (known == g.count || g.levels[known].length != length) {
      char path[2 * kGroupPath];
      snprintf(path, sizeof path, "%s%.*s/%s", g.root, static_cast<int>(length),
               g.trees[tree].path, kQuotaFile[tree]);
      found = access(path, F_OK) == 0;
    }
    return !found && g.count < kGroupLevels;
  });
  return found;
}

int open_file(const char* root, const char* name, int* error) {
  char path[kGroupPath];
  snprintf(path, sizeof path, "%s%s", root, name);
  int fd = above_std(open(path, O_RDONLY | O_CLOEXEC));
  *error = fd < 0 ? errno : *error;
  return fd;
}

// A whole file, in a mapping: malloc would make an arena for the thread. Null: it
// is not to be had, or larger than any.
constexpr size_t kText = 4 << 20;
char* read_whole(int fd) {
  auto* text = static_cast<char*>(vm_reserve(kText));
  size_t used = 0;
  for (ssize_t n = 1; text && n > 0 && used < kText;) {
    n = pread(fd, text + used, kText - used, static_cast<off_t>(used));
    used += static_cast<size_t>(max(n, ssize_t{0}));
  }
  if (text && used == kText) {  // no room for the zero behind it
    vm_release(text, kText);
    return nullptr;
  }
  return text;
}

u64 hash_of(const char* text) {  // FNV-1a
  u64 h = 0xcbf29ce484222325u;
  for (; *text; ++text) {
    h = (h ^ static_cast<unsigned char>(*text)) * 0x100000001b3u;
  }
  return h;
}

// Hash of what /proc/self/cgroup says now; 0: it says nothing.
u64 self_now(int fd) {
  char text[kGroupPath];
  return fd >= 0 && read_again(fd, text, sizeof text) > 0 ? hash_of(text) : 0;
}

void close_fd(int& fd) {
  if (fd >= 0) {
    close(fd);
  }
  fd = -1;
}

}  // namespace

void groups_open(CpuGroups& g, const char* root) {
  ErrnoKeep keep;
  g.root = root;
  g.rereads = g.count = 0;
  g.error = 0;
  g.trees[kV2].found = g.trees[kV1].found = false;
  g.self_fd = open_file(root, "/proc/self/cgroup", &g.error);
  g.self_hash = self_now(g.self_fd);
  int fd = open_file(root, "/proc/self/mountinfo", &g.error);
  char* self = g.self_fd >= 0 ? read_whole(g.self_fd) : nullptr;
  char* mounts = self && fd >= 0 ? read_whole(fd) : nullptr;
  if (mounts) {
    groups_find(mounts, self, g.trees);
  }
  for (char* text : {self, mounts}) {
    if (text) {
      vm_release(text, kText);
    }
  }
  close_fd(fd);
  tree_open(g, kV2);
  tree_open(g, kV1);
}

void groups_close(CpuGroups& g) {
  ErrnoKeep keep;
  for (u32 i = 0; i < g.count; ++i) {
    close_fd(g.levels[i].quota_fd);
    close_fd(g.levels[i].period_fd);
    close_fd(g.levels[i].stat_fd);
  }
  close_fd(g.self_fd);
  g.count = 0;
}

bool groups_reread(CpuGroups& g, bool all) {
  ErrnoKeep keep;
  // What is dear and seldom changes has its turn: where we are takes 3 us with ten
  // hierarchies, a file that is not there 2.
  u32 turn = g.rereads++ % kGroupTurns;
  if (((all || turn == 0) && self_now(g.self_fd) != g.self_hash) ||
      ((all || turn == kGroupTurns / 2) &&
       (appeared(g, kV2) || appeared(g, kV1)))) {
    groups_close(g);
    groups_open(g, g.root);
    return true;
  }
  const GroupLevel* tightest;
  groups_limit(g, &tightest);
  bool changed = false;
  for (u32 i = 0; i < g.count; ++i) {
    GroupLevel& l = g.levels[i];
    bool own = i == 0 || g.levels[i - 1].tree != l.tree;
    if (l.quota_fd < 0 || !(all || turn == 0 || own || &l == tightest)) {
      continue;
    }
    i64 quota = l.quota_us, period = l.period_us;
    level_read(l, all || turn == 0);
    changed |= quota != l.quota_us || period != l.period_us;
  }
  return changed;
}

u32 groups_limit(const CpuGroups& g, const GroupLevel** whose) {
  u32 least = 0;
  *whose = nullptr;
  for (u32 i = 0; i < g.count; ++i) {
    const GroupLevel& l = g.levels[i];
    u32 here = milli_of(l.quota_us, l.period_us);
    if (here && (!least || here < least)) {
      least = here;
      *whose = &l;
    }
  }
  return least;
}

Throttled level_throttled(CpuGroups& g, GroupLevel& l) {
  ErrnoKeep keep;
  Throttled out{};
  if (!milli_of(l.quota_us, l.period_us)) {
    return out;
  }
  if (l.stat_fd < 0) {
    l.stat_fd = level_file(g, l, "cpu.stat", &l.error);
  }
  char text[1024];
  if (l.stat_fd < 0 || read_again(l.stat_fd, text, sizeof text) <= 0) {
    return out;
  }
  stat_parse(text, "nr_periods", &out.periods);
  stat_parse(text, "nr_throttled", &out.throttled);
  u64 us = 0;
  if (stat_parse(text, "throttled_usec", &us)) {
    out.ns = us * 1000;
  } else {
    stat_parse(text, "throttled_time", &out.ns);
  }
  return out;
}

Throttled groups_throttled(CpuGroups& g) {
  Throttled most{};
  for (u32 i = 0; i < g.count; ++i) {
    Throttled here = level_throttled(g, g.levels[i]);
    if (here.throttled >= most.throttled && here.periods) {
      most = here;
    }
  }
  return most;
}

u32 cpu_quota_milli() {
  auto* g = static_cast<CpuGroups*>(vm_reserve(sizeof(CpuGroups)));
  if (!g) {
    return 0;
  }
  groups_open(*g, "");
  const GroupLevel* whose;
  u32 milli = groups_limit(*g, &whose);
  groups_close(*g);
  vm_release(g, sizeof *g);
  return milli;
}

}  // namespace thrum::os
