// chan/select.cpp over two channels: one arm wins, with its value and in both
// sides' eyes; no node of a losing arm stays behind; and once the call has
// returned both channels may go.
// SPDX-License-Identifier: MIT
#include "letter.hpp"

namespace {

using namespace thrum;

struct Shared {
  Chan* a;
  Chan* b;
  Letter letters[4];
  int got[4];  // letters that arrived
  int sent[4];
  u64 g;
};
Shared* s;

void prepare(u32 capacity, unsigned ms) {
  s = explore::make<Shared>();
  rig::ideal(ms);
  MUST(chan_new(sizeof(Letter*), capacity, &s->a) == 0);
  MUST(chan_new(sizeof(Letter*), capacity, &s->b) == 0);
  // Both orders of polling: the seeds 1 and 3 draw differently.
  unsigned seed = explore::choose(2) ? 1 : 3;
  explore::set_ticks(seed - 1);
  for (unsigned i = 0; i < ms; ++i) {
    rig::m(i)->p->choice.state = seed;
  }
}

int send(Chan* c, int which, i64 deadline = kForever) {
  return send_letter(c, s->letters, which, deadline);
}

void arrived(Letter* l) {
  MUST(l && l->written == l - s->letters + 1);
  MUST(++s->got[l - s->letters] == 1);
}

// Receives from both, once; returns the arm or an error.
int receive_any(i64 deadline) {
  M* m = this_m();
  Letter* l[2] = {};
  SelectCase cases[2] = {{s->a, &l[0], kRecv, 9}, {s->b, &l[1], kRecv, 9}};
  int won = select(m, cases, 2, deadline);
  if (won >= 0) {
    MUST(cases[won].result == 0 && cases[1 - won].result == 9);
    MUST(!l[1 - won]);
    arrived(l[won]);
  } else {
    MUST(!l[0] && !l[1]);
  }
  return won;
}

void release_both() {
  MUST(s->a->recvq.empty() && s->a->sendq.empty());
  MUST(s->b->recvq.empty() && s->b->sendq.empty());
  chan_release(s->a);
  chan_release(s->b);
}

// ---- two senders, and the selecting side frees the channels -------------------------

void takes_two(void*) {
  int first = receive_any(kForever);
  int second = receive_any(kForever);
  MUST(first >= 0 && second == 1 - first);
  release_both();
}
void two_before() { prepare(0, 1); }
void two_thread(unsigned i) {
  if (i == 0) {
    return takes_two(nullptr);
  }
  MUST(send(i == 1 ? s->a : s->b, static_cast<int>(i)) == 0);
}
void two_g_before() {
  prepare(0, 1);
  rig::go(takes_two, nullptr);
}
void two_g_thread(unsigned i) { i == 0 ? rig::run(0) : two_thread(i); }

// One sender only: the other channel has a losing node to give up.
void takes_one(void*) {
  MUST(receive_any(kForever) == 0);
  release_both();
}
void one_thread(unsigned i) {
  if (i == 0) {
    return takes_one(nullptr);
  }
  MUST(send(s->a, 1) == 0);
}
void sends_one(void*) { MUST(send(s->a, 1) == 0); }
void one_g_before() {
  prepare(0, 2);
  rig::go(takes_one, nullptr);
  rig::go(sends_one, nullptr);
}
void run_g(unsigned i) { rig::run(i); }

// ---- a select against a select --------------------------------------------------------

// Each would send on one channel and receive from the other: one of the two
// pairings comes about, for both.
int offer(Chan* to, Chan* from, int which) {
  M* m = this_m();
  Letter* out = &s->letters[which];
  out->written = which + 1;
  Letter* in = nullptr;
  SelectCase cases[2] = {{to, &out, kSend, 9}, {from, &in, kRecv, 9}};
  int won = select(m, cases, 2, kForever);
  MUST(won == 0 || won == 1);
  MUST(cases[won].result == 0 && cases[1 - won].result == 9);
  if (won == 1) {
    arrived(in);
    MUST(in - s->letters == 1 - which);
  } else {
    MUST(!in);
    s->sent[which] = 1;
  }
  return won;
}
void first(void*) { offer(s->a, s->b, 0); }
void second(void*) { offer(s->b, s->a, 1); }
void pair_thread(unsigned i) { i == 0 ? first(nullptr) : second(nullptr); }
void pair_g_before() {
  prepare(0, 2);
  rig::go(first, nullptr);
  rig::go(second, nullptr);
}
void pair_after() {
  MUST(s->sent[0] + s->sent[1] == 1);
  MUST(s->got[0] == s->sent[0] && s->got[1] == s->sent[1]);
  release_both();
}

// ---- close, deadline, cancel --------------------------------------------------------------

void closes(void*) {
  M* m = this_m();
  Letter* l[2] = {};
  SelectCase cases[2] = {{s->a, &l[0], kRecv, 9}, {s->b, &l[1], kRecv, 9}};
  int won = select(m, cases, 2, kForever);
  MUST(won == 0 || won == 1);
  if (cases[won].result == 0) {
    MUST(won == 0);
    arrived(l[0]);
  } else {
    MUST(won == 1 && cases[1].result == kECLOSED);
    MUST(s->letters[3].written == 7);
  }
}
void close_thread(unsigned i) {
  if (i == 0) {
    return closes(nullptr);
  }
  if (i == 1) {
    s->sent[1] = send(s->a, 1, kTry) == 0;
    return;
  }
  s->letters[3].written = 7;
  MUST(chan_close(nullptr, s->b) == 0);
}
void got_what_was_sent() {
  MUST(s->got[1] == s->sent[1]);
  release_both();
}

void late(void*) {
  int won = receive_any(kDue);
  MUST(won == 0 || won == kETIMEDOUT);
}
void late_thread(unsigned i) {
  if (i == 0) {
    return late(nullptr);
  }
  s->sent[1] = send(s->a, 1, kTry) == 0;
}
// A thief fires the timer of the parked select while a sender comes.
void late_g_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  if (i == 1) {
    set_this_m(rig::m(1));
    run_timers(rig::m(1), rig::rt->ps[0], kDue);
    return rig::run(1);
  }
  // Else nothing might end the wait.
  if (!(s->sent[1] = send(s->a, 1, kTry) == 0)) {
    int err = cancel(nullptr, rig::rt, s->g);
    MUST(err == 0 || err == kESTALE);
  }
}

void wavering(void*) {
  int won = receive_any(kForever);
  MUST(won == 0 || won == kECANCELED);
}
void cancel_before() {
  prepare(0, 2);
  s->g = rig::go(wavering, nullptr);
}
void cancel_thread(unsigned i) {
  if (i < 2) {
    return rig::run(i);
  }
  s->sent[1] = send(s->a, 1, kTry) == 0;
  int err = cancel(nullptr, rig::rt, s->g);
  MUST(err == 0 || err == kESTALE);
}
void late_or_cancelled(void*) {
  int won = receive_any(kDue);
  MUST(won == 0 || won == kETIMEDOUT || won == kECANCELED);
}
void late_g2_before() {
  prepare(0, 2);
  s->g = rig::go(late_or_cancelled, nullptr);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"two", 3, two_before, two_thread, nullptr, 2, 20000},
    {"two_g", 3, two_g_before, two_g_thread, nullptr, 2, 20000},
    {"one", 2, two_before, one_thread, nullptr, 3, 20000},
    {"one_g", 2, one_g_before, run_g, nullptr, 3, 20000},
    {"pair", 2, two_before, pair_thread, pair_after, 3, 20000},
    {"pair_g", 2, pair_g_before, run_g, pair_after, 2, 20000},
    {"close", 3, two_before, close_thread, got_what_was_sent, 2, 20000},
    {"late", 2, two_before, late_thread, got_what_was_sent, 3, 20000},
    {"late_g", 3, late_g2_before, late_g_thread, got_what_was_sent, 2, 20000},
    {"cancel", 3, cancel_before, cancel_thread, got_what_was_sent, 2, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
