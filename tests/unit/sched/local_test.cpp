#include "../objects.hpp"

using namespace unit;

namespace {

int set(u32 key, void* value) {
  Enter e;
  return local_set(e.m, key, value);
}
void* get(u32 key) { return local_get(this_m(), key); }

u32 make(void (*drop)(void*)) {
  u32 key = UINT32_MAX;
  REQUIRE(local_new(drop, &key) == 0);
  return key;
}

}  // namespace

TEST_CASE("local: a value per G and key, through parks") {
  u32 a = make(nullptr), b = make(nullptr);
  CHECK(a != b);
  CHECK(get(a) == nullptr);  // outside any G
  for (u32 procs : {1u, 3u}) {
    in_g(config(procs), [=] {
      static constexpr u32 kGs = 20;
      Waitgroup ended{};
      (void)add(ended, kGs);
      static u32 words[kGs];
      Atomic<u32> wrong{0};
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&, i] {
          wrong.fetch_add(get(a) != nullptr || get(b) != nullptr);
          wrong.fetch_add(set(b, &words[i]) != 0);
          wrong.fetch_add(get(a) != nullptr);
          for (u32 k = 0; k < 20; ++k) {
            wrong.fetch_add(set(a, &words[(i + k) % kGs]) != 0);
            (void)(k % 3 ? yield() : sleep_ns(1000));
            wrong.fetch_add(get(a) != &words[(i + k) % kGs]);
            wrong.fetch_add(get(b) != &words[i]);
          }
          (void)add(ended, -1);
        });
      }
      (void)wait(ended);
      CHECK(wrong.load() == 0);
    });
  }
}

TEST_CASE("local: drops at the end, for what is set then, and a few rounds") {
  static u32 drops, key, other;
  static void* last;
  drops = 0;
  other = make([](void*) { ++drops; });
  key = make([](void* value) {
    ++drops;
    last = value;
    (void)yield();  // guest code: may park
    if (drops < 3) {
      (void)set(other, &drops);  // another value appears while dropping
    }
  });
  u32 silent = make(nullptr);
  in_g(still(), [=] {
    static int x, y;
    u64 h = go([&] {
      (void)set(key, &x);
      (void)set(key, &y);  // the former value is not dropped
      (void)set(silent, &x);
    });
    (void)join(h);
    CHECK(drops == 2);
    CHECK(last == &y);
    h = go([&] {
      (void)set(key, &x);
      (void)set(key, nullptr);  // taken back
    });
    (void)join(h);
    CHECK(drops == 2);
  });
}

TEST_CASE("local: a drop that sets itself again is given up") {
  static u32 drops, key;
  drops = 0;
  key = make([](void* value) {
    ++drops;
    (void)set(key, value);
  });
  in_g(still(), [] {
    u64 h = go([] { (void)set(key, &drops); });
    (void)join(h);
  });
  CHECK(drops == 4);
}

TEST_CASE("local: nonsense, and no more keys") {
  Child c = in_child([] {
    Rt rt(still());
    u32 mine = 0;
    int made = local_new(nullptr, &mine);
    int unknown = 0;
    (void)rt.run([&] { unknown = set(mine + 1, &mine); });
    u32 last = mine, n = 0;
    int err;
    while ((err = local_new(nullptr, &last)) == 0 && n < 5000) {
      ++n;
    }
    int set_last = 0;
    void* got = nullptr;
    (void)rt.run([&] {
      set_last = set(last, &last);
      got = get(last);
    });
    _exit(made == 0 && unknown == kEINVAL && err == kENOMEM && n > 500 &&
                  set_last == 0 && got == &last
              ? 0
              : 1);
  });
  CHECK_CHILD(c.exited(0), c);
}
