#include "../objects.hpp"
#include "observe/record.hpp"
#include "observe/timeline.hpp"

using namespace unit;

TEST_CASE(
    "record: it ends with its last event, also of a P that went on meanwhile") {
  Rt rt(still());
  int rc = rt.run([&] {
    REQUIRE(recorder_start(rt.rt, 64, kByHost) == 0);
    (void)yield();
    Recorder* r = rt->recorder.load();
    {
      Locked held(r->outside_lock);
      // As from a P whose ring is copied a second later.
      r->outside->put(cpu_ticks() + 1000 * u64{1'000'000}, Event::ready, self(),
                      0);
    }
    Recording seen;
    REQUIRE(recording_take(rt.rt, kForever, seen) == 0);
    REQUIRE(seen.count > 0);
    CHECK(seen.end >= seen.at[seen.count - 1].ns);
    mem::free(seen.at);
    static char text[16384];
    Text out(text, sizeof text);
    CHECK(timeline(rt.rt, kForever, out) > 0);
    CHECK(out.length() < sizeof text);
    CHECK(strstr(text, ":-") == nullptr);
    CHECK(strstr(text, ".-") == nullptr);
  });
  CHECK(rc == 0);
}
