// The control groups that limit this process's CPU time, level by level: an
// ancestor throttles without a word in the files of the leaf, so all that can be
// seen are read (linux.md 3). Paths lie below a root, "" for the real ones.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::os {

constexpr u32 kGroupPath = 1024;  // a longer one is not followed
constexpr u32 kGroupLevels = 32;
constexpr u32 kMostMilli = 100'000'000;  // no limit is looser

// ---- texts: any bytes may come in ---------------------------------------------
// Where a hierarchy shows our group, as far as its mount reaches.
struct GroupDir {
  bool found;
  u32 top;                // length of the mount point in `path`
  u32 hidden;             // length of the path that the mount does not show
  char path[kGroupPath];  // of our group
};
enum : u32 { kV2, kV1, kTrees };  // cgroup2; the first version's cpu controller

// From /proc/self/mountinfo and /proc/self/cgroup. Of several mounts of a
// hierarchy the one that shows most ancestors of our group.
void groups_find(const char* mounts, const char* self, GroupDir trees[kTrees]);
// Two numbers of cpu.max; "max" is a quota of -1. False: neither.
bool cpu_max_parse(const char* text, i64* quota_us, i64* period_us);
bool number_parse(const char* text, i64* out);
// Of cpu.stat: periods, in how many the group was throttled, and how long.
struct Throttled {
  u64 periods, throttled, ns;
};
Throttled throttled_parse(const char* text);
// 1/1000 CPU; 0: no limit.
u32 milli_of(i64 quota_us, i64 period_us);

// ---- files, kept open ------------------------------------------------------------
struct GroupLevel {
  u8 tree;        // kV2 or kV1
  u32 length;     // of its directory in the tree's path
  int quota_fd;   // cpu.max, cpu.cfs_quota_us; -1: there is none
  int period_fd;  // cpu.cfs_period_us
  int stat_fd;    // cpu.stat; opened when there is a limit
  int error;      // errno of the one that refuses
  i64 quota_us;   // below 0: none
  i64 period_us;
  u32 milli;  // of both; 0: no limit
};
struct CpuGroups {
  const char* root;
  int self_fd;    // /proc/self/cgroup
  u64 self_hash;  // of its text
  int error;      // errno of what refuses to say where we are
  bool starved;   // there were too few descriptors: again at the next turn
  u32 rereads;
  u32 without;  // the uppermost v2 group that may yet get a limit's file; 0: none
  u32 count;
  GroupLevel levels[kGroupLevels];  // the leaf first
  GroupDir trees[kTrees];
};

// Always succeeds: what cannot be read limits nothing and is noted.
void groups_open(CpuGroups& g, const char* root);
void groups_close(CpuGroups& g);
// Reads the quotas of our own groups and of the one that limits again; where we are,
// the other groups, periods of their own files and whether files are new at one of
// kGroupTurns calls, or all of it now. True: something has changed.
constexpr u32 kGroupTurns = 8;
bool groups_reread(CpuGroups& g, bool all = false);
// The tightest limit in 1/1000 CPU, 0: none; and whose it is.
u32 groups_limit(const CpuGroups& g, const GroupLevel** whose);

Throttled level_throttled(CpuGroups& g, GroupLevel& level);
// Of the limited levels the one that was throttled most.
Throttled groups_throttled(CpuGroups& g);

}  // namespace thrum::os
