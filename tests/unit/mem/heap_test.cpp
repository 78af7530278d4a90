#include "../unit.hpp"
#include "mem/heap.hpp"

using namespace unit;

namespace {

bool aligned(const void* p, size_t to) {
  return p && reinterpret_cast<uintptr_t>(p) % to == 0;
}

bool all_zero(const void* p, size_t n) {
  const char* c = static_cast<const char*>(p);
  for (size_t i = 0; i < n; ++i) {
    if (c[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("heap: every size is aligned to 16 and writable") {
  constexpr size_t kMost = 2048;
  static char* p[kMost];
  u32 bad = 0;
  for (size_t n = 0; n < kMost; ++n) {
    p[n] = static_cast<char*>(mem::alloc(n));
    bad += !aligned(p[n], 16);
    memset(p[n], static_cast<int>(n & 127), n);
  }
  for (size_t n = 0; n < kMost; ++n) {  // none shares memory with another
    for (size_t i = 0; i < n; i += 61) {
      bad += p[n][i] != static_cast<char>(n & 127);
    }
    mem::free(p[n]);
  }
  for (size_t n : {size_t{1} << 16, size_t{1} << 20, size_t{9} << 20}) {
    char* big = static_cast<char*>(mem::alloc(n));
    bad += !aligned(big, 16);
    big[0] = big[n - 1] = 1;
    mem::free(big);
  }
  CHECK(bad == 0);
}

TEST_CASE("heap: zalloc is zero, also where memory was used before") {
  u32 bad = 0;
  for (size_t n : {1, 8, 24, 100, 1000, 4096, 70'000}) {
    for (int round = 0; round < 20; ++round) {
      void* dirty = mem::alloc(n);
      memset(dirty, 0xab, n);
      mem::free(dirty);
      void* p = mem::zalloc(1, n);
      bad += !aligned(p, 16) || !all_zero(p, n);
      memset(p, 0xcd, n);
      mem::free(p);
    }
  }
  void* none = mem::zalloc(0, 16);
  void* none_either = mem::zalloc(16, 0);
  CHECK(none);
  CHECK(none_either);
  mem::free(none);
  mem::free(none_either);
  CHECK(bad == 0);
}

TEST_CASE("heap: a product that overflows is null") {
  struct Row {
    size_t count, size;
  };
  for (Row r :
       {Row{SIZE_MAX, 2}, Row{2, SIZE_MAX}, Row{SIZE_MAX / 2, 3},
        Row{size_t{1} << 33, size_t{1} << 33}, Row{SIZE_MAX, SIZE_MAX}}) {
    errno = 4711;
    void* p = mem::zalloc(r.count, r.size);
    int after = errno;
    CHECK(p == nullptr);
    CHECK(after == 4711);
  }
}

TEST_CASE("heap: more than there is, is null, errno as it was") {
  // mimalloc may say so on stderr.
  Child c = in_child([] {
    errno = 4711;
    bool null = !mem::alloc(size_t{1} << 60);
    null &= !mem::zalloc(1, size_t{1} << 60);
    null &= !mem::alloc_aligned(size_t{1} << 60, 64);
    void* p = mem::alloc(100);
    null &= !mem::realloc(p, size_t{1} << 60);
    memset(p, 1, 100);  // a realloc that fails leaves the block
    mem::free(p);
    _exit(null ? (errno == 4711 ? 0 : 2) : 1);
  });
  CHECK_CHILD(c.exited(0), c);
}

TEST_CASE("heap: aligned blocks, zero") {
  u32 bad = 0;
  for (size_t align : {16, 64, 128, 256, 4096}) {
    for (size_t n : {size_t{64}, size_t{192}, size_t{4096}, size_t{100'032}}) {
      void* dirty = mem::alloc(n);
      memset(dirty, 0xab, n);
      mem::free(dirty);
      errno = 4711;
      void* p = mem::alloc_aligned(n, align);
      bad += errno != 4711;
      bad += !aligned(p, align) || !all_zero(p, n);
      memset(p, 0xcd, n);
      mem::free(p);
    }
  }
  CHECK(bad == 0);
}

TEST_CASE("heap: realloc keeps the contents") {
  u32 bad = 0;
  char* p = static_cast<char*>(mem::realloc(nullptr, 1));
  REQUIRE(p);
  p[0] = 0;
  for (size_t n = 2; n < 20'000; n += n / 3 + 1) {
    size_t old = n;
    p = static_cast<char*>(mem::realloc(p, n));
    bad += !aligned(p, 16);
    for (size_t i = 0; i < n; ++i) {
      p[i] = static_cast<char>(i * 7);
    }
    p = static_cast<char*>(mem::realloc(p, n + 100));
    for (size_t i = 0; i < old; ++i) {
      bad += p[i] != static_cast<char>(i * 7);
    }
  }
  p = static_cast<char*>(mem::realloc(p, 10));
  for (size_t i = 0; i < 10; ++i) {
    bad += p[i] != static_cast<char>(i * 7);
  }
  p = static_cast<char*>(mem::realloc(p, 0));
  CHECK(p);
  mem::free(p);
  CHECK(bad == 0);
}

TEST_CASE("heap: free of null, and on another thread; errno as it was") {
  mem::free(nullptr);
  constexpr int kBlocks = 1000;
  static void* p[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    p[i] = mem::alloc(static_cast<size_t>(i) * 3 + 1);
  }
  int after = 0;
  {
    Thread t([&] {
      errno = 4711;
      for (void* b : p) {
        mem::free(b);
      }
      after = errno;
    });
  }
  CHECK(after == 4711);
  errno = 4711;
  void* big = mem::alloc(size_t{64} << 20);  // goes back to the OS at once
  mem::free(big);
  CHECK(errno == 4711);
}

TEST_CASE("heap: make") {
  struct Pair {
    u64 a, b;
  };
  Pair* p = mem::make<Pair>();
  REQUIRE(p);
  CHECK(p->a == 0);
  CHECK(p->b == 0);
  mem::free(p);
}

TEST_CASE("what a heap is told to serve it counts") {
  mem::Heap h{};
  mem::heap_begin(h);
  u64 bytes = 0;
  for (size_t n = 0; n < 3000; ++n) {
    void* p = mem::alloc(n, &h);
    REQUIRE(mem::usable(p) >= n);
    bytes += mem::usable(p);
    REQUIRE(h.tally.alloc_bytes.load(relaxed) == bytes);
    mem::free(p, &h);
    REQUIRE(h.tally.free_bytes.load(relaxed) == bytes);
  }
  CHECK(h.tally.allocs.load(relaxed) == 3000);
  CHECK(h.tally.frees.load(relaxed) == 3000);
  CHECK(h.tally.cross_frees.load(relaxed) == 0);

  void* p = mem::zalloc(3, 7, &h);
  p = mem::realloc(p, 5000, &h);
  CHECK(!mem::realloc(p, size_t{1} << 60, &h));  // nothing happened
  CHECK(h.tally.allocs.load(relaxed) == 3002);
  CHECK(h.tally.frees.load(relaxed) == 3001);
  mem::free(p, &h);
  mem::free(nullptr, &h);
  CHECK(h.tally.frees.load(relaxed) == 3002);
  CHECK(h.tally.alloc_bytes.load(relaxed) == h.tally.free_bytes.load(relaxed));

  mem::Tally sum{}, seen{};
  sum.add(h.tally, seen);
  sum.add(h.tally, seen);  // told already
  CHECK(sum.allocs.load(relaxed) == 3002);
  mem::collect();
  mem::heap_end(h);
}
