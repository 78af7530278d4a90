#include "../unit.hpp"
#include "probe/ring.hpp"

#include <pthread.h>

using namespace unit;

TEST_CASE("ring: keeps what fits, oldest first, and says how much went") {
  Record room[8]{};
  Record copy[8];
  Ring ring(room, 8);
  u64 first;
  CHECK(ring.copy(copy, 0, &first) == 0);
  for (u64 i = 0; i < 5; ++i) {
    ring.put(i, Event::run, 100 + i, i);
  }
  CHECK(ring.copy(copy, 0, &first) == 5);
  CHECK(first == 0);
  CHECK(copy[4].g == 104);
  CHECK(copy[4].event() == Event::run);
  CHECK(copy[4].arg() == 4);
  for (u64 i = 5; i < 21; ++i) {
    ring.put(i, Event::park, 100 + i, i);
  }
  // One that might be overwritten just now is not told of.
  CHECK(ring.copy(copy, 0, &first) == 7);
  CHECK(first == 14);
  CHECK(copy[0].ticks == 14);
  CHECK(copy[6].ticks == 20);
  CHECK(ring.copy(copy, 18, &first) == 3);
  CHECK(first == 18);
}

TEST_CASE("ring: an argument keeps 56 bits, and the event its own") {
  Record room[2]{};
  Record copy[2];
  Ring ring(room, 2);
  ring.put(1, Event::stall, ~u64{0}, ~u64{0});
  u64 first;
  REQUIRE(ring.copy(copy, 0, &first) == 1);
  CHECK(copy[0].event() == Event::stall);
  CHECK(copy[0].arg() == Record::kArg);
  CHECK(copy[0].g == ~u64{0});
}

namespace {

struct Race {
  Record room[4096]{};
  Ring ring{room, 4096};
  Atomic<u64> seen{0};  // the reader writes: the records that it has compared
  Atomic<bool> over{false};
};

// All words of a record say the same number.
void* write_on(void* arg) {
  auto* r = static_cast<Race*>(arg);
  u64 few = r->ring.size();
  for (u64 i = 0; i < rounds(2'000'000) || r->seen.load(relaxed) < few; ++i) {
    r->ring.put(i, Event::run, i, i);
    // Or nothing of a lap is left when its copy is made; longer where a reader is slow.
    for (u64 n = i % 1024 ? 0 : 256 + (i >> 12); n; --n) {
      cpu_relax();
    }
  }
  r->over.store(true, release);
  return nullptr;
}

}  // namespace

TEST_CASE("ring: what is copied while its owner writes is whole and in order") {
  static Race r;
  pthread_t thread;
  REQUIRE(pthread_create(&thread, nullptr, write_on, &r) == 0);
  static Record copy[4096];
  u64 bad = 0;
  while (!r.over.load(acquire)) {
    u64 first;
    u64 n = r.ring.copy(copy, 0, &first);
    for (u64 i = 0; i < n; ++i) {
      bad += copy[i].ticks != first + i || copy[i].g != first + i ||
             copy[i].arg() != first + i;
    }
    r.seen.store(r.seen.load(relaxed) + n, relaxed);
  }
  REQUIRE(pthread_join(thread, nullptr) == 0);
  CHECK(bad == 0);
}

TEST_CASE("event: names are those of the list") {
  CHECK(doctest::String(event_name(Event::spawn)) == "spawn");
  CHECK(doctest::String(event_name(Event::stall)) == "stall");
  CHECK(doctest::String(event_name(static_cast<Event>(kEvents))) == "?");
  CHECK(static_cast<u32>(Event::stall) + 1 == kEvents);
}
