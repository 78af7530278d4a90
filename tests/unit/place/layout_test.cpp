// The quota in recorded layouts of control groups.
#include <fcntl.h>
#include <memory>
#include <sstream>
#include <sys/resource.h>
#include <sys/wait.h>

#include "layouts.hpp"
#include "os/cgroup.hpp"
#include "tree.hpp"

using namespace unit;

namespace {

struct Wanted {
  std::string name, path;
  u32 milli = 0;
  bool denies = false;
};

std::string below(const os::CpuGroups& g, const os::GroupLevel* l) {
  return l ? std::string(g.trees[l->tree].path, l->length) : "-";
}

void look(const Wanted& w, Tree& tree) {
  auto g = std::make_unique<os::CpuGroups>();
  {
    Nobody nobody;
    os::groups_open(*g, tree.root());
  }
  const os::GroupLevel* whose;
  u32 milli = os::groups_limit(*g, &whose);
  CHECK_ROW(milli == w.milli, w.name.c_str());
  CHECK_ROW(below(*g, whose) == w.path, w.name.c_str());
  bool denied = g->error == EACCES;
  for (u32 i = 0; i < g->count; ++i) {
    denied |= g->levels[i].error == EACCES;
  }
  CHECK_ROW(denied == w.denies, w.name.c_str());
  CHECK_ROW(!os::groups_reread(*g), w.name.c_str());
  CHECK_ROW(os::groups_limit(*g, &whose) == w.milli, w.name.c_str());
  os::groups_close(*g);
}

// Builds the next layout of the text and looks at it; false: there is none.
bool next_layout(std::istringstream& in) {
  std::string line, mounts, groups;
  Wanted w;
  bool no_mounts = false;
  Tree tree;
  while (std::getline(in, line) && !(line.empty() && !w.name.empty())) {
    std::string rest = line.size() > 2 ? line.substr(2) : "";
    if (line.rfind("== ", 0) == 0) {
      w.name = line.substr(3);
    } else if (line.rfind("want ", 0) == 0) {
      size_t space = line.find(' ', 5);
      w.milli = static_cast<u32>(std::stoul(line.substr(5)));
      w.path = line.substr(space + 1);
    } else if (line[0] == 'm') {
      mounts += rest + "\n";
    } else if (line[0] == 'g') {
      groups += rest + "\n";
    } else if (line[0] == 'f') {
      size_t text = rest.rfind("/cpu.");
      text = rest.find(' ', text);
      tree.put(rest.substr(0, text), rest.substr(text + 1) + "\n");
    } else if (line[0] == 'd') {
      tree.deny(rest);
      w.denies = true;
    } else if (line[0] == 'x') {
      no_mounts = true;
      w.denies = true;
    }
  }
  if (w.name.empty()) {
    return false;
  }
  tree.put("/proc/self/cgroup", groups);
  if (no_mounts) {
    tree.deny("/proc/self/mountinfo");
  } else {
    tree.put("/proc/self/mountinfo", mounts);
  }
  look(w, tree);
  return true;
}

int open_fds() {
  int n = 0;
  for (int fd = 0; fd < 256; ++fd) {
    n += fcntl(fd, F_GETFD) >= 0;
  }
  return n;
}

constexpr const char* kV2 =
    "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

// Does one of so many looks that all has had its turn find something new?
bool seen_in_a_round(os::CpuGroups& g) {
  bool seen = false;
  for (u32 i = 0; i < os::kGroupTurns; ++i) {
    seen |= os::groups_reread(g);
  }
  return seen;
}

}  // namespace

TEST_CASE("place: every recorded layout has the quota that it should") {
  int before = open_fds(), n = 0;
  std::istringstream in(kLayouts);
  while (next_layout(in)) {
    ++n;
  }
  CHECK(n >= 20);
  CHECK(open_fds() == before);
}

TEST_CASE("place: a limit that changes is seen through the open files") {
  Tree tree;
  tree.put("/proc/self/mountinfo", kV2);
  tree.put("/proc/self/cgroup", "0::/a\n");
  tree.put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  const os::GroupLevel* whose;
  CHECK(os::groups_limit(*g, &whose) == 0);
  tree.put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  CHECK(os::groups_reread(*g));
  CHECK(os::groups_limit(*g, &whose) == 500);
  CHECK(!os::groups_reread(*g));
  os::groups_close(*g);
}

// From the root down, as the kernel wants it.
TEST_CASE("place: a controller that is switched on later is seen") {
  for (bool whole : {true, false}) {  // is the root the hierarchy's own?
    Tree tree;
    tree.put("/proc/self/mountinfo", kV2);
    tree.put("/proc/self/cgroup", "0::/a/b\n");
    tree.put("/sys/fs/cgroup/a/b/cgroup.procs", "1\n");
    if (!whole) {
      tree.put("/sys/fs/cgroup/cgroup.type", "domain\n");
    }
    auto g = std::make_unique<os::CpuGroups>();
    os::groups_open(*g, tree.root());
    const os::GroupLevel* whose;
    CHECK(os::groups_limit(*g, &whose) == 0);
    u32 quota = 100'000, limit = 1000;
    for (const char* where : {"", "/a", "/a/b"}) {
      if (whole && !*where) {
        continue;  // never has one
      }
      CHECK(!seen_in_a_round(*g));
      std::string group = std::string("/sys/fs/cgroup") + where;
      tree.put(group + "/cpu.max", std::to_string(quota) + " 100000\n");
      CHECK(seen_in_a_round(*g));
      CHECK(os::groups_limit(*g, &whose) == limit);
      CHECK(below(*g, whose) == group);
      quota /= 2;
      limit /= 2;
    }
    CHECK(!seen_in_a_round(*g));
    os::groups_close(*g);
  }
}

TEST_CASE("place: a group that is not the first of a long list is seen") {
  Tree tree;
  std::string others;
  for (int i = 12; i > 1; --i) {
    others += std::to_string(i) + ":name=x:/" + std::string(120, 'p') + "\n";
  }
  tree.put("/proc/self/mountinfo",
           "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  tree.put("/proc/self/cgroup", others + "1:cpu:/a\n");
  tree.put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000\n");
  tree.put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  tree.put("/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "20000\n");
  tree.put("/sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  const os::GroupLevel* whose;
  CHECK(os::groups_limit(*g, &whose) == 500);
  CHECK(!seen_in_a_round(*g));
  tree.put("/proc/self/cgroup", others + "1:cpu:/b\n");
  CHECK(seen_in_a_round(*g));
  CHECK(os::groups_limit(*g, &whose) == 200);
  os::groups_close(*g);
}

bool write_to(const std::string& path, const char* text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
  close(fd);
  return ok;
}

// Real groups, of a child: from one to another, and the first is removed.
int moved_child(const std::string& from, const std::string& to) {
  if (!write_to(from + "/cpu.cfs_quota_us", "50000") ||
      !write_to(to + "/cpu.cfs_quota_us", "20000") ||
      !write_to(from + "/cgroup.procs", "0")) {
    return 77;
  }
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, "");
  (void)os::groups_reread(*g);
  const os::GroupLevel* whose;
  if (os::groups_limit(*g, &whose) != 500 ||
      !write_to(to + "/cgroup.procs", "0") || rmdir(from.c_str()) != 0) {
    return 77;
  }
  bool seen = os::groups_reread(*g) && os::groups_limit(*g, &whose) == 200;
  os::groups_close(*g);
  return seen ? 0 : 1;
}

TEST_CASE("place: a group that is removed behind us is left at once") {
  std::string base =
      "/sys/fs/cgroup/cpu/thrum-unit-" + std::to_string(getpid());
  std::string from = base + "a", to = base + "b";
  int code = 77;
  if (mkdir(from.c_str(), 0755) == 0 && mkdir(to.c_str(), 0755) == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      _exit(moved_child(from, to));
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  rmdir(from.c_str());
  rmdir(to.c_str());
  if (code == 77) {
    UNIT_SKIP("no control groups of the first version may be made here");
  }
  CHECK(code == 0);
}

// Of the first version, too, the root of a hierarchy has no limit; a container's has.
TEST_CASE("place: the root of a hierarchy is told from that of a mount") {
  for (bool whole : {true, false}) {
    Tree tree;
    std::string root = "/sys/fs/cgroup/cpu";
    tree.put("/proc/self/mountinfo",
             "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
    tree.put("/proc/self/cgroup", "1:cpu:/\n");
    tree.put(root + "/cpu.cfs_quota_us", "-1\n");
    tree.put(root + "/cpu.cfs_period_us", "100000\n");
    if (whole) {
      tree.put(root + "/release_agent", "\n");
    }
    auto g = std::make_unique<os::CpuGroups>();
    os::groups_open(*g, tree.root());
    CHECK(g->count == 1);
    tree.put(root + "/cpu.cfs_quota_us", "50000\n");
    CHECK(os::groups_reread(*g, true) == !whole);
    os::groups_close(*g);
  }
}

TEST_CASE("place: groups are found when there are descriptors again") {
  Tree tree;
  tree.put("/proc/self/mountinfo", kV2);
  tree.put("/proc/self/cgroup", "0::/a\n");
  tree.put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(next > 2);
  close(next);
  for (int spare : {0, 1, 2, 3}) {
    INFO(spare);
    auto g = std::make_unique<os::CpuGroups>();
    rlimit few{static_cast<rlim_t>(next + spare), limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    os::groups_open(*g, tree.root());
    (void)seen_in_a_round(*g);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    const os::GroupLevel* whose;
    CHECK((os::groups_limit(*g, &whose) == 500) == (spare > 1));
    (void)seen_in_a_round(*g);
    CHECK(os::groups_limit(*g, &whose) == 500);
    CHECK(g->error == 0);
    os::groups_close(*g);
  }
}

TEST_CASE("place: a move to another group is seen") {
  Tree tree;
  tree.put("/proc/self/mountinfo", kV2);
  tree.put("/proc/self/cgroup", "0::/a\n");
  tree.put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  tree.put("/sys/fs/cgroup/b/cpu.max", "150000 100000\n");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  const os::GroupLevel* whose;
  CHECK(os::groups_limit(*g, &whose) == 500);
  CHECK(!os::groups_reread(*g));
  for (const char* to : {"b", "a"}) {
    tree.put("/proc/self/cgroup", std::string("0::/") + to + "\n");
    // A look at all sees it at once.
    CHECK((*to == 'a' ? os::groups_reread(*g, true) : seen_in_a_round(*g)));
    CHECK(os::groups_limit(*g, &whose) == (*to == 'a' ? 500 : 1500));
    CHECK(below(*g, whose) == std::string("/sys/fs/cgroup/") + to);
  }
  os::groups_close(*g);
}

TEST_CASE("place: a period that changes is seen, with its quota or alone") {
  Tree tree;
  std::string group = "/sys/fs/cgroup/cpu/a";
  tree.put("/proc/self/mountinfo",
           "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  tree.put("/proc/self/cgroup", "1:cpu:/a\n");
  tree.put(group + "/cpu.cfs_quota_us", "50000\n");
  tree.put(group + "/cpu.cfs_period_us", "100000\n");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  const os::GroupLevel* whose;
  CHECK(os::groups_limit(*g, &whose) == 500);
  CHECK(!os::groups_reread(*g));
  tree.put(group + "/cpu.cfs_quota_us", "60000\n");
  tree.put(group + "/cpu.cfs_period_us", "200000\n");
  CHECK(os::groups_reread(*g));
  CHECK(os::groups_limit(*g, &whose) == 300);
  tree.put(group + "/cpu.cfs_period_us", "50000\n");
  CHECK(seen_in_a_round(*g));
  CHECK(os::groups_limit(*g, &whose) == 1200);
  os::groups_close(*g);
}

TEST_CASE("place: a tighter limit further up has its turn, the tightest each") {
  Tree tree;
  auto set = [&](const char* group, const char* quota) {
    tree.put(std::string("/sys/fs/cgroup/") + group + "/cpu.max",
             std::string(quota) + " 100000\n");
  };
  tree.put("/proc/self/mountinfo", kV2);
  tree.put("/proc/self/cgroup", "0::/a/b\n");
  set("a/b", "max");
  set("a", "max");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  const os::GroupLevel* whose;
  CHECK(!os::groups_reread(*g));
  set("a", "50000");
  CHECK(seen_in_a_round(*g));
  CHECK(os::groups_limit(*g, &whose) == 500);
  set("a", "70000");
  CHECK(os::groups_reread(*g));
  CHECK(os::groups_limit(*g, &whose) == 700);
  set("a/b", "60000");
  CHECK(os::groups_reread(*g));
  CHECK(os::groups_limit(*g, &whose) == 600);
  set("a", "30000");
  CHECK(os::groups_reread(*g, true));
  CHECK(os::groups_limit(*g, &whose) == 300);
  os::groups_close(*g);
}

TEST_CASE("place: throttling is that of the level that was throttled most") {
  Tree tree;
  tree.put("/proc/self/mountinfo", kV2);
  tree.put("/proc/self/cgroup", "0::/a/b\n");
  tree.put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
  tree.put("/sys/fs/cgroup/a/b/cpu.stat",
           "usage_usec 9\nnr_periods 40\nnr_throttled 0\nthrottled_usec 0\n");
  tree.put("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  tree.put("/sys/fs/cgroup/a/cpu.stat",
           "usage_usec 9\nnr_periods 22\nnr_throttled 21\n"
           "throttled_usec 1000\n");
  tree.put("/sys/fs/cgroup/cpu.stat", "nr_periods 99\nnr_throttled 99\n");
  auto g = std::make_unique<os::CpuGroups>();
  os::groups_open(*g, tree.root());
  os::Throttled n = os::groups_throttled(*g);
  CHECK(n.periods == 22);
  CHECK(n.throttled == 21);
  CHECK(n.ns == 1000000);
  os::groups_close(*g);
}
