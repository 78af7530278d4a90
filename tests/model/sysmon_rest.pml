/* sysmon takes a rest, and nobody is left behind by it.
 *
 *   Sysmon   sysmon, rest                          sysmon.cpp
 *   Taker    idle_p_pop, free_p                    ready.cpp
 *   Outside  wake_p, sysmon_prompt, want_p         ready.cpp, ready.hpp, pinned.cpp
 *
 * One P. Taker takes it for a G that computes; once Outside has queued another,
 * until sysmon has seen that. With every P idle sysmon sleeps for good, so Taker
 * must wake it: a Dekker of two seq_cst stores. With a P at work and nobody
 * waiting it sleeps for some ticks; who queues work wakes it, but looks with a
 * plain load: if the store of what is queued may still be in a buffer, the end of
 * that sleep mends it, at a moment when nobody else moves.
 * SPDX-License-Identifier: MIT
 */
mtype = { tick, asleep, lazy };

mtype rest = tick;         /* Runtime.sysmon_rest */
bool note;                 /* sysmon_note */
bool idle = true, queued;
bool buffered;             /* which memory */
bool late_idle, late_work; /* those stores, still in a buffer */
bool seen_work;            /* sysmon has */
byte left = 2;

#define sees_idle (idle || late_idle)
#define sees_work (queued && !late_work)

/* A CPU drains its buffer whenever it likes. */
active proctype Buffer() {
end:
  do
  :: late_idle -> late_idle = false
  :: late_work -> late_work = false
  od
}

active proctype Taker() {
  do
  :: left > 0 ->
#ifdef BROKEN_WEAK_COUNT
     atomic { idle = false; late_idle = true };
#else
     idle = false;
#endif
#ifndef BROKEN_NO_WAKE
     if
     :: rest == asleep -> note = true
     :: else
     fi;
#endif
     !queued || seen_work; /* a slice, seen from outside, ends its turn */
     atomic { queued = false; late_idle = false; idle = true };
     left--
  :: else -> break
  od;
  note = true /* rt_stop */
}

active proctype Outside() {
  if :: buffered = true :: true fi;
  if
  :: left == 0
  :: atomic { !idle -> queued = true; late_work = buffered };
     /* beside an idle P: wake_chain.pml */
#ifndef BROKEN_NO_PROMPT
     if
     :: rest == lazy -> note = true
     :: else
     fi;
#endif
     seen_work || !queued
  fi
}

inline take_rest(how, missed) {
#ifdef BROKEN_LOOK_FIRST
  if
  :: missed
  :: else ->
     rest = how;
     sleep()
  fi
#else
  rest = how;
  if
  :: missed -> rest = tick
  :: else -> sleep()
  fi
#endif
}

inline sleep() {
  if
  :: note
  :: timeout && rest == lazy -> assert(buffered)
  fi;
  note = false;
  rest = tick
}

active proctype Sysmon() {
  bool busy, work;
  do
  :: busy = !sees_idle;
     work = sees_work;
     if
     :: work -> seen_work = true
     :: else
     fi;
     if
     :: left == 0 -> break
     :: left > 0 && !busy -> take_rest(asleep, !sees_idle)
     :: left > 0 && busy && !work -> take_rest(lazy, sees_work)
     :: left > 0 && busy && work
     fi
  od
}
