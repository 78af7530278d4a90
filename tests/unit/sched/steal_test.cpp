#include "../objects.hpp"

using namespace unit;

namespace {

u64 steals(Runtime* rt) {
  u64 n = 0;
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    n += rt->ps[i]->steals.load();
  }
  return n;
}

}  // namespace

TEST_CASE("steal: work behind a hog goes elsewhere, all of it, once") {
  // Fresh Gs and started ones; the G that made them computes until all others
  // have run, so every one of them was stolen.
  in_owned(config(3), [] {
    static constexpr u32 kGs = 400;
    static Atomic<u32> ran[kGs];
    for (int round = 0; round < 5; ++round) {
      for (auto& r : ran) {
        r.store(0);
      }
      Waitgroup go_on{};
      (void)add(go_on, 1);
      Atomic<u32> done{0}, parked{0};
      for (u32 i = 0; i < kGs / 2; ++i) {
        (void)go([&, i] {
          parked.fetch_add(1);
          (void)wait(go_on);
          ran[i].fetch_add(1);
          done.fetch_add(1);
        });
      }
      until([&] { return parked.load() == kGs / 2; });
      let_run(8);
      for (u32 i = kGs / 2; i < kGs; ++i) {
        (void)go([&, i] {
          ran[i].fetch_add(1);
          done.fetch_add(1);
        });
      }
      (void)add(go_on, -1);
      i64 from = os::now_ns();
      while (done.load() < kGs && os::now_ns() - from < 5 * kSecond) {
        cpu_relax();
      }
      CHECK(done.load() == kGs);
      u32 bad = 0;
      until([&] { return done.load() == kGs; });
      for (auto& r : ran) {
        bad += r.load() != 1;
      }
      CHECK(bad == 0);
      until([] { return live_gs(this_m()->rt) == 1; });
    }
    CHECK(steals(this_m()->rt) > 0);
  });
}

TEST_CASE("steal: a tree of Gs over several Ps, each node once") {
  static Atomic<u64> sum;
  struct Node {
    // fib(n) by Gs: each joins its two children.
    static void run(void* arg) {
      auto n = reinterpret_cast<uintptr_t>(arg);
      if (n < 2) {
        sum.fetch_add(n, relaxed);
        return;
      }
      u64 a = spawn_fn(nullptr, run, reinterpret_cast<void*>(n - 1));
      u64 b = spawn_fn(nullptr, run, reinterpret_cast<void*>(n - 2));
      (void)join(a);
      (void)join(b);
    }
  };
  for (u32 procs : {1u, 2u, 4u}) {
    sum = 0;
    Config c = config(procs);
    c.stack_class = 1;
    static constexpr uintptr_t kN = kScale > 1 ? 14 : 20;
    in_g(c, [] { Node::run(reinterpret_cast<void*>(kN)); });
    CHECK(sum.load() == (kN == 20 ? 6765u : 377u));
  }
}
