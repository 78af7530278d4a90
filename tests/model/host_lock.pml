/* A domain with a host lock changes hands while its G is outside thrum.
 *
 *   Guest   EnterParking, Enter, enter_slow, domain_left_behind
 *                                                enter.hpp, retake.cpp, domain.cpp
 *           enter_blocking, exit_blocking        blocking.cpp
 *   Sysmon  look_at, Door::take                  domain.cpp, door.hpp
 *   Other   domain_run on another M              domain.cpp
 *
 * Door::in_core and Door::word are the flags of a Dekker whose fast side has no
 * fence: the guest's store of in_core stays in its CPU's buffer until the CPU or
 * sysmon's membarrier drains it. `inside` counts who works as the domain's holder:
 * never two. A guest that has lost the domain knows it before it parks, or goes on
 * from a block; its G is queued. BROKEN_BLIND_EXIT: thrum_exit_blocking does not
 * look whether the domain is still there.
 * (The P: retake.pml, with Door::change in two steps, which wipe requests out.)
 * SPDX-License-Identifier: MIT
 */
#define ASKED 1
#define TAKEN 4
#define DECLARED 16

byte word;
bool in_core, buffered; /* the guest's own value is in_core || buffered */
bool domain_lock;
byte holder = 1;        /* Domain.holder: 1 the guest's M, 2 another; 0 none */
bool token;             /* queued */
byte inside;            /* holders at work */
bool waits = true;      /* a G of the domain is queued: why sysmon asks */
bool late;              /* the guest's last work, still in its buffer: see below */

inline lock_domain() { atomic { !domain_lock -> domain_lock = true } }
inline unlock_domain() { domain_lock = false }

inline drain_buffer() { atomic { if :: buffered -> in_core = true; buffered = false :: else fi } }

inline touch() {
  atomic { inside++; assert(inside == 1) };
  inside--
}

/* The CPU drains the buffer whenever it likes. */
active proctype Buffer() {
end:
  do
  :: atomic { buffered -> in_core = true; buffered = false }
  :: atomic { late -> inside++; assert(inside == 1) }; inside--; late = false
  od
}

inline enter() {
  /* in_core = 1, relaxed; a compiler fence; a look at the word */
  buffered = true;
  if
  :: word == 0
  :: else ->
     /* settle */
#ifdef BROKEN_NO_WITHDRAW
     /* a look and a plain store in place of the CAS */
     seen = word;
     if
     :: seen & ASKED -> drain_buffer(); word = seen - ASKED
     :: else
     fi
#else
     if
     :: atomic { word & ASKED -> drain_buffer(); word = word - ASKED }
     :: atomic { !(word & ASKED) -> skip }
     fi
#endif
  fi;
  seen = 0
}

inline leave() {
  /* in_core = 0, release: after all that was done in the core */
#ifdef BROKEN_RELAXED_EXIT
  if
  :: late = true
  :: true
  fi;
#endif
  atomic { drain_buffer(); in_core = false }
}

inline change(off, on) {
  seen = word;
  atomic { drain_buffer(); word = (seen & (254 - (off))) | (on); seen = 0 }
}

active proctype Guest() {
  byte calls, seen;
  do
  :: calls < 3 ->
     calls++;
     enter();
     if
     :: true -> /* it parks */
        if
        :: word & TAKEN -> break /* route: to the domain, from the loop */
        :: else
        fi;
        touch()
     :: true /* it does not */
     :: true -> /* it declares that it blocks */
        if
        :: word & TAKEN -> break
        :: else
        fi;
        change(0, DECLARED);
        leave();
        enter();
        change(DECLARED, 0);
#ifndef BROKEN_BLIND_EXIT
        if
        :: word & TAKEN -> break
        :: else
        fi;
#endif
        touch()
     fi;
     leave()
  :: true -> break
  od
}

active proctype Sysmon() {
  byte looks, seen;
  bool outside;
end:
  do
  :: looks < 3 && holder == 1 && waits ->
     looks++;
     lock_domain();
     if
     :: holder == 1 && !in_core ->
        seen = word;
        if
        :: atomic { !(seen & (ASKED | TAKEN)) && word == seen ->
             word = word | ASKED };
#ifdef BROKEN_LOOK_FIRST
           outside = true; /* in_core was clear before it asked */
#else
#ifndef BROKEN_NO_FENCE
           drain_buffer();
           late == false; /* fence_all: that work is done, too */
#endif
           outside = !in_core;
#endif
#ifdef BROKEN_CLEAR
           /* unconditional: whatever the guest made of the question */
           word = (outside -> seen | TAKEN : seen);
#else
           if
           :: atomic { word & ASKED ->
                word = (outside -> (word - ASKED) | TAKEN : word - ASKED) }
           :: atomic { !(word & ASKED) -> outside = false }
           fi;
#endif
           if
           :: outside -> holder = 0; token = true
           :: else
           fi
        :: atomic { (seen & (ASKED | TAKEN)) || word != seen -> skip }
        fi
     :: else
     fi;
     unlock_domain();
     atomic { outside = false; seen = 0 }
  od
}

active proctype Other() {
end:
  do
  :: atomic { token -> token = false };
     lock_domain();
     holder = 2;
     unlock_domain();
     touch();
     waits = false;
     touch();
     lock_domain();
     holder = 0; /* let_go */
     unlock_domain();
     break
  od
}
