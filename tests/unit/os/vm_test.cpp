#include "../unit.hpp"

using namespace unit;

namespace {

// Pages of [p, p + size) that take memory; -1: not all of it is mapped.
int resident(void* p, size_t size) {
  unsigned char map[64];
  size_t pages = size / os::page_size();
  if (pages > sizeof map || mincore(p, size, map) != 0) {
    return -1;
  }
  int n = 0;
  for (size_t i = 0; i < pages; ++i) {
    n += map[i] & 1;
  }
  return n;
}

int mappings() {
  FILE* f = fopen("/proc/self/maps", "re");
  int n = 0;
  for (int c; f && (c = getc(f)) != EOF;) {
    n += c == '\n';
  }
  if (f) {
    fclose(f);
  }
  return n;
}

// Does the mapping of p carry this flag in /proc/self/smaps? -1: not to be read.
int has_flag(void* p, const char* flag) {
  FILE* f = fopen("/proc/self/smaps", "re");
  char line[512];
  bool inside = false;
  int found = -1;
  while (f && fgets(line, sizeof line, f)) {
    unsigned long lo, hi;
    if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2) {
      auto at = reinterpret_cast<unsigned long>(p);
      inside = at >= lo && at < hi;
    } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      found = strstr(line, flag) != nullptr;
    }
  }
  if (f) {
    fclose(f);
  }
  return found;
}

}  // namespace

TEST_CASE("vm: pages") {
  size_t page = os::page_size();
  CHECK(page >= 4096);
  CHECK((page & (page - 1)) == 0);
  CHECK(page == static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

TEST_CASE("vm: reserved memory is zero, aligned, free until touched") {
  size_t page = os::page_size(), size = 16 * page;
  char* p = static_cast<char*>(os::vm_reserve(size));
  REQUIRE(p);
  CHECK(reinterpret_cast<uintptr_t>(p) % page == 0);
  CHECK(resident(p, size) == 0);
  p[3 * page] = 1;
  p[5 * page] = 1;
  CHECK(resident(p, size) == 2);
  CHECK(p[4 * page] == 0);
  os::vm_release(p, size);
  CHECK(resident(p, size) == -1);
}

TEST_CASE("vm: a lot of it costs nothing; too much of it is null") {
  size_t lot = size_t{4} << 30;
  void* p = os::vm_reserve(lot);
  REQUIRE(p);
  os::vm_release(p, lot);
  CHECK(os::vm_reserve(size_t{1} << 60) == nullptr);
}

TEST_CASE("vm: dropped memory is zero again and goes back") {
  size_t page = os::page_size(), size = 8 * page;
  char* p = static_cast<char*>(os::vm_reserve(size));
  REQUIRE(p);
  memset(p, 7, size);
  CHECK(resident(p, size) == 8);
  os::vm_drop(p + 2 * page, 3 * page);
  CHECK(resident(p, size) == 5);
  CHECK(p[2 * page - 1] == 7);
  CHECK(p[2 * page] == 0);
  CHECK(p[5 * page - 1] == 0);
  CHECK(p[5 * page] == 7);
  os::vm_release(p, size);
}

TEST_CASE("vm: a guard traps, its neighbours do not") {
  size_t page = os::page_size(), size = 4 * page;
  char* p = static_cast<char*>(os::vm_reserve(size));
  REQUIRE(p);
  REQUIRE(os::vm_guard(p + page, page, true) >= 0);
  CHECK(os::vm_guard(p + 1, page, true) == -EINVAL);
  if (!guards_work()) {
    os::vm_release(p, size);
    UNIT_SKIP("madvise makes no guards here, though it says so");
  }
  p[page - 1] = 1;
  p[2 * page] = 1;
  for (size_t at : {page, 2 * page - 1}) {
    CHECK(in_child([=] {
            volatile char* x = p + at;
            *x = 1;
          }).died(SIGSEGV));
    CHECK(in_child([=] {
            volatile char* x = p + at;
            (void)*x;
          }).died(SIGSEGV));
  }
  CHECK(in_child([=] {
          volatile char* x = p + page - 1;
          *x = 2;
          x = p + 2 * page;
          *x = 2;
        }).exited(0));
  os::vm_release(p, size);
}

TEST_CASE("vm: guards do not split a mapping where the kernel has better") {
  size_t page = os::page_size(), size = 64 * page;
  char* p = static_cast<char*>(os::vm_reserve(size));
  REQUIRE(p);
  constexpr int kGuardInstall = 102;
  bool light = madvise(p, page, kGuardInstall) == 0;
  int before = mappings();
  for (size_t i = 2; i < 64; i += 2) {
    REQUIRE(os::vm_guard(p + i * page, page, true) >= 0);
  }
  int after = mappings();
  os::vm_release(p, size);
  if (!light) {
    UNIT_SKIP("the kernel has no MADV_GUARD_INSTALL (6.13)");
  }
  CHECK(after == before);
}

TEST_CASE("vm: huge pages on and off") {
  size_t size = size_t{8} << 20;
  char* p = static_cast<char*>(os::vm_reserve(size));
  REQUIRE(p);
  os::vm_huge(p, size, true);
  int on = has_flag(p, " hg");
  os::vm_huge(p, size, false);
  int off = has_flag(p, " hg");
  int never = has_flag(p, " nh");
  os::vm_release(p, size);
  if (on < 0 || never == 0) {
    UNIT_SKIP("no VmFlags in smaps, or a kernel without huge pages");
  }
  CHECK(on == 1);
  CHECK(off == 0);
}
