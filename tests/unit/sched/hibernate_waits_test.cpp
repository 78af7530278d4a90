// In each kind of wait a G hibernates, and goes on with its result.
#include "../sleeper.hpp"

using namespace unit;

namespace {

struct World {
  Mutex mutex{};
  Rwmutex rw{};
  Cond cond{};
  Waitgroup group{};
  Semaphore sem{};
  Once once{};
  Channel ch{0}, other{0}, odd{0, 13};
  u64 waiter = 0;  // the G that hibernates
  u64 joined = 0;
  int result = 1;
  u64 got = 0;
  bool well = false;  // its stack was as it had left it
};

struct Kind {
  Why why;
  bool timed;  // only where time jumps
  void (*before)(World&);
  void (*waits)(World&);
  void (*ends)(World&);
};
void nothing(World&) {}

const Kind kKinds[] = {
    {Why::park, false, nothing, [](World& w) { w.result = park(); },
     [](World& w) { (void)unpark(w.waiter); }},
    {Why::sleep, true, nothing, [](World& w) { w.result = sleep_ns(kMs); },
     nothing},
    {Why::join, false, [](World& w) { w.joined = go([] { (void)park(); }); },
     [](World& w) { w.result = join(w.joined); },
     [](World& w) { (void)unpark(w.joined); }},
    {Why::chan_send, false, nothing,
     [](World& w) { w.result = send(w.ch, 77); },
     [](World& w) {
       u64 v = 0;
       int err = recv(w.ch, &v);
       CHECK(err == 0);
       CHECK(v == 77);
     }},
    {Why::chan_recv, false, nothing,
     [](World& w) {
       u64 v = 0;
       w.result = recv(w.ch, &v);
       w.got = v;
     },
     [](World& w) {
       int err = send(w.ch, 78);
       CHECK(err == 0);
     }},
    {Why::chan_recv, false, nothing,  // an element that fills no words
     [](World& w) {
       char v[15] = "..............";
       {
         EnterParking e;
         w.result = chan_recv(e.m, w.odd.c, v + 1, kForever);
       }
       w.got = memcmp(v, ".abcdefghijklm.", 15) == 0;
     },
     [](World& w) {
       char v[] = "abcdefghijklm";
       EnterParking e;
       int err = chan_send(e.m, w.odd.c, v, kForever);
       CHECK(err == 0);
     }},
    {Why::chan_recv, true, nothing,  // timed out: the element is as it was
     [](World& w) {
       u64 v = 79;
       w.result = recv(w.ch, &v, in_ns(kMs)) == kETIMEDOUT && v == 79 ? 0 : 1;
     },
     nothing},
    {Why::chan_recv, false, nothing,  // cancelled
     [](World& w) {
       u64 v = 79;
       w.result = recv(w.ch, &v) == kECANCELED && v == 79 ? 0 : 1;
     },
     [](World& w) { (void)cancel(w.waiter); }},
    {Why::chan_recv, false, nothing,  // closed
     [](World& w) {
       u64 v = 79;
       w.result = recv(w.ch, &v) == kECLOSED && v == 79 ? 0 : 1;
     },
     [](World& w) { (void)close(w.ch); }},
    {Why::select, false, nothing,  // won by the receiver
     [](World& w) {
       u64 in = 1, in2 = 2, out = 3;
       SelectCase arms[] = {{w.other.c, &in2, kRecv, 0},
                            {w.ch.c, &in, kRecv, 0},
                            {w.odd.c, &out, kRecv, 0}};
       w.result = choose(arms, 3) == 1 && in2 == 2 && out == 3 ? 0 : 1;
       w.got = in;
     },
     [](World& w) {
       int err = send(w.ch, 78);
       CHECK(err == 0);
     }},
    {Why::select, false, nothing,  // won by the sender
     [](World& w) {
       u64 in = 1, out = 80;
       SelectCase arms[] = {{w.other.c, &in, kRecv, 0},
                            {w.ch.c, &out, kSend, 0}};
       w.result = choose(arms, 2) == 1 && in == 1 ? 0 : 1;
     },
     [](World& w) {
       u64 v = 0;
       int err = recv(w.ch, &v);
       CHECK(err == 0);
       CHECK(v == 80);
     }},
    {Why::mutex, false, [](World& w) { (void)lock(w.mutex); },
     [](World& w) {
       w.result = lock(w.mutex);
       (void)unlock(w.mutex);
     },
     [](World& w) { (void)unlock(w.mutex); }},
    {Why::rwmutex_read, false, [](World& w) { (void)wlock(w.rw); },
     [](World& w) {
       w.result = rlock(w.rw);
       (void)runlock(w.rw);
     },
     [](World& w) { (void)wunlock(w.rw); }},
    {Why::rwmutex_write, false, [](World& w) { (void)rlock(w.rw); },
     [](World& w) {
       w.result = wlock(w.rw);
       (void)wunlock(w.rw);
     },
     [](World& w) { (void)runlock(w.rw); }},
    {Why::cond, false, nothing,
     [](World& w) {
       (void)lock(w.mutex);
       w.result = wait(w.cond, w.mutex);
       (void)unlock(w.mutex);
     },
     [](World& w) { (void)signal(w.cond); }},
    {Why::waitgroup, false, [](World& w) { (void)add(w.group, 1); },
     [](World& w) { w.result = wait(w.group); },
     [](World& w) { (void)add(w.group, -1); }},
    {Why::semaphore, false, nothing, [](World& w) { w.result = take(w.sem); },
     [](World& w) { (void)post(w.sem); }},
    {Why::once, false,
     [](World& w) {
       bool runs = false;
       (void)begin(w.once, &runs);
       CHECK(runs);
     },
     [](World& w) {
       bool runs = true;
       w.result = begin(w.once, &runs) || runs;
     },
     [](World& w) { done(w.once); }},
};

void one_wait(const Kind& kind) {
  const char* name = why_name(kind.why);
  World w;
  kind.before(w);
  u64 h = w.waiter = sleeper([&] {
    volatile u64 mine[40];
    fill(mine, 40);
    w.waiter = self();
    kind.waits(w);
    w.well = filled(mine, 40);
  });
  CHECK_ROW(g_at(this_m()->rt, h)->body->why.load() == kind.why, name);
  until([&] {  // a look gives up if the other M is late
    look();
    return is_asleep(h);
  });
  CHECK_ROW(asleep() == 1, name);
  CHECK(this_m()->rt->scan.bytes.load() > 0);
  kind.ends(w);
  (void)join(h);
  CHECK_ROW(w.result == 0, name);
  CHECK_ROW(w.well, name);
  if (kind.why == Why::chan_recv || kind.why == Why::select) {
    CHECK_ROW((w.got == 0 || w.got == 1 || w.got == 78), name);
  }
  CHECK(asleep() == 0);
  CHECK(this_m()->rt->scan.bytes.load() == 0);
}

}  // namespace

TEST_CASE("hibernate: every kind of wait goes on with its result") {
  UNIT_NEEDS_HIBERNATION
  for (const Config& c : {still(), still(2), seeded(7)}) {
    in_g(c, [&] {
      for (const Kind& kind : kKinds) {
        if (!kind.timed || c.deterministic) {
          one_wait(kind);
        }
      }
    });
  }
}
