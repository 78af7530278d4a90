// C++ exceptions in Gs: what a thread keeps of them (the caught ones, how many
// are in flight) is each G's own, wherever it parks and wakes.
#include <exception>
#include <stdexcept>

#include "../objects.hpp"

using namespace unit;

namespace {

Atomic<u32> g_moves;

// Parks in one of several ways; most come back on another thread.
void hop(Choice& c) {
  u32 before = os::thread_id();
  switch (c.below(5)) {
    case 0:
      (void)yield();
      break;
    case 1:
      (void)sleep_ns(1 + c.below(3000));
      break;
    case 2: {
      Channel ch(0);
      u64 v, h = go([&] { (void)send(ch, 1); });
      (void)recv(ch, &v);
      (void)join(h);
      break;
    }
    default: {  // the P goes away meanwhile
      {
        Enter e;
        (void)enter_blocking(e.m);
      }
      Enter e;
      (void)exit_blocking(e.m);
    }
  }
  g_moves.fetch_add(before != os::thread_id(), relaxed);
}

struct Knot : std::runtime_error {
  u32 tag;
  explicit Knot(u32 t) : std::runtime_error("knot"), tag(t) {}
};

int in_flight() { return std::uncaught_exceptions(); }
bool caught_none() { return std::current_exception() == nullptr; }

// Parks while its scope unwinds.
struct HopsInDestructor {
  Choice& c;
  u32& wrong;
  ~HopsInDestructor() {
    wrong += in_flight() != 1;
    hop(c);
    wrong += in_flight() != 1;
    try {  // a whole exception inside
      hop(c);
      throw Knot(7);
    } catch (const Knot& k) {
      wrong += k.tag != 7;
      hop(c);
      wrong += in_flight() != 1;
    }
    wrong += in_flight() != 1;
  }
};

// One round of everything; returns how much of it went wrong.
u32 tangle(Choice& c, u32 tag) {
  u32 wrong = !caught_none() || in_flight() != 0;
  try {  // parked in the try, thrown after it
    hop(c);
    throw Knot(tag);
  } catch (const Knot& k) {
    std::exception_ptr mine = std::current_exception();
    wrong += k.tag != tag || !mine;
    hop(c);  // parked in the catch
    wrong += k.tag != tag || std::current_exception() != mine;
    wrong += in_flight() != 0;
    try {  // nested, and on its way out again
      HopsInDestructor unwinds{c, wrong};
      throw Knot(tag + 1);
    } catch (const Knot& inner) {
      wrong += inner.tag != tag + 1;
      hop(c);
      try {
        hop(c);
        throw;  // rethrown after a move
      } catch (const Knot& again) {
        wrong += again.tag != tag + 1;
        hop(c);
      }
      wrong += inner.tag != tag + 1;
    }
    wrong += k.tag != tag || std::current_exception() != mine;
  }
  wrong += !caught_none() || in_flight() != 0;
  hop(c);
  wrong += !caught_none() || in_flight() != 0;
  return wrong;
}

// No M of an idle runtime holds on to anything of its guests.
void check_ms(Runtime* rt) {
#if !defined(THRUM_TSAN)  // it takes a look at other threads' memory
  u32 wrong = 0;
  for (M* m = rt->ms; m; m = m->next_m) {
    wrong += !m->lent && m->eh && (m->eh->caught || (m->eh->uncaught & ~0u));
  }
  CHECK(wrong == 0);
#endif
  (void)rt;
}

}  // namespace

TEST_CASE("exceptions: through parks, on one P") {
  for (const Config& c : {still(), seeded(8)}) {
    in_g(c, [] {
      Choice choice{1};
      u32 wrong = 0;
      for (u32 i = 0; i < rounds(100); ++i) {
        wrong += tangle(choice, i * 10);
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("exceptions: 10,000 moves between threads") {
  static constexpr u32 kGs = 8, kMoves = rounds(10'000);
  g_moves = 0;
  Atomic<u32> wrong{0}, bystander{0};
  Rt rt(3);
  rt->long_ticks = 0;  // every call counts as slow: Ps are handed over
  Waitgroup ended{};
  (void)add(ended, kGs + 1);
  for (u32 g = 0; g < kGs; ++g) {
    (void)go_in(rt.rt, [&, g] {
      Choice choice{g};
      for (u32 i = 0; i < 20'000 && g_moves.load() < kMoves; ++i) {
        wrong.fetch_add(tangle(choice, g * 1'000'000 + i * 10));
      }
      (void)add(ended, -1);
    });
  }
  // One that never throws never sees the others' on the threads they share.
  (void)go_in(rt.rt, [&] {
    for (u32 i = 0; i < 1'000'000 && g_moves.load() < kMoves; ++i) {
      bystander.fetch_add(!caught_none() || in_flight() != 0);
      (void)yield();
    }
    (void)add(ended, -1);
  });
  (void)wait(ended);
  until([&] { return live_gs(rt.rt) == 0; });
  CHECK(g_moves.load() >= kMoves);
  CHECK(wrong.load() == 0);
  CHECK(bystander.load() == 0);
  check_ms(rt.rt);
}

TEST_CASE("exceptions: two parked in a catch on one thread") {
  in_g(still(), [] {
    u32 wrong = 0;
    u64 h[2];
    for (u32 i = 0; i < 2; ++i) {
      h[i] = go([&, i] {
        try {
          throw Knot(i);
        } catch (const Knot& k) {
          std::exception_ptr mine = std::current_exception();
          (void)park();
          wrong += k.tag != i || std::current_exception() != mine;
        }
      });
      wait_parked(h[i]);
    }
    CHECK(caught_none());
    // In the order in which they came, not the reverse: a thread's own stack
    // of exceptions would be popped wrongly.
    (void)unpark(h[0]);
    (void)join(h[0]);
    CHECK(caught_none());
    (void)unpark(h[1]);
    (void)join(h[1]);
    CHECK(caught_none());
    CHECK(wrong == 0);
  });
}

TEST_CASE("exceptions: in flight on one G, none on the next") {
  in_g(still(), [] {
    int seen = -1, mine = -1;
    struct Parks {
      int& mine;
      ~Parks() {
        (void)park();
        mine = in_flight();
      }
    };
    u64 h = go([&] {
      try {
        Parks p{mine};
        throw Knot(1);
      } catch (const Knot&) {}
    });
    wait_parked(h);
    (void)join(go([&] { seen = in_flight(); }));
    CHECK(seen == 0);
    CHECK(in_flight() == 0);
    (void)unpark(h);
    (void)join(h);
    CHECK(mine == 1);
    CHECK(in_flight() == 0);
  });
}

TEST_CASE("exceptions: of the thread that runs Gs, before, around and after") {
  for (u32 procs : {1u, 2u}) {
    Rt rt(procs);
    try {
      throw Knot(5);
    } catch (const Knot& k) {
      std::exception_ptr mine = std::current_exception();
      bool clean = false;
      (void)rt.run([&] {
        // The lent thread's exception is not this G's, nor goes along with it.
        clean = caught_none();
        Choice c{3};
        for (int i = 0; i < 50; ++i) {
          hop(c);
        }
        try {
          hop(c);
          throw Knot(6);
        } catch (const Knot& inner) {
          hop(c);
          clean &= inner.tag == 6;
        }
      });
      CHECK(k.tag == 5);
      CHECK((std::current_exception() == mine));
      CHECK(clean);
    }
    CHECK(caught_none());
  }
}

TEST_CASE("exceptions: one that leaves a G ends the process") {
#if defined(THRUM_TSAN)
  UNIT_SKIP("TSan's unwinder takes its time to say the same");
#endif
  Child c = in_child([] {
    Rt rt(still());
    (void)rt.run([] { throw Knot(1); });
  });
  CHECK_CHILD(c.died(SIGABRT), c);
}
