// chan/chan.cpp between Gs and foreign threads: a value arrives once, in order,
// with what its sender did in sight; a call that fails took and wrote nothing;
// and after the last effect was seen the channel may go: nobody touches it.
// SPDX-License-Identifier: MIT
#include "letter.hpp"

namespace {

using namespace thrum;

struct Shared {
  Chan* c;
  Letter letters[4];
  int sent, received, refused, closed;
  u64 g;
};
Shared* s;

void prepare(u32 capacity, unsigned ms) {
  s = explore::make<Shared>();
  rig::ideal(ms);
  MUST(chan_new(sizeof(Letter*), capacity, &s->c) == 0);
}

int send(int which, i64 deadline = kForever) {
  return send_letter(s->c, s->letters, which, deadline);
}

// What arrived: the letter's number, or the error.
int receive(i64 deadline = kForever) {
  M* m = this_m();
  Letter* l = nullptr;
  int result = chan_recv(m, s->c, &l, deadline);
  if (result) {
    MUST(!l);
    return result;
  }
  MUST(l && l->written == l - s->letters + 1);
  return static_cast<int>(l - s->letters);
}

// ---- rendezvous, and the receiver frees the channel -------------------------------

void sender(void*) { MUST(send(0) == 0); }
void receiver(void*) {
  MUST(receive() == 0);
  chan_release(s->c);
}

void meet_before() { prepare(0, 1); }
void meet_thread(unsigned i) { i == 0 ? sender(nullptr) : receiver(nullptr); }

void meet_g_before() {
  prepare(0, 2);
  rig::go(sender, nullptr);
  rig::go(receiver, nullptr);
}
void run_g(unsigned i) { rig::run(i); }

// A G and a thread.
void meet_mixed_before() {
  prepare(0, 1);
  rig::go(receiver, nullptr);
}
void meet_mixed_thread(unsigned i) { i == 0 ? rig::run(0) : sender(nullptr); }
void meet_mixed2_before() {
  prepare(0, 1);
  rig::go(sender, nullptr);
}
void meet_mixed2_thread(unsigned i) {
  i == 0 ? rig::run(0) : receiver(nullptr);
}

// ---- a buffer of one: the sender parks when it is full ------------------------------

void sends_three(void*) {
  for (int i = 0; i < 3; ++i) {
    MUST(send(i) == 0);
  }
}
void receives_three(void*) {
  for (int i = 0; i < 3; ++i) {
    MUST(receive() == i);
  }
  chan_release(s->c);
}
void buffer_before() { prepare(1, 1); }
void buffer_thread(unsigned i) {
  i == 0 ? sends_three(nullptr) : receives_three(nullptr);
}
void buffer_g_before() {
  prepare(1, 2);
  rig::go(sends_three, nullptr);
  rig::go(receives_three, nullptr);
}

// ---- close: two receivers and a value that was sent before -----------------------------

void close_before() { prepare(1, 1); }
void close_thread(unsigned i) {
  if (i == 0) {
    MUST(send(0) == 0);
    s->letters[3].written = 7;
    MUST(chan_close(nullptr, s->c) == 0);
    return;
  }
  int got = receive();
  if (got == 0) {
    ++s->received;
    got = receive();
  }
  MUST(got == kECLOSED);
  MUST(s->letters[3].written == 7);
}
void close_after() { MUST(s->received == 1); }

// Parked senders: their values stay theirs.
void refuse_thread(unsigned i) {
  if (i == 0) {
    MUST(chan_close(nullptr, s->c) == 0);
    MUST(receive(kTry) == kECLOSED);
    return;
  }
  MUST(send(static_cast<int>(i)) == kECLOSED);
}
void refuse_before() { prepare(0, 1); }

// ---- deadlines and cancels: both sides agree ---------------------------------------

void late_before() { prepare(0, 1); }
void late_thread(unsigned i) {
  if (i == 0) {
    int result = send(0, kDue);
    MUST(result == 0 || result == kETIMEDOUT);
    s->sent = result == 0;
    return;
  }
  int result = receive(kDue);
  MUST(result == 0 || result == kETIMEDOUT);
  s->received = result == 0;
}
void late_after() {
  MUST(s->sent == s->received);
  MUST(s->c->recvq.empty() && s->c->sendq.empty());
}

void wavering(void*) {
  int result = receive();
  MUST(result == 0 || result == kECANCELED);
  s->received = result == 0;
}
void cancel_before() {
  prepare(0, 1);
  s->g = rig::go(wavering, nullptr);
}
void cancel_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  if (i == 1) {
    int err = cancel(nullptr, rig::rt, s->g);
    MUST(err == 0 || err == kESTALE);
    return;
  }
  s->sent = send(0, kTry) == 0;
}

void timed(void*) {
  int result = receive(kDue);
  MUST(result == 0 || result == kETIMEDOUT || result == kECANCELED);
  s->received = result == 0;
}
void timer_before() {
  prepare(0, 2);
  s->g = rig::go(timed, nullptr);
}
// A thief fires the timer of the parked receiver while a sender comes.
void timer_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  if (i == 1) {
    set_this_m(rig::m(1));
    run_timers(rig::m(1), rig::rt->ps[0], kDue);
    return rig::run(1);
  }
  s->sent = send(0, kTry) == 0;
  if (!s->sent) {  // else nothing might end the wait
    int err = cancel(nullptr, rig::rt, s->g);
    MUST(err == 0 || err == kESTALE);
  }
}

// ---- the last reference ------------------------------------------------------------

// Both sides own one; the value in the buffer is seen, and dropped once.
void owners_before() {
  prepare(1, 1);
  chan_retain(s->c);
}
void owners_thread(unsigned i) {
  if (i == 0) {
    MUST(send(0) == 0);
  } else {
    int got = receive(kTry);
    MUST(got == 0 || got == kEAGAIN);
  }
  chan_release(s->c);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"meet", 2, meet_before, meet_thread, nullptr, 4, 20000},
    {"meet_g", 2, meet_g_before, run_g, nullptr, 4, 20000},
    {"meet_mixed", 2, meet_mixed_before, meet_mixed_thread, nullptr, 4, 20000},
    {"meet_mixed2", 2, meet_mixed2_before, meet_mixed2_thread, nullptr, 4,
     20000},
    {"buffer", 2, buffer_before, buffer_thread, nullptr, 3, 20000},
    {"buffer_g", 2, buffer_g_before, run_g, nullptr, 2, 20000},
    {"close", 3, close_before, close_thread, close_after, 2, 20000},
    {"refuse", 3, refuse_before, refuse_thread, nullptr, 2, 20000},
    {"late", 2, late_before, late_thread, late_after, 3, 20000},
    {"cancel", 3, cancel_before, cancel_thread, late_after, 2, 20000},
    {"timer", 3, timer_before, timer_thread, late_after, 2, 20000},
    {"owners", 2, owners_before, owners_thread, nullptr, 4, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
