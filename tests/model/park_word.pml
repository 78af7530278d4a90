/* The word of a G and its timer: one wait, many who would end it.
 *
 *   G        park, wait_begin, wait, disarm         park.cpp, wait.hpp
 *   Left     finish, commit_park, commit_timed, commit_late, claim_self
 *                                                   switch.hpp, park.cpp
 *   Unpark   unpark        Cancel  cancel, cancel_once        join.cpp
 *   Firer    run_timers, claim                      timers.cpp, g.hpp
 *   Resumer  execute on some other M                loop.cpp
 *
 * A CAS loop whose decision depends on the word alone is one atomic step. The G
 * goes on parking until it has had the permit and the cancel, then once more with
 * a deadline: nothing may be lost, delivered twice, or written behind its back.
 * SPDX-License-Identifier: MIT
 */
#define PERMIT 1
#define CANCEL 2
#define WAIT 4
#define PARKED 8
#define ANSWERING 16

mtype = { zero, cancelled, timedout };

byte word;
bool timer_lock, armed;
bool on_stack = true; /* the G's registers are in a CPU, not saved */
bool past = true;     /* its wait is over: its body is its own again */
mtype result;
bool over;
byte zeros, cancels, timed_waits;

chan after = [0] of { bool };  /* M::after: was there a deadline? */
chan runq = [2] of { bool };
chan resume = [0] of { bool };

inline end_wait(r) { /* the claimer: result, then ready */
#ifdef BROKEN_READY_FIRST
  runq!true;
  assert(!on_stack && !past);
  result = r;
#else
  assert(!on_stack && !past);
  result = r;
  runq!true;
#endif
}

inline lock_timers() { atomic { !timer_lock -> timer_lock = true } }
inline unlock_timers() { timer_lock = false }

proctype Left() {
  bool timed;
  byte old;
end:
  do
  :: after?timed ->
#ifndef BROKEN_EARLY_PHASE
     on_stack = false;
#endif
     if
     :: timed ->
#ifdef BROKEN_ARM_UNLOCKED
        armed = true;
        atomic { old = word; word = word | WAIT | PARKED }
#else
        lock_timers();
        armed = true;
        atomic { old = word; word = word | WAIT | PARKED }
        unlock_timers()
#endif
     :: else -> atomic { old = word; word = word | WAIT | PARKED }
     fi;
#ifdef BROKEN_EARLY_PHASE
     on_stack = false;
#endif
#ifndef BROKEN_NO_LATE
     if
     :: old & PERMIT ->
        if
        :: atomic { (word & WAIT) && (word & PARKED) && (word & PERMIT) ->
             word = word & ~(WAIT | PARKED | PERMIT) };
           end_wait(zero)
        :: atomic { !((word & WAIT) && (word & PARKED) && (word & PERMIT)) ->
             skip }
        fi
     :: !(old & PERMIT) && (old & CANCEL) ->
        if
        :: atomic { (word & WAIT) && (word & CANCEL) ->
             word = (word & ~(WAIT | PARKED | CANCEL)) | ANSWERING };
           end_wait(cancelled)
        :: atomic { !((word & WAIT) && (word & CANCEL)) -> skip }
        fi
     :: else
     fi;
#endif
     old = 0; timed = false
  od
}

proctype Resumer() {
  bool any;
end:
  do
  :: runq?any ->
     assert(!on_stack); /* else it would run on two stacks at once */
     resume!true;
     any = false
  od
}

inline g_park(timed) {
  if
  :: atomic { word & PERMIT -> word = word & ~PERMIT; zeros++ }
  :: atomic { !(word & PERMIT) && (word & CANCEL) -> /* take_cancel */
       word = word & ~CANCEL; cancels++ }
  :: atomic { !(word & PERMIT) && !(word & CANCEL) -> past = false };
     /* Here a request may still come: commit_late sees it. */
     after!timed;
     resume?_;
     on_stack = true;
#ifndef BROKEN_NO_DISARM
     if
     :: timed && armed ->
        lock_timers();
        armed = false;
        unlock_timers()
     :: else
     fi;
#endif
     atomic {
       past = true;
       if
       :: result == zero -> zeros++
       :: result == cancelled -> cancels++; word = word & ~ANSWERING
       :: else
       fi
     }
  fi
}

active proctype G() {
  do
  :: zeros == 1 && cancels == 1 -> break
  :: !(zeros == 1 && cancels == 1) && timed_waits < 2 ->
     timed_waits++;
     g_park(true)
  :: !(zeros == 1 && cancels == 1) -> g_park(false)
  od;
  g_park(true);
  assert(zeros == 1 && cancels == 1);
  over = true
}

active proctype Unpark() {
  if
  :: atomic { (word & WAIT) && (word & PARKED) ->
       word = word & ~(WAIT | PARKED) };
     end_wait(zero)
  :: atomic { !((word & WAIT) && (word & PARKED)) -> word = word | PERMIT }
  fi
}

active proctype Cancel() {
#ifdef BROKEN_CLAIM_STORE
  byte v = word; /* a look, and later a store */
  if
  :: v & WAIT -> word = (v & ~(WAIT | PARKED)) | ANSWERING; end_wait(cancelled)
  :: else -> word = v | CANCEL
  fi
#else
  if
  :: atomic { word & WAIT -> word = (word & ~(WAIT | PARKED)) | ANSWERING };
     end_wait(cancelled)
  :: atomic { !(word & WAIT) -> word = word | CANCEL }
  fi
#endif
}

active proctype Firer() {
  bool mine;
end:
  do
  :: armed ->
     lock_timers();
     if
     :: armed ->
        atomic {
          mine = (word & WAIT) != 0;
          if :: mine -> word = word & ~(WAIT | PARKED) :: else fi
        };
        if
        :: mine -> assert(!on_stack && !past); result = timedout
        :: else
        fi;
        assert(!past); /* TimerHeap::fired writes into the body */
        armed = false
     :: else
     fi;
     unlock_timers();
     if :: mine -> runq!true :: else fi;
     mine = false
  od
}

init {
  atomic { run Left(); run Left(); run Resumer(); run Resumer() }
  over /* and if it never is, no end is valid */
}
