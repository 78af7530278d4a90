// Wait queues and claims, without a scheduler.
#include "../unit.hpp"

using namespace unit;

namespace {

// A waiting party that nobody runs.
struct Party {
  Atomic<u64> word{kWait | kLive};
  Wake wake{};
  Waiter node{};
  u32 number = 0;

  Party() {
    wake.word = &word;
    node.wake = &wake;
    wake.result = 1;
  }
};

struct Parties {
  Party at[6];
  WaitQueue q{};
  Parties() {
    for (u32 i = 0; i < 6; ++i) {
      at[i].number = i;
    }
  }
  void push_all() {
    for (Party& p : at) {
      q.push(&p.node);
    }
  }
  // The order of the queue, first party first, as decimal digits; checks the
  // links both ways.
  u32 order() {
    u32 n = 0;
    Waiter* last = nullptr;
    for (Waiter* w = q.head; w; w = w->next) {
      CHECK(w->prev == last);
      CHECK(w->linked);
      n = n * 10 + party(w).number + 1;
      last = w;
    }
    CHECK(q.tail == last);
    return n;
  }
  static Party& party(Waiter* w) {
    return *reinterpret_cast<Party*>(reinterpret_cast<char*>(w) -
                                     offsetof(Party, node));
  }
};

}  // namespace

TEST_CASE("wait queue: order, from both ends and the middle") {
  Parties p;
  CHECK(p.q.empty());
  CHECK(p.q.pop() == nullptr);
  p.push_all();
  CHECK(p.order() == 123456);
  p.q.remove(&p.at[2].node);
  CHECK_FALSE(p.at[2].node.linked);
  CHECK(p.order() == 12456);
  p.q.remove(&p.at[0].node);
  CHECK(p.order() == 2456);
  p.q.remove(&p.at[5].node);
  CHECK(p.order() == 245);
  p.q.push_front(&p.at[0].node);
  CHECK(p.order() == 1245);
  p.q.push(&p.at[2].node);
  CHECK(p.order() == 12453);
  CHECK(p.q.pop() == &p.at[0].node);
  CHECK_FALSE(p.at[0].node.linked);
  CHECK(p.order() == 2453);
  while (p.q.pop()) {}
  CHECK(p.q.empty());
  CHECK(p.order() == 0);
  p.q.push_front(&p.at[3].node);
  CHECK(p.order() == 4);
  p.q.push(&p.at[4].node);
  CHECK(p.order() == 45);
}

TEST_CASE("claim: once, whoever comes first, and other bits stay") {
  Party p;
  p.word = (u64{77} << kGenShift) | kLive | kWait | kParked | kPermit | kCancel;
  CHECK(claim(&p.wake));
  CHECK(p.word.load() == ((u64{77} << kGenShift) | kLive | kPermit | kCancel));
  CHECK_FALSE(claim(&p.wake));
  p.word = kWaitHard | kLive;
  CHECK(claim(&p.wake));
  CHECK(p.word.load() == kLive);
}

TEST_CASE("claim: among threads, exactly one") {
  for (u32 round = 0; round < rounds(200); ++round) {
    Party p;
    Atomic<u32> won{0}, ready{0};
    {
      auto body = [&] {
        ready.fetch_add(1);
        while (ready.load() < 3) {
          os::thread_yield();
        }
        won.fetch_add(claim(&p.wake));
      };
      Thread a(body), b(body), c(body);
    }
    CHECK(won.load() == 1);
  }
}

TEST_CASE("pop_claimed: skips those that somebody else has ended") {
  Parties p;
  p.push_all();
  CHECK(claim(&p.at[0].wake));
  CHECK(claim(&p.at[1].wake));
  CHECK(claim(&p.at[3].wake));
  CHECK(pop_claimed(p.q) == &p.at[2].node);
  CHECK(pop_claimed(p.q) == &p.at[4].node);
  CHECK(pop_claimed(p.q) == &p.at[5].node);
  CHECK(pop_claimed(p.q) == nullptr);
  CHECK(p.q.empty());
  for (Party& x : p.at) {
    CHECK_FALSE(x.node.linked);
  }
}

TEST_CASE("claim_list: as many as asked, in order, with the result") {
  for (u32 most = 0; most <= 7; ++most) {
    Parties p;
    p.push_all();
    CHECK(claim(&p.at[1].wake));  // is not counted
    Waiter* list = claim_list(p.q, most, kECLOSED);
    const u32 want[] = {0, 2, 3, 4, 5};
    u32 n = 0;
    for (Waiter* w = list; w; w = w->next) {
      REQUIRE(n < 5);
      Party& x = Parties::party(w);
      CHECK(x.number == want[n++]);
      CHECK(x.wake.result == kECLOSED);
      CHECK(x.wake.by == w);
      CHECK((x.word.load() & kPhase) == 0);
    }
    CHECK(n == min(most, 5u));
    // The others wait on.
    for (u32 i = n; i < 5; ++i) {
      CHECK((p.at[want[i]].word.load() & kPhase) == kWait);
    }
  }
}

TEST_CASE("names: states and reasons are closed lists") {
  for (int i = 0; i <= static_cast<int>(Why::blocking); ++i) {
    const char* name = why_name(static_cast<Why>(i));
    REQUIRE(name);
    CHECK(strlen(name) >= 4);
  }
  CHECK(strcmp(why_name(Why::chan_recv), "chan_recv") == 0);
  CHECK(strcmp(why_name(Why::blocking), "blocking") == 0);
  CHECK(strcmp(state_name(State::none), "none") == 0);
  CHECK(strcmp(state_name(State::waiting), "waiting") == 0);
  CHECK(strcmp(state_name(State::dead), "dead") == 0);
}
