#include "../objects.hpp"

using namespace unit;

TEST_CASE("chan: a buffer of any size, through its wrap, first in first out") {
  auto body = [] {
    for (u32 capacity = 1; capacity <= 6; ++capacity) {
      Channel c(capacity);
      u64 in = 0, out = 0;
      u32 bad = 0;
      Choice choice{capacity};
      for (u32 step = 0; step < 2000; ++step) {
        if (choice.below(2)) {
          bool room = in - out < capacity;
          bad += send(c, in, kTry) != (room ? 0 : kEAGAIN);
          in += room;
        } else {
          u64 v = ~u64{0};
          bool some = in != out;
          bad += recv(c, &v, kTry) != (some ? 0 : kEAGAIN);
          bad += some && v != out;
          out += some;
        }
        bad += c.c->len.load() != in - out;
      }
      CHECK(bad == 0);
    }
  };
  body();
  in_g(still(), body);
}

TEST_CASE("chan: elements of any size, from none") {
  in_g(still(), [] {
    for (u32 size : {0u, 1u, 2u, 7u, 8u, 9u, 64u, 1000u}) {
      for (u32 capacity : {0u, 1u, 3u}) {
        Channel c(capacity, size);
        u8 in[1000], out[1001];
        u32 bad = 0;
        static constexpr u32 kItems = 20;
        u64 h = go([&] {
          for (u32 i = 0; i < kItems; ++i) {
            memset(in, static_cast<int>(i + 1), size);
            EnterParking e;
            (void)chan_send(e.m, c.c, size ? in : nullptr, kForever);
          }
        });
        for (u32 i = 0; i < kItems; ++i) {
          memset(out, 0xee, sizeof out);
          int rc;
          {
            EnterParking e;
            rc = chan_recv(e.m, c.c, size ? out : nullptr, kForever);
          }
          bad += rc != 0;
          for (u32 k = 0; k < size; ++k) {
            bad += out[k] != i + 1;
          }
          bad += out[size] != 0xee;  // and not a byte more
        }
        (void)join(h);
        CHECK(bad == 0);
      }
    }
  });
}

TEST_CASE("chan: parked receivers get the values in the order they came") {
  for (u32 n : {1u, 2u, 3u, 16u, 64u}) {
    for (u32 capacity : {0u, 2u}) {
      in_g(still(), [=] {
        Channel c(capacity);
        u64 got[64] = {}, h[64];
        for (u32 i = 0; i < n; ++i) {
          h[i] = go([&, i] { (void)recv(c, &got[i]); });
          wait_parked(h[i]);
        }
        for (u32 i = 0; i < n; ++i) {
          int rc = send(c, 100 + i, kTry);  // there is a receiver: no wait
          CHECK(rc == 0);
          CHECK(c.c->len.load() == 0);  // past the buffer
        }
        for (u32 i = 0; i < n; ++i) {
          (void)join(h[i]);
          CHECK(got[i] == 100 + i);
        }
      });
    }
  }
}

TEST_CASE("chan: buffer and parked senders, the oldest value first") {
  for (u32 n : {1u, 2u, 3u, 16u, 64u}) {
    for (u32 capacity : {0u, 1u, 3u}) {
      in_g(still(), [=] {
        Channel c(capacity);
        u64 next = 0, h[64];
        for (; next < capacity; ++next) {
          (void)send(c, next, kTry);
        }
        for (u32 i = 0; i < n; ++i, ++next) {
          h[i] = go([&c, next] { (void)send(c, next); });
          wait_parked(h[i]);
        }
        for (u64 want = 0; want < next; ++want) {
          u64 v = ~u64{0};
          int rc = recv(c, &v, kTry);
          CHECK(rc == 0);
          CHECK(v == want);
        }
        u64 v;
        int rc = recv(c, &v, kTry);
        CHECK(rc == kEAGAIN);
        for (u32 i = 0; i < n; ++i) {
          (void)join(h[i]);
        }
      });
    }
  }
}

TEST_CASE("chan: close wakes every parked receiver") {
  for (u32 n : {1u, 2u, 3u, 7u, 8u, 9u, 64u}) {
    in_g(still(), [=] {
      Channel c(0);
      u32 closed = 0;
      u64 h[64];
      for (u32 i = 0; i < n; ++i) {
        h[i] = go([&] {
          u64 v;
          closed += recv(c, &v) == kECLOSED;
        });
        wait_parked(h[i]);
      }
      int rc = close(c);
      CHECK(rc == 0);
      for (u32 i = 0; i < n; ++i) {
        (void)join(h[i]);
      }
      CHECK(closed == n);
      rc = close(c);
      CHECK(rc == kECLOSED);
      u64 v;
      rc = recv(c, &v, kTry);
      CHECK(rc == kECLOSED);
      rc = send(c, 1, kTry);
      CHECK(rc == kECLOSED);
    });
  }
}

TEST_CASE("chan: close wakes parked senders, whose values are not sent") {
  for (u32 n : {1u, 2u, 8u, 64u}) {
    in_g(still(), [=] {
      Channel c(2);
      (void)send(c, 1);
      (void)send(c, 2);
      u32 closed = 0;
      u64 h[64];
      for (u32 i = 0; i < n; ++i) {
        h[i] = go([&] { closed += send(c, 99) == kECLOSED; });
        wait_parked(h[i]);
      }
      (void)close(c);
      for (u32 i = 0; i < n; ++i) {
        (void)join(h[i]);
      }
      CHECK(closed == n);
      // What was in the buffer is still received, then it is closed.
      u64 v = 0;
      int rc = recv(c, &v);
      CHECK(rc == 0);
      CHECK(v == 1);
      rc = recv(c, &v);
      CHECK(rc == 0);
      CHECK(v == 2);
      rc = recv(c, &v);
      CHECK(rc == kECLOSED);
    });
  }
}

TEST_CASE("chan: what was sent before the close is received, by a try too") {
  Rt rt(1);
  for (u32 round = 0; round < rounds(3000); ++round) {
    Channel c(round % 3 + 1);
    u64 h = go_in(rt.rt, [&] {
      (void)send(c, 7);
      (void)close(c);
    });
    u64 v = 0;
    int rc;
    while ((rc = recv(c, &v, kTry)) == kEAGAIN) {
      cpu_relax();
    }
    CHECK(rc == 0);
    CHECK(v == 7);
    while ((rc = recv(c, &v, kTry)) == kEAGAIN) {
      cpu_relax();
    }
    CHECK(rc == kECLOSED);
    (void)join(h, rt.rt);
  }
}

TEST_CASE("chan: waiters that give up are served no more") {
  in_g(seeded(1), [] {
    Channel c(0);
    u64 got[4] = {}, h[4];
    for (u32 i = 0; i < 4; ++i) {
      h[i] =
          go([&, i] { (void)recv(c, &got[i], i == 2 ? now() + kMs : soon()); });
      wait_parked(h[i]);
    }
    (void)cancel(h[0]);
    (void)join(h[0]);
    (void)join(h[2]);
    (void)send(c, 10, kTry);
    (void)send(c, 11, kTry);
    int rc = send(c, 12, kTry);
    CHECK(rc == kEAGAIN);
    (void)join(h[1]);
    (void)join(h[3]);
    CHECK(got[0] == 0);
    CHECK(got[1] == 10);
    CHECK(got[2] == 0);
    CHECK(got[3] == 11);
    // A sender that gave up takes its value along.
    u64 s = go([&] { (void)send(c, 13, soon()); });
    wait_parked(s);
    (void)cancel(s);
    u64 v;
    rc = recv(c, &v, kTry);  // cancelled, though it has not run
    CHECK(rc == kEAGAIN);
    (void)join(s);
  });
}

TEST_CASE("chan: conservation and order of each producer") {
  struct Shape {
    u32 procs, capacity, producers, consumers;
  };
  for (Shape s : {Shape{1, 0, 1, 1}, Shape{2, 0, 4, 4}, Shape{3, 1, 4, 2},
                  Shape{4, 16, 8, 8}, Shape{2, 128, 1, 6}}) {
    in_g(config(s.procs), [=] {
      static constexpr u32 kItems = rounds(4000);
      Channel c(s.capacity);
      Waitgroup made{}, eaten{};
      (void)add(made, static_cast<i32>(s.producers));
      (void)add(eaten, static_cast<i32>(s.consumers));
      Atomic<u64> count{0}, sum{0}, disorder{0};
      for (u32 p = 0; p < s.producers; ++p) {
        (void)go([&, p] {
          for (u64 i = 1; i <= kItems; ++i) {
            (void)send(c, u64{p} << 32 | i);
          }
          (void)add(made, -1);
        });
      }
      for (u32 k = 0; k < s.consumers; ++k) {
        (void)go([&] {
          u64 last[8] = {}, v;
          while (recv(c, &v) == 0) {
            u64& l = last[v >> 32];
            disorder.fetch_add((v & 0xffffffff) <= l, relaxed);
            l = v & 0xffffffff;
            count.fetch_add(1, relaxed);
            sum.fetch_add(l, relaxed);
          }
          (void)add(eaten, -1);
        });
      }
      (void)wait(made);
      (void)close(c);
      (void)wait(eaten);
      CHECK(count.load() == u64{kItems} * s.producers);
      CHECK(sum.load() == u64{kItems} * (kItems + 1) / 2 * s.producers);
      CHECK(disorder.load() == 0);
    });
  }
}

TEST_CASE("chan: threads of the host at both ends") {
  Rt rt(2);
  Channel c(2), back(0);
  static constexpr u64 kItems = rounds(3000);
  u64 h = go_in(rt.rt, [&] {
    u64 v;
    while (recv(c, &v) == 0) {
      (void)send(back, v * 2);
    }
    (void)close(back);
  });
  u64 sum = 0;
  {
    Thread t([&] {
      for (u64 i = 1; i <= kItems; ++i) {
        (void)send(c, i);
      }
      (void)close(c);
    });
    u64 v;
    while (recv(back, &v) == 0) {
      sum += v;
    }
  }
  CHECK(sum == kItems * (kItems + 1));
  (void)join(h, rt.rt);
}

TEST_CASE("chan: references, and a drop for what is left inside") {
  static u64 dropped, sum;
  static void* with;
  dropped = sum = 0;
  Chan* c = nullptr;
  CHECK(chan_new(sizeof(u64), 4, &c) == 0);
  c->drop = [](void* arg, void* elem) {
    with = arg;
    ++dropped;
    sum += *static_cast<u64*>(elem);
  };
  c->drop_arg = &sum;
  M* none = nullptr;
  for (u64 i = 1; i <= 4; ++i) {
    CHECK(chan_send(none, c, &i, kTry) == 0);
  }
  u64 v;
  CHECK(chan_recv(none, c, &v, kTry) == 0);
  v = 5;
  CHECK(chan_send(none, c, &v, kTry) == 0);  // the buffer has wrapped
  chan_retain(c);
  chan_release(c);
  CHECK(dropped == 0);
  chan_release(c);
  CHECK(dropped == 4);
  CHECK(sum == 2 + 3 + 4 + 5);
  CHECK(with == &sum);
}

TEST_CASE("chan: too large is an answer") {
  Chan* c = nullptr;
  CHECK(chan_new(UINT32_MAX, UINT32_MAX, &c) == kENOMEM);
  CHECK(chan_new(1u << 20, 1u << 31, &c) == kENOMEM);
  CHECK(c == nullptr);
  CHECK(chan_new(0, UINT32_MAX, &c) == 0);  // no element: no memory
  M* none = nullptr;
  for (int i = 0; i < 1000; ++i) {
    CHECK(chan_send(none, c, nullptr, kTry) == 0);
  }
  chan_release(c);
}

TEST_CASE("chan: gone the moment the last receive returns") {
  for (u32 procs : {1u, 3u}) {
    in_g(config(procs), [] {
      for (u32 i = 0; i < rounds(3000); ++i) {
        Chan* c = nullptr;
        (void)chan_new(sizeof(u64), i % 2, &c);
        u64 h = go([=] {
          u64 v = 9;
          EnterParking e;
          (void)chan_send(e.m, c, &v, kForever);
        });
        u64 v = 0;
        {
          EnterParking e;
          (void)chan_recv(e.m, c, &v, kForever);
        }
        chan_release(c);
        CHECK(v == 9);
        (void)join(h);
      }
    });
  }
}

TEST_CASE("chan: the wrap of a buffer that is almost as large as its index") {
  constexpr u32 kMost = UINT32_MAX;
  constexpr size_t kBytes = sizeof(Chan) + size_t{kMost};
  void* p = os::vm_reserve(kBytes);  // what is not touched takes no memory
  if (!p) {
    UNIT_SKIP("no 4 GiB of address space");
  }
  Chan* c = new (p) Chan{};
  c->elem_size = 1;
  c->capacity = kMost;
  c->head = kMost - 3;
  u32 bad = 0;
  u8 in[8], out[8] = {};
  for (u8 i = 0; i < 8; ++i) {
    in[i] = i;
    bad += !chan_put(c, in + i);
  }
  for (u8 i = 0; i < 8; ++i) {
    bad += !chan_get(c, out + i) || out[i] != i;
  }
  CHECK(bad == 0);
  os::vm_release(p, kBytes);
}
