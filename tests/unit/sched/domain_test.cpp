#include <poll.h>

#include "../objects.hpp"

using namespace unit;

namespace {

// A host with a state that must not be touched twice at once.
struct Host {
  Atomic<u32> inside{0};
  u32 worst = 0;  // of `inside`
  Atomic<u32> acquired{0}, released{0};
  u32 switches = 0, wrong = 0;
  void* current = nullptr;  // whose state the host has
  Atomic<u32> holder{0};    // the thread
  bool refuse = false;

  static int acquire(void* arg) {
    Host& h = *static_cast<Host*>(arg);
    if (h.refuse) {
      return -1;
    }
    ++h.acquired;
    h.wrong += h.inside.fetch_add(1) != 0;
    h.holder.store(os::thread_id());
    h.wrong += this_m() && g_of(this_m());  // outside any G
    return 0;
  }
  static void release(void* arg) {
    Host& h = *static_cast<Host*>(arg);
    h.wrong += h.holder.load() != os::thread_id();
    h.wrong += h.current != nullptr;
    h.wrong += h.inside.fetch_sub(1) != 1;
    ++h.released;
  }
  static void switch_to(void* arg, void* from, void* to) {
    Host& h = *static_cast<Host*>(arg);
    ++h.switches;
    h.wrong += from != h.current;
    h.wrong += from == to;
    h.current = to;
  }
};

struct Domained {
  Host host;
  Domain* d = nullptr;
  Domained(Runtime* rt, u32 flags = 0, i64 handover = 0) {
    DomainOps ops{flags, handover, Host::acquire, Host::release,
                  Host::switch_to};
    REQUIRE(domain_new(rt, ops, &host, &d) == 0);
  }
  ~Domained() {
    // Its last G has ended, but the M that ran it may hold it for a moment yet.
    until([&] { return host.acquired.load() == host.released.load(); });
    CHECK(host.wrong == 0);
    CHECK(host.inside.load() == 0);
    CHECK(host.current == nullptr);
    domain_release(d);
  }
  SpawnOpts opts() {
    SpawnOpts o;
    o.domain = d;
    return o;
  }
};

// A G of the domain: its arg is what switch_to speaks of.
struct Guest {
  Domained& world;
  void (*body)(Guest&);
  u32 number = 0;
  u32 wrong = 0;
  u32* order = nullptr;
  u32* n = nullptr;

  void check_inside() {
    wrong += world.host.current != this;
    wrong += world.host.holder.load() != os::thread_id();
  }
  static void run(void* arg) {
    Guest& g = *static_cast<Guest*>(arg);
    g.check_inside();
    g.body(g);
  }
  u64 spawn(Runtime* rt) {
    SpawnOpts o = world.opts();
    return spawn_fn(rt, run, this, &o);
  }
};

}  // namespace

TEST_CASE("domain: Gs run in the order in which they became runnable") {
  for (u32 procs : {1u, 3u}) {
    Rt rt(procs);
    Domained world(rt.rt);
    static constexpr u32 kGs = 20;
    static u32 order[kGs * 3];
    static u32 n;
    n = 0;
    int rc = rt.run([&] {
      static Guest* guest[kGs];
      u64 h[kGs];
      for (u32 i = 0; i < kGs; ++i) {
        guest[i] = new Guest{world,
                             [](Guest& g) {
                               for (int k = 0; k < 3; ++k) {
                                 order[n++] = g.number;
                                 (void)yield();
                                 g.check_inside();
                               }
                             },
                             i};
      }
      // All queue before the first runs: this G is in the way, or they are
      // served in their order anyway.
      for (u32 i = 0; i < kGs; ++i) {
        h[i] = guest[i]->spawn(nullptr);
      }
      for (u32 i = 0; i < kGs; ++i) {
        (void)join(h[i]);
        CHECK(guest[i]->wrong == 0);
        delete guest[i];
      }
    });
    CHECK(rc == 0);
    CHECK(n == kGs * 3);
    u32 last[kGs] = {}, bad = 0;
    for (u32 k = 0; k < n; ++k) {
      ++last[order[k]];
    }
    for (u32 c : last) {
      bad += c != 3;
    }
    if (procs == 1) {  // nothing in between: exactly in turn
      for (u32 k = 0; k < n; ++k) {
        bad += order[k] != k % kGs;
      }
    }
    CHECK(bad == 0);
  }
}

TEST_CASE("domain: one at a time, whatever they wait for") {
  Rt rt(4);
  Domained world(rt.rt);
  static constexpr u32 kGs = 30;
  u32 turns = 0;  // the domain is its lock
  Atomic<u32> outside{0};
  static u32* s_turns;
  s_turns = &turns;
  int rc = rt.run([&] {
    Guest* guest[kGs];
    u64 h[kGs], plain[10];
    Atomic<bool> stop{false};
    for (u64& x : plain) {  // others run meanwhile
      x = go([&] {
        while (!stop.load()) {
          outside.fetch_add(1, relaxed);
          (void)yield();
        }
      });
    }
    for (u32 i = 0; i < kGs; ++i) {
      guest[i] = new Guest{world,
                           [](Guest& g) {
                             for (u32 k = 0; k < rounds(60); ++k) {
                               ++*s_turns;
                               switch ((g.number + k) % 4) {
                                 case 0:
                                   (void)sleep_ns(1000);
                                   break;
                                 case 1:
                                   (void)join(go([] { (void)yield(); }));
                                   break;
                                 default:
                                   (void)yield();
                               }
                               g.check_inside();
                             }
                           },
                           i};
      h[i] = guest[i]->spawn(nullptr);
    }
    for (u32 i = 0; i < kGs; ++i) {
      (void)join(h[i]);
      CHECK(guest[i]->wrong == 0);
      delete guest[i];
    }
    stop.store(true);
    for (u64 x : plain) {
      (void)join(x);
    }
  });
  CHECK(rc == 0);
  CHECK(turns == kGs * rounds(60));
  CHECK(outside.load() > 0);
  CHECK(world.host.acquired.load() > 0);
}

TEST_CASE("domain: neither starves the Gs of its P, nor is starved") {
  in_g(still(), [] {
    Domained* world = new Domained(this_m()->rt);
    static bool stop;
    static u32 inside, outside;
    stop = false;
    inside = outside = 0;
    Guest guest[2] = {{*world, nullptr, 0}, {*world, nullptr, 1}};
    u64 h[3];
    for (Guest& g : guest) {
      g.body = [](Guest&) {
        while (!stop) {
          ++inside;
          (void)yield();
        }
      };
      h[&g - guest] = g.spawn(nullptr);
    }
    h[2] = go([] {
      while (!stop) {
        ++outside;
        (void)yield();
      }
    });
    until([] {
      return (inside > 5000 && outside > 50) || inside + outside > 5'000'000;
    });
    CHECK(inside > 5000);
    CHECK(outside > 50);
    stop = true;
    for (u64 x : h) {
      (void)join(x);
    }
    CHECK(guest[0].wrong + guest[1].wrong == 0);
    delete world;
  });
}

TEST_CASE("domain: its turn ends when the P is called") {
  in_g(still(), [] {
    Domained* world = new Domained(this_m()->rt);
    static bool stop;
    static u32 inside;
    stop = false;
    inside = 0;
    Guest guest[2] = {{*world, nullptr, 0}, {*world, nullptr, 1}};
    u64 h[2];
    for (Guest& g : guest) {
      g.body = [](Guest&) {
        while (!stop) {
          if (++inside == 5) {
            this_m()->p->attention.fetch_or(kAttnTimers, relaxed);
          }
          (void)yield();
        }
      };
      h[&g - guest] = g.spawn(nullptr);
    }
    while (inside < 5) {
      (void)yield();
    }
    CHECK(inside < 20);
    stop = true;
    for (u64 x : h) {
      (void)join(x);
    }
    delete world;
  });
}

TEST_CASE("domain: left for a while, and entered again") {
  for (u32 procs : {1u, 3u}) {
    Rt rt(procs);
    Domained world(rt.rt);
    int rc = rt.run([&] {
      static constexpr u32 kGs = 6;
      Guest* guest[kGs];
      u64 h[kGs];
      for (u32 i = 0; i < kGs; ++i) {
        guest[i] = new Guest{world,
                             [](Guest& g) {
                               for (u32 k = 0; k < rounds(50); ++k) {
                                 int left, came;
                                 {
                                   EnterParking e;
                                   left = domain_leave(e.m);
                                 }
                                 g.wrong += left != 0;
                                 (void)yield();
                                 {
                                   EnterParking e;
                                   left = domain_leave(e.m);
                                 }
                                 g.wrong += left != kEPERM;
                                 {
                                   EnterParking e;
                                   came = domain_enter(e.m);
                                 }
                                 g.wrong += came != 0;
                                 g.check_inside();
                               }
                             },
                             i};
        h[i] = guest[i]->spawn(nullptr);
      }
      for (u32 i = 0; i < kGs; ++i) {
        (void)join(h[i]);
        CHECK(guest[i]->wrong == 0);
        delete guest[i];
      }
      EnterParking e;
      CHECK(domain_leave(e.m) == kEPERM);  // not of any domain
      CHECK(domain_enter(e.m) == kEPERM);
    });
    CHECK(rc == 0);
  }
}

TEST_CASE("domain: pumped, on the thread that pumps") {
  Rt rt(1);
  Domained world(rt.rt, kDomainPumped);
  static u32 ran, elsewhere, home;
  ran = elsewhere = 0;
  home = os::thread_id();
  Guest guest[3] = {
      {world, nullptr, 0}, {world, nullptr, 1}, {world, nullptr, 2}};
  pollfd fd{domain_wake_fd(world.d), POLLIN, 0};
  CHECK(fd.fd >= 0);
  CHECK(poll(&fd, 1, 0) == 0);
  u64 h[3];
  for (Guest& g : guest) {
    g.body = [](Guest& self) {
      for (int k = 0; k < 3; ++k) {
        elsewhere += os::thread_id() != home;
        ++ran;
        (void)yield();
        self.check_inside();
      }
    };
    h[&g - guest] = g.spawn(rt.rt);
  }
  CHECK(poll(&fd, 1, 0) == 1);
  auto pump_once = [&] {
    EnterParking e;
    return domain_pump(e.m, world.d, kTry);
  };
  CHECK(ran == 0);  // nobody else runs them
  CHECK(pump_once() == 2);
  CHECK(ran == 1);
  CHECK(poll(&fd, 1, 0) == 1);  // worth while still
  int rc;
  u32 rounds_of_it = 0;
  while ((rc = pump_once()) == 2 && rounds_of_it < 100) {
    ++rounds_of_it;
  }
  CHECK(rc == 0);
  CHECK(ran == 9);
  CHECK(elsewhere == 0);
  CHECK(poll(&fd, 1, 0) == 0);
  for (u64 x : h) {
    CHECK(join(x, rt.rt, kTry) == 0);
  }
  for (Guest& g : guest) {
    CHECK(g.wrong == 0);
  }
}

TEST_CASE("domain: pumped, and the P is called") {
  Rt rt(1);
  Domained world(rt.rt, kDomainPumped);
  static Atomic<u32> others;
  static u32 turns;
  others.store(0);
  turns = 0;
  Guest guest{world, [](Guest&) {
                go([] { others.store(1); });  // where the pump's P queues
                while (!others.load() && ++turns < 1'000'000) {
                  this_m()->p->attention.fetch_or(kAttnTimers, relaxed);
                  (void)yield();
                }
              }};
  u64 h = guest.spawn(rt.rt);
  int rc;
  do {
    EnterParking e;
    rc = domain_pump(e.m, world.d, kForever);
  } while (rc == 2 || rc == kEAGAIN);
  CHECK(rc == 0);
  CHECK(others.load() == 1);
  CHECK(turns < 1'000'000);
  CHECK(join(h, rt.rt, kTry) == 0);
}

TEST_CASE("domain: closed, its Gs never run again, and joiners know") {
  Rt rt(2);
  static u32 after;
  after = 0;
  Domained world(rt.rt);
  Guest guest[3] = {
      {world, nullptr, 0}, {world, nullptr, 1}, {world, nullptr, 2}};
  int rc = rt.run([&] {
    u64 h[3];
    for (Guest& g : guest) {
      g.body = [](Guest&) {
        (void)park();
        ++after;
      };
      h[&g - guest] = g.spawn(nullptr);
      wait_parked(h[&g - guest]);
    }
    int joined = -1;
    u64 j = go([&] { joined = join(h[0]); });
    wait_parked(j);
    {
      Enter e;
      CHECK(domain_close(e.m, world.d) == 0);
      CHECK(domain_close(e.m, world.d) == kECLOSED);
    }
    (void)join(j);
    CHECK(joined == kECLOSED);
    for (u64 x : h) {
      (void)unpark(x);
      int late = join(x);
      CHECK(late == kECLOSED);
    }
    CHECK(guest[0].spawn(nullptr) == 0);  // refused
    let_run(20);
    CHECK(after == 0);
    until([&] { return live_gs(rt.rt) == 1; });  // j is counted after its join
  });
  CHECK(rc == 0);
}

TEST_CASE("domain: a host that refuses closes it") {
  Rt rt(1);
  Domained world(rt.rt);
  world.host.refuse = true;
  static bool ran;
  ran = false;
  Guest guest{world, [](Guest&) { ran = true; }};
  u64 h = guest.spawn(rt.rt);
  CHECK(join(h, rt.rt, soon()) == kECLOSED);
  CHECK_FALSE(ran);
}

namespace {

// A host lock as an interpreter has it: acquire excludes by itself.
struct HostLock {
  WordLock gil;
  Atomic<u32> inside{0};
  Atomic<u32> wrong{0}, handed{0};
};

// A G computes without a call into thrum, and without the host's lock, as a
// native extension does; another of its domain must run meanwhile.
void goes_on(Rt& rt, i64 handover_ns) {
  // An M may still be about to release it when all Gs have been joined.
  static HostLock host;
  DomainOps ops{kDomainHostLock, handover_ns,
                [](void*) {
                  host.gil.lock();
                  return 0;
                },
                [](void*) { host.gil.unlock(); }, nullptr};
  Domain* d = nullptr;
  REQUIRE(domain_new(rt.rt, ops, &host, &d) == 0);
  SpawnOpts o;
  o.domain = d;
  Atomic<bool> ran{false}, started{false};
  i64 took = 0;
  u64 a = go_in(
      rt.rt,
      [&] {
        started.store(true);
        host.gil.unlock();  // the guest gives the lock up around its work
        i64 from = os::now_ns();
        while (!ran.load() && os::now_ns() - from < 3 * kSecond) {
          cpu_relax();
        }
        took = os::now_ns() - from;
        host.gil.lock();
        (void)yield();  // its domain is with others: it is queued there
      },
      &o);
  until([&] { return started.load(); });
  u64 b = go_in(
      rt.rt, [&] { ran.store(true); }, &o);
  CHECK(join(b, rt.rt, soon()) == 0);
  CHECK(join(a, rt.rt, soon()) == 0);
  CHECK(ran.load());
  CHECK(took < 3 * kSecond);
  domain_release(d);
}

}  // namespace

TEST_CASE("domain: a host lock goes on when its G stays outside for long") {
  Rt rt(2);
  goes_on(rt, 2 * kMs);
}

TEST_CASE("domain: a host lock goes on when its G has lost its P before") {
  Config c = config(1);
  c.slice_ns = kMs / 2;
  Rt rt(c);
  Atomic<u32> stop{0};
  u64 busy = go_in(rt.rt, [&] {
    while (!stop.load()) {
      (void)yield();
    }
  });
  goes_on(rt, 20 * kMs);
  CHECK(rt->ps[0]->retakes.load() >= 1);
  stop.store(1);
  CHECK(join(busy, rt.rt, soon()) == 0);
}
