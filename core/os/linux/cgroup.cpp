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

void close_fd(int& fd) {
  if (fd >= 0) {
    close(fd);
  }
  fd = -1;
}

// Path of a file of the directory that is so long a part of the tree's; false: too long.
bool path_in(const CpuGroups& g, u8 tree, u32 length, const char* name,
             char (&path)[2 * kGroupPath]) {
  int n = snprintf(path, sizeof path, "%s%.*s/%s", g.root,
                   static_cast<int>(length), g.trees[tree].path, name);
  return n >= 0 && static_cast<size_t>(n) < sizeof path;
}

bool is_there(const CpuGroups& g, u8 tree, u32 length, const char* name) {
  char path[2 * kGroupPath];
  return path_in(g, tree, length, name, path) && access(path, F_OK) == 0;
}

// -1, errno: without a word about the file where only a descriptor was wanting.
int open_kept(CpuGroups& g, const char* path) {
  int fd = above_std(open(path, O_RDONLY | O_CLOEXEC));
  g.starved |= fd < 0 && (errno == EMFILE || errno == ENFILE);
  return fd;
}

// A file of a level; -1 with *error: it is there and refuses.
int level_file(CpuGroups& g, const GroupLevel& l, const char* name,
               int* error) {
  char path[2 * kGroupPath];
  if (!path_in(g, l.tree, l.length, name, path)) {
    return -1;
  }
  int fd = open_kept(g, path);
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

// What the level's files say now; true: that is new. A period of its own file is
// seldom changed, and read when all is to be or the quota is another.
bool level_read(GroupLevel& l, bool all) {
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
  l.error = n < 0 ? static_cast<int>(-n) : 0;
  if (!ok) {
    quota = -1;
    period = 0;
  }
  if (quota == l.quota_us && period == l.period_us) {
    return false;
  }
  l.quota_us = quota;
  l.period_us = period;
  l.milli = milli_of(quota, period);
  return true;
}

// False: it has no file of a limit.
bool level_open(CpuGroups& g, u8 tree, u32 length) {
  GroupLevel l{tree, length, -1, -1, -1, 0, -1, 0, 0};
  l.quota_fd = level_file(g, l, kQuotaFile[tree], &l.error);
  if (tree == kV1 && l.quota_fd >= 0) {
    l.period_fd = level_file(g, l, "cpu.cfs_period_us", &l.error);
    if (l.period_fd < 0) {
      close_fd(l.quota_fd);
    }
  }
  if (l.quota_fd >= 0) {
    level_read(l, true);
  }
  bool known = l.quota_fd >= 0 || l.error;
  if (known) {
    g.levels[g.count++] = l;
  }
  return known;
}

// Can the topmost directory that is shown have no limit at all? The kernel gives the
// root of a hierarchy none; of a container's mount it may be another's.
bool is_root(const CpuGroups& g, u8 tree) {
  u32 top = g.trees[tree].top;
  return tree == kV2 ? !is_there(g, tree, top, "cgroup.type") && errno == ENOENT
                     : is_there(g, tree, top, "release_agent");
}

// From our group up to the mount's root.
void tree_open(CpuGroups& g, u8 tree) {
  const GroupDir& dir = g.trees[tree];
  if (!dir.found) {
    return;
  }
  u32 length = static_cast<u32>(strlen(dir.path));
  for (bool more = true; more && g.count < kGroupLevels;) {
    bool known = level_open(g, tree, length);
    more = length > dir.top;
    if (!more && is_root(g, tree)) {
      if (known && tree == kV1) {
        close_fd(g.levels[g.count - 1].quota_fd);
      }
    } else if (!known && tree == kV2) {
      g.without = length;
    }
    while (more && dir.path[--length] != '/') {}
  }
}

int open_own(CpuGroups& g, const char* name) {
  char path[kGroupPath];
  snprintf(path, sizeof path, "%s%s", g.root, name);
  int fd = open_kept(g, path);
  g.error = fd < 0 ? errno : g.error;
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

// Hash of what /proc/self/cgroup says now, to its end: a move in one hierarchy changes
// one line. 0: it says nothing.
u64 self_now(int fd) {
  char text[1024];
  u64 h = 0xcbf29ce484222325u;  // FNV-1a
  off_t at = 0;
  for (ssize_t n = sizeof text; n == sizeof text; at += n) {
    n = fd < 0 ? -1 : pread(fd, text, sizeof text, at);
    if (n < 0 || (n == 0 && at == 0)) {
      return 0;
    }
    for (ssize_t i = 0; i < n; ++i) {
      h = (h ^ static_cast<unsigned char>(text[i])) * 0x100000001b3u;
    }
  }
  return h;
}

}  // namespace

void groups_open(CpuGroups& g, const char* root) {
  ErrnoKeep keep;
  g.root = root;
  g.rereads = g.count = g.without = 0;
  g.error = 0;
  g.starved = false;
  g.trees[kV2].found = g.trees[kV1].found = false;
  g.self_fd = open_own(g, "/proc/self/cgroup");
  g.self_hash = self_now(g.self_fd);
  int fd = open_own(g, "/proc/self/mountinfo");
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
  bool each = all || turn == 0;
  bool anew = (each && (g.starved || self_now(g.self_fd) != g.self_hash)) ||
              ((all || turn == kGroupTurns / 2) && g.without &&
               is_there(g, kV2, g.without, kQuotaFile[kV2]));
  const GroupLevel* tightest;
  groups_limit(g, &tightest);
  bool changed = false;
  for (u32 i = 0; i < g.count && !anew; ++i) {
    GroupLevel& l = g.levels[i];
    bool own = i == 0 || g.levels[i - 1].tree != l.tree;
    if (l.quota_fd >= 0 && (each || own || &l == tightest)) {
      changed |= level_read(l, each);
      anew = l.error == ENODEV;  // we were moved, and it was removed
    }
  }
  if (anew) {
    groups_close(g);
    groups_open(g, g.root);
  }
  return changed || anew;
}

u32 groups_limit(const CpuGroups& g, const GroupLevel** whose) {
  u32 least = 0;
  *whose = nullptr;
  for (u32 i = 0; i < g.count; ++i) {
    const GroupLevel& l = g.levels[i];
    if (l.milli && (!least || l.milli < least)) {
      least = l.milli;
      *whose = &l;
    }
  }
  return least;
}

Throttled level_throttled(CpuGroups& g, GroupLevel& l) {
  ErrnoKeep keep;
  if (!l.milli) {
    return Throttled{};
  }
  if (l.stat_fd < 0) {
    l.stat_fd = level_file(g, l, "cpu.stat", &l.error);
  }
  char text[1024];
  if (l.stat_fd < 0 || read_again(l.stat_fd, text, sizeof text) <= 0) {
    return Throttled{};
  }
  return throttled_parse(text);
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
