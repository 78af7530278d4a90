#include "../unit.hpp"
#include "mem/heap.hpp"
#include "mem/stack.hpp"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

using namespace unit;
using mem::kStackClasses;
using mem::kStackSizes;
using mem::Stack;
using mem::stack_class;

namespace {

constexpr size_t kBody = 192;
constexpr mem::Source kSource{};

struct Arenas : mem::Arenas {
  explicit Arenas(bool narrow = false) { init(&kSource, kBody, narrow); }
  ~Arenas() { release_all(); }
  bool take(u32 size_class, Stack& out) {
    mem::Slot slot;
    bool got = mem::Arenas::take(size_class, &slot, 1) == 1;
    out = slot.stack;
    return got;
  }
  using mem::Arenas::take;
};

uintptr_t at(const void* p) { return reinterpret_cast<uintptr_t>(p); }

}  // namespace

TEST_CASE("stack: the smallest class that holds the size") {
  for (u32 c = 0; c < kStackClasses; ++c) {
    size_t below = c ? kStackSizes[c - 1] : 0;
    CHECK(kStackSizes[c] > below);
    CHECK(stack_class(below + 1) == c);
    CHECK(stack_class(kStackSizes[c] - 1) == c);
    CHECK(stack_class(kStackSizes[c]) == c);
  }
  CHECK(stack_class(0) == 0);
  CHECK(stack_class(kStackSizes[kStackClasses - 1] + 1) == kStackClasses);
  CHECK(stack_class(SIZE_MAX) == kStackClasses);
}

TEST_CASE("stack: as large as the class, but for its colour; aligned") {
  size_t page = os::page_size();
  Arenas arenas;
  for (u32 c = 0; c < kStackClasses; ++c) {
    for (int i = 0; i < 20; ++i) {
      Stack s;
      REQUIRE(arenas.take(c, s));
      CHECK(s.size_class == c);
      CHECK(+s.guarded);
      CHECK(at(s.lo()) % page == 0);
      CHECK(at(s.hi) % kCacheLine == 0);
      auto size = static_cast<size_t>(s.hi - s.lo());
      CHECK(size <= kStackSizes[c]);
      CHECK(size > kStackSizes[c] - 1024 - kCacheLine);
    }
  }
}

TEST_CASE("stack: many, none overlaps, arenas grow") {
  constexpr u32 kMany = 1000;
  static Stack s[kMany];
  Arenas arenas;
  size_t page = os::page_size();
  for (Stack& x : s) {
    REQUIRE(arenas.take(0, x));
    x.lo()[0] = 1;  // the two ends are there
    x.hi[-1] = 1;
  }
  u32 bad = 0;
  for (u32 i = 0; i < kMany; ++i) {
    for (u32 j = 0; j < i; ++j) {
      // Not even their guards.
      bad += s[i].lo() - page < s[j].hi && s[j].lo() - page < s[i].hi;
    }
  }
  CHECK(bad == 0);
}

TEST_CASE("stack: strides are no power of two, tops are coloured") {
  Arenas arenas;
  size_t page = os::page_size();
  for (u32 c : {0u, 2u}) {
    constexpr u32 kRun = 16;  // the first arena
    Stack s[kRun];
    for (Stack& x : s) {
      REQUIRE(arenas.take(c, x));
    }
    size_t stride = static_cast<size_t>(s[1].lo() - s[0].lo());
    CHECK(stride % page == 0);
    CHECK(stride / page % 2 == 1);
    CHECK(stride > kStackSizes[c]);
    CHECK(stride >= kStackSizes[c] + mem::kGuardWide);
    CHECK(stride <= kStackSizes[c] + mem::kGuardWide + 3 * page);
    // No two of 16 stacks begin in the same cache line of a page: their first
    // frames do not fight for one cache set.
    u64 lines = 0;
    for (u32 i = 0; i < kRun; ++i) {
      CHECK(s[i].lo() == s[0].lo() + i * stride);
      u64 line = (at(s[i].hi) - 1) % page / kCacheLine;
      CHECK((lines >> line & 1) == 0);
      lines |= u64{1} << line;
    }
  }
}

TEST_CASE("stack: found by any address, also of its guard") {
  for (bool narrow : {false, true}) {
    Arenas arenas(narrow);
    for (u32 c = 0; c < kStackClasses; ++c) {
      size_t guard = narrow ? os::page_size() : mem::kGuardWide;
      for (int i = 0; i < 40; ++i) {  // in more than one arena
        mem::Slot s;
        REQUIRE(arenas.take(c, &s, 1) == 1);
        for (const char* x : {s.stack.lo() - guard, s.stack.lo() - 1,
                              s.stack.lo(), s.stack.end() - 1}) {
          void* body = nullptr;
          bool in_guard = false;
          CHECK(arenas.find(x, body, in_guard));
          CHECK(body == s.body);
          CHECK(in_guard == (x < s.stack.lo()));
        }
      }
    }
    void* body;
    bool in_guard;
    CHECK(!arenas.find(reinterpret_cast<char*>(&body), body, in_guard));
    CHECK(!arenas.find(nullptr, body, in_guard));
  }
}

TEST_CASE("stack: a gap that was written is seen") {
  alignas(u64) static char memory[4096];
  Stack s;
  char* lo = memory + sizeof memory / 2;
  s.bytes = sizeof memory / 2;
  s.hi = lo + s.bytes;
  CHECK(mem::stack_whole(s));
  lo[0] = 1;  // its own
  CHECK(mem::stack_whole(s));
  lo[-1] = 1;
  CHECK(!mem::stack_whole(s));
  lo[-1] = 0;
  lo[-512] = 1;
  CHECK(!mem::stack_whole(s));
}

TEST_CASE("stack: handed out untouched") {
  Arenas arenas;
  Stack s;
  size_t page = os::page_size();
  for (int i = 0; i < 5; ++i) {
    REQUIRE(arenas.take(2, s));
    unsigned char map[128] = {};
    auto pages = (at(s.hi) + page - 1) / page - at(s.lo()) / page;
    REQUIRE(pages <= sizeof map);
    REQUIRE(mincore(s.lo(), pages * page, map) == 0);
    u32 resident = 0;
    for (size_t k = 0; k < pages; ++k) {
      resident += map[k] & 1;
    }
    CHECK(resident == 0);
  }
}

namespace {

u32 resident(const Stack& s) {
  size_t page = os::page_size();
  char* lowest;
  char* top = s.end() - 1 - (at(s.end()) - 1) % page;
  return os::vm_resident(top, page, &lowest) ? 1 : 0;
}

}  // namespace

TEST_CASE("stack: vacant slots come back, the lowest first") {
  Arenas arenas;
  constexpr u32 kMany = 200;
  static mem::Slot s[kMany], again[kMany];
  for (mem::Slot& x : s) {
    REQUIRE(arenas.take(0, &x, 1) == 1);
  }
  Choice c{7};
  for (u32 i = kMany; i-- > 1;) {  // in any order
    mem::Slot t = s[i];
    u32 j = c.below(i + 1);
    s[i] = s[j];
    s[j] = t;
  }
  arenas.give(s, kMany / 2);
  CHECK(arenas.counts(0).vacant == kMany / 2);
  u32 n = arenas.take(0, again, kMany);
  CHECK(n == kMany / 2);  // vacant ones only
  for (u32 i = 1; i < n; ++i) {
    bool rises = again[i].stack.arena > again[i - 1].stack.arena ||
                 (again[i].stack.arena == again[i - 1].stack.arena &&
                  again[i].body > again[i - 1].body);
    CHECK(rises);
  }
  CHECK(arenas.counts(0).vacant == 0);
  CHECK(arenas.counts(0).cut == kMany);
  CHECK(arenas.take(0, again, 5) == 1);  // a new one
  CHECK(arenas.counts(0).cut == kMany + 1);
}

TEST_CASE("stack: vacant ones give their pages back, guards stay") {
#if defined(THRUM_ASAN)
  UNIT_SKIP("ASan's shadow makes pages");
#endif
  Arenas arenas;
  constexpr u32 kMany = 100;
  static mem::Slot s[kMany];
  for (mem::Slot& x : s) {
    REQUIRE(arenas.take(0, &x, 1) == 1);
    memset(x.body, 1, kBody);
    x.stack.hi[-1] = 1;
  }
  arenas.give(s, kMany - 10);
  CHECK(arenas.counts(0).warm == kMany - 10);
  CHECK(arenas.trim(false, UINT32_MAX, nullptr));  // a first look: none is old
  CHECK(arenas.counts(0).warm == kMany - 10);
  mem::Slot taken[4];
  REQUIRE(arenas.take(0, taken, 4) == 4);  // and given back: young again
  arenas.give(taken, 4);
  CHECK(arenas.trim(false, UINT32_MAX, nullptr));
  CHECK(arenas.counts(0).warm == 4);
  CHECK(!arenas.trim(true, UINT32_MAX, nullptr));
  CHECK(arenas.counts(0).warm == 0);
  CHECK(arenas.counts(0).vacant == kMany - 10);
  for (u32 i = 0; i < kMany; ++i) {
    CHECK(resident(s[i].stack) == (i >= kMany - 10));
  }
  for (u32 i = kMany - 10; i < kMany; ++i) {
    CHECK(s[i].stack.hi[-1] == 1);
  }
  if (guards_work()) {
    CHECK(in_child([=] {
            volatile char* p = s[0].stack.lo() - 1;
            *p = 1;
          }).died(SIGSEGV));
  }
}

TEST_CASE("stack: a trim ends early when it is told to") {
  Arenas arenas;
  constexpr u32 kMany = 400;
  static mem::Slot s[kMany];
  for (mem::Slot& x : s) {
    REQUIRE(arenas.take(0, &x, 1) == 1);
  }
  arenas.give(s, kMany);
  Atomic<u32> stop{1};
  CHECK(arenas.trim(true, UINT32_MAX, &stop));
  CHECK(arenas.counts(0).warm == kMany);
  CHECK(arenas.trim(true, 64, nullptr));
  u64 warm = arenas.counts(0).warm;
  CHECK((warm < kMany && warm >= kMany - 128));
  CHECK(!arenas.trim(true, UINT32_MAX, nullptr));
  CHECK(arenas.counts(0).warm == 0);
}

TEST_CASE("stack: overflow meets the guard") {
  Arenas arenas;
  Stack below, s;
  if (!guards_work()) {
    UNIT_SKIP("madvise makes no guards here, though it says so");
  }
  REQUIRE(arenas.take(1, below));
  REQUIRE(arenas.take(1, s));
  CHECK(in_child([=] {
          volatile char* p = s.lo();
          *p = 1;
          p[-1] = 1;
        }).died(SIGSEGV));
  CHECK(in_child([=] {
          volatile char* p = s.lo() - mem::kGuardWide;
          *p = 1;
        }).died(SIGSEGV));
  CHECK(in_child([=] {
          volatile char* p = s.lo();
          *p = 1;
          p = s.hi - 1;
          *p = 1;
          p = below.hi - 1;
          *p = 1;
        }).exited(0));
}

TEST_CASE("stack: an overflow of a running G meets the guard") {
#if defined(THRUM_ASAN)
  UNIT_SKIP("ASan's frames are its own: see arch/sanitize_test");
#endif
  Child c = in_child([] {
    Rt rt(1);
    (void)rt.run([] {
      // Touches every page downwards, as deep recursion does.
      volatile char* p = static_cast<char*>(__builtin_frame_address(0));
      for (u32 i = 0; i < 1000; ++i, p -= 1024) {
        *p = 1;
      }
    });
  });
  CHECK_CHILD(c.died(SIGSEGV), c);
}

TEST_CASE("stack: no address space is an answer") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizers need the address space");
#endif
  Child c = in_child([] {
    if (!limits_work()) {
      _exit(kNoLimits);
    }
    mem::free(mem::zalloc(1, 64));  // the allocator has what it starts with
    size_t limit = address_space() + (size_t{1} << 30);
    rlimit tight{limit, limit};
    setrlimit(RLIMIT_AS, &tight);
    Arenas arenas;
    Stack s;
    u32 n = 0;
    while (n < 10'000 && arenas.take(4, s)) {
      ++n;
    }
    bool again = arenas.take(4, s);
    bool small = arenas.take(0, s);  // there is room for a small one still
    arenas.release_all();
    bool back = arenas.take(4, s);
    _exit(n > 0 && n < 200 && !again && small && back ? 0 : 1);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no limit on address space here");
  }
  CHECK_CHILD(c.exited(0), c);
}

TEST_CASE("stack: released arenas are gone, and may begin anew") {
  Arenas arenas;
  Stack s;
  for (int round = 0; round < 3; ++round) {
    for (u32 i = 0; i < 100; ++i) {
      REQUIRE(arenas.take(i % 3, s));
      s.hi[-1] = 1;
    }
    char* last = s.lo();
    arenas.release_all();
    unsigned char map;
    CHECK(mincore(last, os::page_size(), &map) == -1);
  }
}

namespace {

// As a kernel before 6.13 does: no guards by madvise.
bool refuse_madvise_guards() {
  constexpr u32 kGuardInstall = 102;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kGuardInstall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof code / sizeof *code, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

TEST_CASE("stack: guards by mprotect below a budget, then none") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizers need the mappings");
#endif
  u32 budget = os::map_limit() / 4;
  if (budget > 1u << 17) {
    UNIT_SKIP("so many mappings are allowed that it would take long");
  }
  Child c = in_child([=] {
    if (!refuse_madvise_guards()) {
      _exit(kNoLimits);
    }
    Arenas arenas(true);
    Stack s{}, first{};
    u32 guarded = 0, wrong = 0;
    for (u32 i = 0; i < budget + 100; ++i) {
      if (!arenas.take(0, s)) {
        _exit(2);
      }
      first = i ? first : s;
      guarded += s.guarded;
      wrong += s.guarded != (i < budget);
    }
    if (wrong || guarded != budget || arenas.counts(0).split != budget) {
      printf("%u guarded of %u, %u wrong\n", guarded, budget, wrong);
      fflush(stdout);
      _exit(3);
    }
    // One without a guard has a gap, which nobody has written yet.
    if (!mem::stack_whole(s)) {
      _exit(4);
    }
    s.lo()[-1] = 1;
    if (mem::stack_whole(s)) {
      _exit(5);
    }
    volatile char* below = first.lo() - 1;
    *below = 1;
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no seccomp filter here");
  }
  CHECK_CHILD(c.died(SIGSEGV), c);
}
