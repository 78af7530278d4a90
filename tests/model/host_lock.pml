/* A domain with a host lock changes hands while its G is outside thrum.
 *
 *   Guest   call_guest, EnterParking, ~EnterParking, enter_slow,
 *           domain_left_behind                  enter.hpp, blocking.cpp, domain.cpp
 *           let_go, come_back: a call that declares that it blocks  blocking.cpp
 *   Sysmon  look_at                             domain.cpp
 *   Other   domain_run on another M             domain.cpp
 *
 * M::in_core and M::retake are the two flags of a Dekker whose fast side has no
 * fence: the guest's store of in_core stays in its CPU's buffer until the CPU or
 * sysmon's membarrier drains it. `inside` counts who works on the domain's queue
 * as its holder: never two. A guest that has lost the domain knows it before it
 * touches it, and its G is queued. BROKEN_BLOCKING_DOOR: thrum_enter_blocking
 * through a door that does not look, so that its store hides that all is lost.
 * SPDX-License-Identifier: MIT
 */
mtype = { none, asked, taken, blocked };

mtype retake = none;
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

active proctype Guest() {
  byte calls;
  bool gone, blocks;
  do
  :: calls < 3 ->
     calls++;
     if :: blocks = false :: blocks = true fi;
     /* enter: in_core = 1, relaxed; a compiler fence; a look at retake */
     buffered = true;
     if
     :: retake == none
#ifdef BROKEN_BLOCKING_DOOR
     :: retake != none && blocks
     :: retake != none && !blocks ->
#else
     :: retake != none ->
#endif
#ifdef BROKEN_NO_WITHDRAW
        /* a look and a plain store in place of the CAS */
        if
        :: retake == asked -> retake = none
        :: else -> gone = true; retake = none
        fi
#else
        if
        :: atomic { retake == asked -> retake = none; drain_buffer() }
        :: atomic { retake != asked -> drain_buffer() }; gone = true; retake = none
        fi
#endif
     fi;
     if
     :: gone -> break /* route: to the domain, from the loop */
     :: else
     fi;
     touch();
     /* leave: in_core = 0, release: after all that was done in the core */
#ifdef BROKEN_RELAXED_EXIT
     if
     :: late = true
     :: true
     fi;
#endif
     if
     :: blocks -> retake = blocked /* let_go: a plain store */
     :: else
     fi;
     atomic { drain_buffer(); in_core = false };
     if
     :: blocks ->
        buffered = true;
        retake = none; /* come_back */
        touch();
        atomic { drain_buffer(); in_core = false }
     :: else
     fi
  :: true -> break
  od
}

active proctype Sysmon() {
  byte looks;
  bool outside;
end:
  do
  :: looks < 3 && holder == 1 && waits ->
     looks++;
     lock_domain();
     if
     :: holder == 1 && !in_core ->
        if
        :: atomic { retake == none -> retake = asked };
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
           if
           :: outside -> retake = taken; holder = 0; token = true
           :: else -> retake = none
           fi
#else
           if
           :: atomic { retake == asked ->
                if :: outside -> retake = taken :: else -> retake = none fi };
              if
              :: outside -> holder = 0; token = true
              :: else
              fi
           :: atomic { retake != asked -> skip }
           fi
#endif
        :: atomic { retake != none -> skip }
        fi
     :: else
     fi;
     unlock_domain();
     outside = false
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
