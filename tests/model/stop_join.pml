/* rt_stop: every G ends, then every M leaves and is joined; nobody comes after.
 *
 *   Stop   rt_stop, cancel_all, drain, join_ms              lifecycle.cpp
 *   G      wait_begin, commit_park, commit_late; leave_for_good, exit_counted
 *                                            park.cpp, exit.cpp, lifecycle.cpp
 *   Spawn  spawn by a thread that is no M: counts itself, looks at `stopping`;
 *          then start_m, m_create        spawn.cpp, ready.cpp, lifecycle.cpp
 *   M      m_main, find_runnable, go_idle, sleep_idle       loop.cpp
 *
 * What happens under Runtime.lock is one step. A timed wait of Stop runs out when
 * nothing else moves. Gs wait for ever unless they are cancelled; one that is
 * cancelled while it runs is so at its next wait.
 * SPDX-License-Identifier: MIT
 */
#define MS 2

mtype = { unborn, queued, runs, waits, ended };

mtype g[2] = unborn;
bool request[2]; /* kCancel, which stays while the runtime stops */
bool stopping, closing, freed;
bool leaving[MS], idle[MS], note[MS], exists[MS], gone[MS];
byte made, creating, joined, stop_note, rounds;
byte counted; /* live_gs: spawned less ended */

#define work (g[0] == queued || g[1] == queued)
#define over(i) (g[i] == unborn || g[i] == ended)

/* Stop has returned: no M may touch the runtime. */
#define alive() assert(!freed)

inline start_m() {
  atomic {
    n = MS;
    if
    :: idle[0] -> idle[0] = false; note[0] = true
    :: !idle[0] && idle[1] -> idle[1] = false; note[1] = true
#ifdef BROKEN_NO_CLOSING
    :: !idle[0] && !idle[1] && made < MS ->
#else
    :: !idle[0] && !idle[1] && made < MS && !closing ->
#endif
       n = made; made++; creating++
    :: else
    fi
  };
  if
  :: n < MS ->
     exists[n] = true; /* m_make: in the list, but not to be joined yet */
     run M(n);
     creating--
  :: else
  fi
}

proctype M(byte me) {
  byte i;
  bool sleeps;
  alive();
  do
  :: atomic { work ->
       if :: g[0] == queued -> i = 0 :: else -> i = 1 fi;
       g[i] = runs };
     alive();
     if
     :: atomic { !request[i] -> /* the RMW shows what was requested before it */
          g[i] = waits }
     :: true -> /* done anyway, or cancelled */
        atomic { g[i] = ended; counted--; stop_note++ }
     fi
  :: !work ->
     atomic {
       alive();
       if
       :: leaving[me] -> break
       :: else -> idle[me] = true; sleeps = true
       fi
     };
     if
     :: work -> atomic { /* go_idle looks again: wake_p */
          if :: idle[me] -> idle[me] = false; note[me] = true :: else fi }
     :: else
     fi;
     note[me];
     note[me] = false;
     if :: leaving[me] -> break :: else fi
  od;
  alive();
  gone[me] = true
}

proctype Spawn() {
  byte n, i;
#ifndef BROKEN_COUNT_LATE
  counted++;
#endif
  if
  :: stopping ->
#ifndef BROKEN_COUNT_LATE
     counted--
#else
     skip
#endif
  :: !stopping ->
     atomic {
#ifdef BROKEN_COUNT_LATE
       counted++;
#endif
       if :: g[0] == unborn -> i = 0 :: else -> i = 1 fi;
       g[i] = queued
     };
     start_m()
  fi
}

proctype Stop() {
  byte i, seen, n;
  bool cancelled;
  stopping = true;
  do
  :: counted == 0 -> break
  :: counted > 0 ->
#ifdef BROKEN_CANCEL_ONCE
     if :: !cancelled -> i = 0 :: else -> i = 2 fi;
     cancelled = true;
#else
     i = 0;
#endif
     do
     :: i == 2 -> break
     :: i < 2 ->
        atomic {
          if
          :: g[i] == waits -> g[i] = queued; request[i] = true
          :: g[i] == queued || g[i] == runs -> request[i] = true
          :: else
          fi;
          i++
        }
     od;
     seen = stop_note;
     if
     :: counted > 0 && work -> start_m()
     :: else
     fi;
     if
     :: counted == 0 || stop_note != seen
     :: timeout -> assert(rounds < 3); rounds++ /* its 10 ms are over */
     fi
  od;
  closing = true;
#ifndef BROKEN_NO_CREATING
  creating == 0;
#endif
  atomic {
    i = 0;
    do
    :: i == MS -> break
    :: i < MS ->
       if
       :: exists[i] -> leaving[i] = true; idle[i] = false
       :: else
       fi;
       i++
    od;
    i = 0
  };
  do
  :: i == MS -> break
  :: i < MS ->
     if
     :: exists[i] ->
#ifndef BROKEN_NO_NOTE
        note[i] = true;
#endif
        gone[i];
        joined++
     :: else
     fi;
     i++
  od;
  assert(joined == made && over(0) && over(1));
  freed = true
}

init {
  atomic {
    exists[0] = true; made = 1;
    run M(0); run Spawn(); run Spawn(); run Stop()
  }
}
