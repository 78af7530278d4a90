// What the kernel's texts on control groups say. Sources: proc_pid_mountinfo(5),
// Documentation/admin-guide/cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "os/cgroup.hpp"

namespace thrum::os {

namespace {

struct Span {
  const char* p;
  size_t n;
  bool is(const char* text) const {
    return n == strlen(text) && memcmp(p, text, n) == 0;
  }
};

// The next piece of `rest` up to `sep`; false: none is left.
bool cut(Span& rest, char sep, Span& out) {
  if (!rest.p) {
    return false;
  }
  auto* end = static_cast<const char*>(memchr(rest.p, sep, rest.n));
  out = Span{rest.p, end ? static_cast<size_t>(end - rest.p) : rest.n};
  rest = end ? Span{end + 1, rest.n - out.n - 1} : Span{nullptr, 0};
  return true;
}

bool has(Span list, const char* word) {
  Span item;
  while (cut(list, ',', item)) {
    if (item.is(word)) {
      return true;
    }
  }
  return false;
}

// A path as mountinfo writes it: \040 is a space. 0: it is none, or too long.
size_t unescape(Span from, char* out, size_t size) {
  auto octal = [](char c) { return c >= '0' && c <= '7'; };
  size_t n = 0;
  for (size_t i = 0; i < from.n; ++i) {
    const char* p = from.p + i;
    if (n + 1 >= size) {
      return 0;
    }
    if (*p == '\\' && from.n - i > 3 && octal(p[1]) && octal(p[2]) &&
        octal(p[3])) {
      int c = (p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0');
      if (c == 0 || c > 255) {
        return 0;
      }
      out[n++] = static_cast<char>(c);
      i += 3;
    } else {
      out[n++] = *p;
    }
  }
  out[n] = 0;
  return n;
}

// Our group in one hierarchy. A line: "id:controllers:path".
bool group_in(const char* self, u32 tree, Span& path) {
  Span rest{self, strlen(self)}, line;
  while (cut(rest, '\n', line)) {
    Span id, controllers;
    if (!cut(line, ':', id) || !cut(line, ':', controllers) || !line.p ||
        line.n == 0 || line.p[0] != '/') {
      continue;
    }
    if (tree == kV2 ? id.is("0") && controllers.n == 0
                    : has(controllers, "cpu")) {
      path = line;
      return true;
    }
  }
  return false;
}

struct Mount {
  u32 tree;
  Span root, point;
};

// A line: id parent dev root point options [tags] - type source options.
bool mount_of(Span line, Mount& out) {
  Span field;
  for (int i = 0; i < 6; ++i) {
    if (!cut(line, ' ', field)) {
      return false;
    }
    out.root = i == 3 ? field : out.root;
    out.point = i == 4 ? field : out.point;
  }
  do {
    if (!cut(line, ' ', field)) {
      return false;
    }
  } while (!field.is("-"));
  Span type, source, super;
  if (!cut(line, ' ', type) || !cut(line, ' ', source)) {
    return false;
  }
  if (type.is("cgroup2")) {
    out.tree = kV2;
    return true;
  }
  out.tree = kV1;
  return type.is("cgroup") && cut(line, ' ', super) && has(super, "cpu");
}

// How much of our path the mount hides, if it shows our group at all.
bool shows(const char* root, size_t n, Span group, size_t* hidden) {
  if (n == 1) {  // "/"
    n = 0;
  }
  *hidden = n;
  return group.n >= n && memcmp(root, group.p, n) == 0 &&
         (group.n == n || group.p[n] == '/');
}

void consider(const Mount& m, Span group, GroupDir& best, bool& shown) {
  char root[kGroupPath];
  size_t n = unescape(m.root, root, sizeof root);
  size_t hidden = 0;
  bool shows_it = n && shows(root, n, group, &hidden);
  // One that does not show us (a bind mount of another group) still has a root
  // that limits what is below, and is better than none.
  Span rest = shows_it ? Span{group.p + hidden, group.n - hidden} : Span{};
  if (best.found && (!shows_it || (shown && hidden >= best.hidden))) {
    return;
  }
  char point[kGroupPath];
  size_t top = unescape(m.point, point, sizeof point);
  if (rest.n == 1) {  // "/"
    rest.n = 0;
  }
  if (!top || top + rest.n + 1 > kGroupPath) {
    return;
  }
  memcpy(best.path, point, top);
  memcpy(best.path + top, rest.n ? rest.p : point, rest.n);
  best.path[top + rest.n] = 0;
  best.found = true;
  best.top = static_cast<u32>(top);
  best.hidden = static_cast<u32>(hidden);
  shown = shows_it;
}

}  // namespace

void groups_find(const char* mounts, const char* self, GroupDir trees[kTrees]) {
  Span group[kTrees] = {};
  bool in[kTrees], shown[kTrees] = {};
  for (u32 t = 0; t < kTrees; ++t) {
    trees[t].found = false;
    trees[t].top = trees[t].hidden = 0;
    trees[t].path[0] = 0;
    in[t] = group_in(self, t, group[t]);
  }
  Span rest{mounts, strlen(mounts)}, line;
  while (cut(rest, '\n', line)) {
    Mount m{};
    if (mount_of(line, m) && in[m.tree]) {
      consider(m, group[m.tree], trees[m.tree], shown[m.tree]);
    }
  }
}

bool number_parse(const char* text, i64* out) {
  bool below = *text == '-';
  u64 most = u64{INT64_MAX} + below;
  const char* first = text + below;
  const char* p = first;
  u64 n = 0;
  for (; *p >= '0' && *p <= '9'; ++p) {
    u64 digit = static_cast<u64>(*p - '0');
    n = n > (most - digit) / 10 ? most : n * 10 + digit;
  }
  *out = static_cast<i64>(below ? 0 - n : n);
  return p != first && (*p == 0 || *p == '\n' || *p == ' ');
}

bool cpu_max_parse(const char* text, i64* quota_us, i64* period_us) {
  const char* space = strchr(text, ' ');
  if (!space || !number_parse(space + 1, period_us)) {
    return false;
  }
  if (strncmp(text, "max ", 4) == 0) {
    *quota_us = -1;
    return true;
  }
  return number_parse(text, quota_us);
}

Throttled throttled_parse(const char* text) {
  Throttled out{};
  Span rest{text, strlen(text)}, line;
  while (cut(rest, '\n', line)) {
    Span key;
    i64 value;
    if (!cut(line, ' ', key) || !line.p || !number_parse(line.p, &value)) {
      continue;
    }
    u64 n = static_cast<u64>(max(value, i64{0}));
    if (key.is("nr_periods")) {
      out.periods = n;
    } else if (key.is("nr_throttled")) {
      out.throttled = n;
    } else if (key.is("throttled_time")) {
      out.ns = n;
    } else if (key.is("throttled_usec")) {
      out.ns = n * 1000;
    }
  }
  return out;
}

u32 milli_of(i64 quota_us, i64 period_us) {
  if (quota_us <= 0 || period_us <= 0) {
    return 0;
  }
  if (quota_us / period_us >= kMostMilli / 1000) {
    return kMostMilli;
  }
  // Both below 2^63 / 1000 by now, or the quotient is.
  double milli =
      static_cast<double>(quota_us) * 1000 / static_cast<double>(period_us);
  return max(static_cast<u32>(milli), 1u);
}

}  // namespace thrum::os
