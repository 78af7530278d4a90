/* mutant_select.c: what a select leaves behind. Written against a planted defect (tests/mutants): one of 16 arms that did
 * not win stays in its channel's queue. As long as its G does not wait, such an arm looks claimed and is passed over; when
 * the G waits for something else, a peer wins it and wakes the G for nothing. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

enum { LOSERS = 4, SELECTS = 40 };
struct leftovers {
  thrum_chan *wins, *loses[LOSERS], *other;
  word about;
};

static thrum_chan* chan_of(uint32_t capacity) {
  thrum_chan* ch = NULL;
  REQUIRE_EQ(thrum_chan_new(sizeof(int), capacity, &ch), 0);
  return ch;
}

static void select_then_wait(void* arg) {
  struct leftovers* l = arg;
  for (int i = 0; i < SELECTS; i++) {
    int got[LOSERS + 1], v = -1;
    thrum_case arms[LOSERS + 1] = {{l->wins, &got[0], THRUM_RECV, 0}};
    for (int k = 0; k < LOSERS; k++)
      arms[k + 1] = (thrum_case){l->loses[k], &got[k + 1], THRUM_RECV, 0};
    add(&l->about, 1);
    CHECK_EQ(thrum_select(arms, LOSERS + 1, THRUM_FOREVER), 0);
    CHECK_EQ(got[0], i);
    add(&l->about, 1);
    int rc = thrum_chan_recv(l->other, &v, THRUM_FOREVER);
    CHECK_MSG(rc == 0 && v == i, "select %d: woken for nothing, with %d and %d",
              i, rc, v);
  }
}
static void offer_to_losers(void* arg) {
  struct leftovers l;
  (void)arg;
  memset(&l, 0, sizeof l);
  l.wins = chan_of(0);
  l.other = chan_of(0);
  for (int k = 0; k < LOSERS; k++)
    l.loses[k] = chan_of(0);
  thrum_g g = go(select_then_wait, &l);
  for (int i = 0; i < SELECTS; i++) {
    yield_until(&l.about, 2 * i + 1);
    CHECK_EQ(thrum_chan_send(l.wins, &i, THRUM_TRY), 0);
    yield_until(&l.about, 2 * i + 2);
    int v = 1000;
    for (int k = 0; k < LOSERS; k++) {
      int rc = thrum_chan_send(l.loses[k], &v, THRUM_TRY);
      if (rc == THRUM_EAGAIN)
        continue;
      CHECK_MSG(0, "select %d: arm %d is still in its channel's queue (%d)", i,
                k + 1, rc);
      _exit(1);
    }
    CHECK_EQ(thrum_chan_send(l.other, &i, THRUM_TRY), 0);
  }
  join_g(g);
  thrum_chan_release(l.wins);
  thrum_chan_release(l.other);
  for (int k = 0; k < LOSERS; k++)
    thrum_chan_release(l.loses[k]);
}
TEST(arms_that_did_not_win_are_gone) { in_sequence(offer_to_losers, NULL); }

static const struct check_case cases[] = {
    CASE(arms_that_did_not_win_are_gone),
};
CHECK_MAIN(cases)
