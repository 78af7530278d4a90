// Attempts to connect beside each other.
#include <sys/socket.h>

#include "../objects.hpp"
#include "net/dial.hpp"

using namespace unit;

namespace {

int open_at(os::Address& at) {
  int fd = os::sock_open(os::Family::v4, os::kStream);
  CHECK(fd >= 0);
  os::address_parse(at, "127.0.0.1", os::address_port(at));
  return fd;
}

// Takes one connection, and answers no other.
struct Full {
  os::Address at{};
  int listener = open_at(at);
  int one = open_at(at);
  Full() {
    int err = os::sock_bind(listener, at);
    err = err ? err : os::sock_listen(listener, 0);
    err = err ? err : os::sock_name(listener, at);
    CHECK(err == 0);
    (void)os::sock_connect(one, at);
    CHECK(os::fd_sleep(listener, soon()));
  }
  ~Full() {
    os::fd_close(listener);
    os::fd_close(one);
  }
};

struct Dial {
  Runtime* rt;
  os::Address to[2];
  int result = 1;
};
void dial(void* arg) {
  auto* d = static_cast<Dial*>(arg);
  M* m = nullptr;
  Stream* s;
  d->result = dial_any(m, d->rt, d->to, 2, &s, kForever);
}

}  // namespace

TEST_CASE("dial: a stop of the runtime ends all attempts, and says so") {
  Full full;
  Rt rt(1);
  Dial d{rt.rt, {full.at, full.at}};
  os::Thread t;
  int err = os::thread_start(t, dial, &d, "dial");
  REQUIRE(err == 0);
  while (live_gs(rt.rt) < 2) {
    os::thread_yield();
  }
  err = rt_stop(nullptr, rt.rt, soon());
  CHECK(err == 0);
  os::thread_join(t);
  CHECK(d.result == kECLOSED);
}
