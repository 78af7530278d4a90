// sched/door.hpp: who has the P and the domain of an M that goes in and out while
// another asks for them, and a third stops the world. In two memories: with a
// fence at each entry, and with none but the asker's fence of all threads. P,
// domain and heap are plain fields: two that believe to have one are a race, and
// so is one that has not seen what the last one did. No request is left behind
// that nobody makes any more. Each broken door (doors.hpp) must be found.
// SPDX-License-Identifier: MIT
#include "doors.hpp"
#include "explore/explore.hpp"

namespace {

using namespace thrum;

// What the core does with a door, as far as the door goes.
template <class D, bool Fenced>
struct Model {
  struct Shared {
    D door;
    int p;              // touched by who has the P
    int domain;         // by who holds the domain
    int heap;           // by guest code, and by who has stopped the world
    bool has_p, holds;  // owner: M::p; is it the holder of its domain?
    bool took_p, took_domain;  // asker
    int said_p, said_domain;   // asker, before it takes
    Atomic<u32> world;         // Runtime::world
  };
  static inline Shared* s;

  static void outside() {
    s = explore::make<Shared>();
    s->door.fenced = Fenced;
    s->has_p = s->holds = true;
  }
  // As an M in its loop, or a G that is resumed inside its call.
  static void inside() {
    outside();
    s->door.in_core.store(1, relaxed);
  }

  // ---- the owner: enter.hpp, retake.cpp, blocking.cpp, world.cpp ------------

  static void touch() {
    if (s->has_p) {
      ++s->p;
    }
    if (s->holds) {
      ++s->domain;
    }
  }

  static u32 enter() { return s->door.enter(); }
  static void leave(u32 was) {
    touch();
    s->door.leave(was, 1);
  }

  static void enter_apart() {
    bool kept;
    if (s->door.settle(&kept) & kTaken) {
      MUST(s->said_p);
      s->has_p = false;
      s->door.change(kTaken, kApart);
    }
  }

  static void enter_slow() {
    enter_apart();
    if (s->door.calls() & kDeclared) {
      s->door.change(kDeclared, 0);
    }
    if (s->door.calls() & kDomainTaken) {  // domain_left_behind
      MUST(s->said_domain);
      s->holds = false;
      s->door.change(kDomainTaken, 0);
    }
    if (s->door.calls() & kWorld) {  // world_call
      s->door.change(kWorld, 0);
      while (s->world.load(acquire)) {
        explore::pause();
      }
    }
  }

  static void call() {  // a parking one
    u32 was = enter();
    if (s->door.called()) {
      enter_slow();
    }
    leave(was);
  }
  static void plain() {  // one that does not park
    u32 was = enter();
    if (s->door.called()) {
      enter_apart();
    }
    leave(was);
  }
  static void enter_blocking() {
    u32 was = enter();
    if (s->door.called()) {
      enter_apart();
    }
    s->door.change(0, kDeclared);
    leave(was);
  }
  static void exit_blocking() {
    u32 was = enter();
    if (s->door.called()) {
      enter_apart();
    }
    s->door.change(kDeclared, 0);
    if (s->door.calls() & (kDomainTaken | kWorld)) {
      enter_slow();
    }
    leave(was);
  }

  static void calls() {
    call();
    call();
  }
  static void leaves() {
    leave(0);
    call();
  }
  static void nested() {  // a call from inside the core: a hook
    leave(enter());
    leave(0);
  }
  static void declares() {
    enter_blocking();
    exit_blocking();
  }
  static void declares_and_runs() {
    enter_blocking();
    exit_blocking();
    ++s->heap;
  }

  // ---- the asker: retake.cpp, domain.cpp --------------------------------------

  static void nobody() {}
  static void fence_all() {
    if (Fenced) {
      fence(seq_cst);
    } else {
      explore::fence_all();
    }
  }
  static bool still() { return true; }

  static void take_p() {
    if (!s->took_p) {
      ++s->said_p;
      if (s->door.take(kTaken, fence_all, still)) {
        s->took_p = true;
        ++s->p;  // another M's from here on
      }
    }
  }
  static void take_domain() {
    if (!s->took_domain) {
      ++s->said_domain;
      if (s->door.take(kDomainTaken, fence_all, still)) {
        s->took_domain = true;
        ++s->domain;
      }
    }
  }
  static void takes_twice() {
    take_p();
    s->door.mark();
    take_p();
  }
  static void takes_both() {
    if (explore::choose(2)) {
      take_domain();
      take_p();
    } else {
      take_p();
      take_domain();
    }
  }

  // ---- who stops the world: world.cpp -----------------------------------------

  static bool ask_all() {
    bool held = s->door.held();
    s->door.call_in();
    return held;
  }
  static void stops() {
    s->world.store(1, relaxed);
    for (int round = 0; round < 3; ++round) {
      bool held = ask_all();
      if (held) {
        fence_all();
        held = ask_all();
      }
      if (held) {
        ++s->heap;
        break;
      }
    }
    s->world.store(0, release);
    s->door.let_be();
  }

  // ---- a schedule's end ---------------------------------------------------------

  static void after() {
    u32 w = s->door.word.load(relaxed);
    MUST(!(w & kAsked));
    MUST(s->took_p == (!s->has_p || (w & kTaken)));
    MUST(s->took_domain == (!s->holds || (w & kDomainTaken)));
  }
};

template <void A(), void B(), void C()>
void parties(unsigned i) {
  i == 0 ? A() : i == 1 ? B() : C();
}

using Own = Model<Door, true>;   // a fence at each entry
using All = Model<Door, false>;  // the asker's fence of all threads
template <class D>
using Bad = Model<D, true>;

// Of broken doors: the words of how it is found.
const char* const kNobodys = "!(w & kAsked)";
const char* const kRace = "race: ";

#define SCENE(X, owner, asker, world) \
  parties<X::owner, X::asker, X::world>, X::after
#define BROKEN(D, owner, asker, found)                                     \
  {                                                                        \
#D, 2, Bad < D> ::outside, SCENE(Bad <D>, owner, asker, nobody), 2, 0, \
        found                                                              \
  }

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"calls", 2, Own::outside, SCENE(Own, calls, takes_twice, nobody), 3,
     20000},
    {"calls_all", 2, All::outside, SCENE(All, calls, takes_twice, nobody), 3,
     20000},
    {"leaves", 2, Own::inside, SCENE(Own, leaves, takes_twice, nobody), 3,
     20000},
    {"leaves_all", 2, All::inside, SCENE(All, leaves, takes_twice, nobody), 3,
     20000},
    {"nested", 2, Own::inside, SCENE(Own, nested, takes_twice, nobody), 3,
     20000},
    {"declares", 2, Own::outside, SCENE(Own, declares, takes_twice, nobody), 3,
     20000},
    {"both", 2, Own::outside, SCENE(Own, calls, takes_both, nobody), 3, 20000},
    {"both_all", 2, All::inside, SCENE(All, leaves, takes_both, nobody), 3,
     20000},
    {"world", 2, Own::outside, SCENE(Own, declares_and_runs, stops, nobody), 3,
     20000},
    {"world_all", 2, All::outside, SCENE(All, declares_and_runs, stops, nobody),
     3, 20000},
    {"world_takes", 3, Own::outside,
     SCENE(Own, declares_and_runs, take_p, stops), 2, 20000},
    BROKEN(NoWithdrawCas, calls, take_p, kRace),
    BROKEN(UnconditionalClear, calls, take_p, kRace),
    BROKEN(UnconditionalTake, calls, take_p, kRace),
    BROKEN(RelaxedExit, calls, take_p, kRace),
    BROKEN(NoEntryFence, calls, take_p, kRace),
    BROKEN(NoAskersFence, calls, take_p, kRace),
    BROKEN(LookFirst, calls, take_p, kRace),
    BROKEN(StoresRequests, declares, takes_twice, kNobodys),
    BROKEN(WordFirst, declares_and_runs, stops, kRace),
    {"OneTry", 3, Bad<OneTry>::outside,
     SCENE(Bad<OneTry>, declares_and_runs, take_p, stops), 2, 0, kNobodys},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
