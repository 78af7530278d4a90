#include "../objects.hpp"

using namespace unit;

TEST_CASE("once: the first runs, later ones pass") {
  auto body = [] {
    Once o{};
    bool run = false;
    CHECK(begin(o, &run) == 0);
    CHECK(run);
    bool again = true;
    CHECK(begin(o, &again) == kEDEADLOCK);  // from inside itself
    CHECK_FALSE(again);
    done(o);
    for (int i = 0; i < 3; ++i) {
      CHECK(begin(o, &run) == 0);
      CHECK_FALSE(run);
    }
    CHECK(o.queue.empty());
  };
  body();
  in_g(still(), body);
}

TEST_CASE("once: the others wait until it is done, 1 to 64 of them") {
  for (u32 procs : {1u, 3u}) {
    for (u32 n : {1u, 2u, 5u, 64u}) {
      in_g(config(procs), [=] {
        Once o{};
        u32 made = 0;  // no lock: what the first did is seen by all
        Atomic<u32> ran{0}, wrong{0};
        Waitgroup ended{};
        (void)add(ended, static_cast<i32>(n));
        for (u32 i = 0; i < n; ++i) {
          (void)go([&] {
            bool run = false;
            int rc = begin(o, &run);
            if (run) {
              ran.fetch_add(1);
              (void)yield();
              (void)sleep_ns(1000);
              made = 42;
              done(o);
            }
            wrong.fetch_add(rc != 0 || made != 42);
            (void)add(ended, -1);
          });
        }
        (void)wait(ended);
        CHECK(ran.load() == 1);
        CHECK(wrong.load() == 0);
        CHECK(o.queue.empty());
      });
    }
  }
}

TEST_CASE("once: threads and Gs") {
  for (u32 round = 0; round < rounds(200); ++round) {
    Rt rt(1);
    Once o{};
    u32 made = 0;
    Atomic<u32> ran{0}, wrong{0};
    auto body = [&] {
      bool run = false;
      (void)begin(o, &run);
      if (run) {
        ran.fetch_add(1);
        made = 42;
        done(o);
      }
      wrong.fetch_add(made != 42);
    };
    (void)go_in(rt.rt, body);
    (void)go_in(rt.rt, body);
    { Thread a(body), b(body); }
    until([&] { return live_gs(rt.rt) == 0; });
    CHECK(ran.load() == 1);
    CHECK(wrong.load() == 0);
  }
}
