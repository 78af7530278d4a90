#include "../objects.hpp"

using namespace unit;

namespace {

SelectCase send_arm(Channel& c, u64* v) { return {c.c, v, kSend, 0}; }
SelectCase recv_arm(Channel& c, u64* v) { return {c.c, v, kRecv, 0}; }

// The 99.99 % quantile of chi-square with n - 1 degrees, n = 2 to 8.
constexpr double kChi[] = {0,     0,     15.14, 18.42, 21.11,
                           23.51, 25.74, 27.86, 29.88};

double chi(const u32* count, u32 n) {
  double total = 0, sum = 0;
  for (u32 i = 0; i < n; ++i) {
    total += count[i];
  }
  for (u32 i = 0; i < n; ++i) {
    double d = count[i] - total / n;
    sum += d * d * n / total;
  }
  return sum;
}

}  // namespace

TEST_CASE("select: uniform among the ready arms") {
  struct Kind {
    Config config;
  };
  for (Kind k : {Kind{still()}, Kind{seeded(11)}}) {
    in_g(k.config, [] {
      for (u32 n = 2; n <= 8; ++n) {
        Channel c[8] = {Channel(1), Channel(1), Channel(1), Channel(1),
                        Channel(1), Channel(1), Channel(1), Channel(1)};
        u64 v = 0;
        u32 count[8] = {};
        SelectCase arms[8];
        for (u32 round = 0; round < 10'000; ++round) {
          for (u32 i = 0; i < n; ++i) {
            // Receiving from a full one, sending to an empty one.
            if (c[i].c->len.load() == 0 && i % 2 == 0) {
              (void)send(c[i], i);
            } else if (c[i].c->len.load() == 1 && i % 2 == 1) {
              (void)recv(c[i], &v);
            }
            arms[i] = i % 2 ? send_arm(c[i], &v) : recv_arm(c[i], &v);
          }
          int won = choose(arms, n);
          ++count[won];
        }
        CHECK(chi(count, n) < kChi[n]);
      }
    });
  }
  // On a thread of the host the seed is the clock: a coarse look only.
  Channel a(1), b(1);
  (void)send(a, 1);
  (void)send(b, 1);
  u32 count[2] = {};
  for (u32 i = 0; i < 2000; ++i) {
    u64 v = 0;
    SelectCase arms[] = {recv_arm(a, &v), recv_arm(b, &v)};
    int won = choose(arms, 2);
    ++count[won];
    (void)send(won ? b : a, 1);
  }
  CHECK(count[0] > 500);
  CHECK(count[1] > 500);
}

TEST_CASE("select: skips arms that are not ready, and null ones") {
  in_g(still(), [] {
    Channel a(1), b(1), d(1);
    u64 v = 0, out = 5;
    (void)send(b, 42);
    for (int i = 0; i < 50; ++i) {
      SelectCase arms[] = {recv_arm(a, &v),
                           {nullptr, &v, kRecv, 0},
                           recv_arm(b, &v),
                           {nullptr, &out, kSend, 0}};
      int won = choose(arms, 4);
      CHECK(won == 2);
      CHECK(arms[2].result == 0);
      CHECK(v == 42);
      (void)send(b, 42);
    }
    SelectCase none[] = {recv_arm(a, &v), recv_arm(d, &v)};
    int rc = choose(none, 2, kTry);
    CHECK(rc == kEAGAIN);
    rc = choose(none, 2, now() + 1000);
    CHECK(rc == kETIMEDOUT);
    SelectCase dead[] = {{nullptr, &v, kRecv, 0}, {nullptr, &v, kSend, 0}};
    rc = choose(dead, 2);
    CHECK(rc == kEDEADLOCK);
    rc = choose(dead, 0);
    CHECK(rc == kEDEADLOCK);
    rc = choose(dead, 2, kTry);
    CHECK(rc == kEAGAIN);
    rc = choose(dead, 2, now() + 1000);
    CHECK(rc == kETIMEDOUT);
    (void)recv(b, &v);
  });
}

TEST_CASE("select: a closed channel is ready; its arm says so") {
  in_g(still(), [] {
    Channel a(1), b(0);
    u64 v = 0, out = 1;
    (void)send(a, 3);
    (void)close(a);
    SelectCase arms[] = {recv_arm(a, &v), recv_arm(b, &v)};
    int won = choose(arms, 2);
    CHECK(won == 0);
    CHECK(arms[0].result == 0);
    CHECK(v == 3);
    won = choose(arms, 2);
    CHECK(won == 0);
    CHECK(arms[0].result == kECLOSED);
    SelectCase sends[] = {send_arm(a, &out), send_arm(b, &out)};
    won = choose(sends, 2);
    CHECK(won == 0);
    CHECK(sends[0].result == kECLOSED);
    // Closed while it waits.
    Channel c(0), d(0);
    int got = -1, result = -1;
    u64 h = go([&] {
      u64 x, y = 2;
      SelectCase waits[] = {recv_arm(c, &x), send_arm(d, &y)};
      got = choose(waits, 2);
      result = waits[1].result;
    });
    wait_parked(h);
    (void)close(d);
    (void)join(h);
    CHECK(got == 1);
    CHECK(result == kECLOSED);
  });
}

TEST_CASE("select: the losing nodes are gone, however it ended") {
  // With few arms and with many: the nodes live in different places.
  for (u32 n : {2u, 3u, 8u, 9u, 16u, 100u}) {
    in_g(still(), [=] {
      Chan* c[100];
      for (u32 i = 0; i < n; ++i) {
        (void)chan_new(sizeof(u64), 0, &c[i]);
      }
      auto quiet = [&] {
        u32 bad = 0;
        for (u32 i = 0; i < n; ++i) {
          bad += !c[i]->recvq.empty() || !c[i]->sendq.empty();
          bad += c[i]->lock.word.load() != 0;
        }
        return bad == 0;
      };
      for (u32 round = 0; round < 3 * n; ++round) {
        int won = -1;
        u64 in = 0, out = 1000;
        u64 h = go([&] {
          SelectCase arms[100];
          for (u32 i = 0; i < n; ++i) {
            arms[i] = i % 2 ? SelectCase{c[i], &in, kRecv, 0}
                            : SelectCase{c[i], &out, kSend, 0};
          }
          won = choose(arms, n, round % 3 == 2 ? now() + 1000 : kForever);
        });
        if (round % 3 == 0) {  // a peer
          wait_parked(h);
          u32 at = round / 3;
          u64 v = 7;
          int rc;
          {
            EnterParking e(kTry);
            rc = at % 2 ? chan_send(e.m, c[at], &v, kTry)
                        : chan_recv(e.m, c[at], &v, kTry);
          }
          CHECK(rc == 0);
          (void)join(h);
          CHECK(won == static_cast<int>(at));
          CHECK((at % 2 ? in == 7 : v == 1000));
        } else if (round % 3 == 1) {  // a cancel
          wait_parked(h);
          (void)cancel(h);
          (void)join(h);
          CHECK(won == kECANCELED);
        } else {
          (void)join(h);
          CHECK(won == kETIMEDOUT);
        }
        CHECK(quiet());
      }
      for (u32 i = 0; i < n; ++i) {
        chan_release(c[i]);
      }
    });
  }
}

TEST_CASE("select: the same channel in several arms") {
  in_g(still(), [] {
    Channel c(0);
    u64 in = 0, out = 9;
    int won = -1;
    // Its own send and receive must not meet.
    u64 h = go([&] {
      SelectCase arms[] = {send_arm(c, &out), recv_arm(c, &in),
                           send_arm(c, &out), recv_arm(c, &in)};
      won = choose(arms, 4);
    });
    wait_parked(h);
    let_run();
    CHECK(is_parked(this_m()->rt, h));
    u64 v = 0;
    int rc = recv(c, &v, kTry);
    CHECK(rc == 0);
    CHECK(v == 9);
    (void)join(h);
    CHECK((won == 0 || won == 2));
    h = go([&] {
      SelectCase arms[] = {send_arm(c, &out), recv_arm(c, &in)};
      won = choose(arms, 2);
    });
    wait_parked(h);
    rc = send(c, 77, kTry);
    CHECK(rc == 0);
    (void)join(h);
    CHECK(won == 1);
    CHECK(in == 77);
  });
}

TEST_CASE("select: exactly one of two peers wins, the other goes on waiting") {
  in_g(still(), [] {
    Channel a(0), b(0);
    for (u32 round = 0; round < 200; ++round) {
      u64 x = 0, y = 0;
      int won = -1;
      u64 h = go([&] {
        SelectCase arms[] = {recv_arm(a, &x), recv_arm(b, &y)};
        won = choose(arms, 2);
      });
      wait_parked(h);
      // Both come before the select runs again.
      int first = send(a, 1, kTry), second = send(b, 2, kTry);
      CHECK(first == 0);
      CHECK(second == kEAGAIN);
      (void)join(h);
      CHECK(won == 0);
      CHECK(x == 1);
      CHECK(y == 0);
    }
  });
}

TEST_CASE(
    "select: values are conserved, selects on both sides, any lock order") {
  for (u32 procs : {1u, 2u, 4u}) {
    in_g(config(procs), [] {
      static constexpr u32 kGs = 8, kTimes = rounds(3000);
      Channel a(0), b(1), c(0);
      Channel* all[] = {&a, &b, &c};
      Atomic<u64> sent{0}, received{0}, sent_sum{0}, received_sum{0};
      Atomic<u32> odd{0};
      Waitgroup ended{};
      (void)add(ended, kGs);
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&, i] {
          Choice choice{i};
          for (u32 k = 0; k < kTimes; ++k) {
            u64 out = choice.below(1000), in = 0;
            u32 p = choice.below(3), q = choice.below(3);
            SelectCase arms[] = {send_arm(*all[p], &out),
                                 recv_arm(*all[q], &in),
                                 recv_arm(*all[p], &in)};
            int won = choose(arms, 3, now() + 50'000);
            if (won == 0) {
              sent.fetch_add(1);
              sent_sum.fetch_add(out);
            } else if (won == 1 || won == 2) {
              received.fetch_add(1);
              received_sum.fetch_add(in);
            } else {
              odd.fetch_add(won != kETIMEDOUT);
            }
          }
          (void)add(ended, -1);
        });
      }
      (void)wait(ended);
      u64 v;
      while (recv(b, &v, kTry) == 0) {
        received.fetch_add(1);
        received_sum.fetch_add(v);
      }
      CHECK(odd.load() == 0);
      CHECK(sent.load() > 0);
      CHECK(sent.load() == received.load());
      CHECK(sent_sum.load() == received_sum.load());
    });
  }
}

TEST_CASE("select: two of them, the channels named in opposite order") {
  in_g(config(4), [] {
    static constexpr u32 kTimes = rounds(20'000);
    Channel a(1), b(1);
    Waitgroup ended{};
    (void)add(ended, 4);
    for (u32 i = 0; i < 4; ++i) {
      (void)go([&, i] {
        for (u32 k = 0; k < kTimes; ++k) {
          u64 in, out = k;
          Channel &p = i % 2 ? a : b, &q = i % 2 ? b : a;
          SelectCase arms[] = {i < 2 ? send_arm(p, &out) : recv_arm(p, &in),
                               i < 2 ? send_arm(q, &out) : recv_arm(q, &in)};
          (void)choose(arms, 2, now() + 100'000);
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
  });
}

TEST_CASE("select: on threads of the host") {
  Channel a(0), b(0);
  u64 sum = 0;
  static constexpr u32 kTimes = rounds(2000);
  {
    Thread t([&] {
      for (u64 i = 1; i <= kTimes; ++i) {
        SelectCase arms[] = {send_arm(a, &i), send_arm(b, &i)};
        (void)choose(arms, 2);
      }
    });
    for (u32 i = 0; i < kTimes; ++i) {
      u64 v = 0;
      SelectCase arms[] = {recv_arm(a, &v), recv_arm(b, &v)};
      (void)choose(arms, 2);
      sum += v;
    }
  }
  CHECK(sum == u64{kTimes} * (kTimes + 1) / 2);
  // More arms than fit on the stack, and a deadline.
  static SelectCase many[3000];
  u64 v;
  for (u32 i = 0; i < 3000; ++i) {
    many[i] = recv_arm(i % 2 ? a : b, &v);
  }
  CHECK(choose(many, 3000, os::now_ns() + 1000) == kETIMEDOUT);
}
