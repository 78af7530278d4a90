/* A P is taken from an M whose G blocks or computes in the guest's code.
 *
 *   Guest    Enter, EnterParking, ~EnterParking         enter.hpp, door.hpp
 *            enter_apart, enter_slow                    retake.cpp
 *            enter_blocking, let_go, exit_blocking, come_back    blocking.cpp
 *            want_p; world_call                         pinned.cpp, world.cpp
 *   Sysmon   retake, Door::take; its tick         retake.cpp, door.hpp, sysmon.cpp
 *   Spare    another M: find_runnable, go_idle, take_p, world_wait      loop.cpp
 *   Stopper  world_stop, ask_all, Door::held, world_start              world.cpp
 *   Outside  route from a thread that is no M                          ready.cpp
 *
 * One P. The guest's G (0) goes out and in, with a word or without; outside it may
 * wait for the G (1) that Outside queues, so a P that stays with it is a deadlock.
 * It comes back by a call that does not park, by one that does, or by
 * exit_blocking; without a P it finds an idle one, is queued, or, bound to its M,
 * waits in `wanting`. in_core and word are the flags of a Dekker whose fast side
 * has no fence: the store of in_core stays in its CPU's buffer until the CPU or a
 * fence of all CPUs drains it.
 *
 * `inside` counts who works with the P: never two. In the end all Gs have ended
 * and the P is idle. While the world is stopped no guest code runs, but for what
 * has declared to block. A tick at a moment when nobody else moves mends what
 * wakes have missed; a few are enough. (Who starts to look for work, and for whom:
 * wake_chain.pml.)
 * SPDX-License-Identifier: MIT
 */
#define ASKED 1
#define TAKEN 2
#define DECLARED 16
#define APART 32
#define WORLD 64
#define NOBODY 2

mtype = { idle, running, stopped };

/* The door of the guest's M. */
bool in_core = true, buffered; /* the owner's own is in_core || buffered */
byte word;
bool late; /* the owner's last work with its P, still in its buffer: see leave */

/* Ms: 0 the guest's, 1 the spare one. */
bool has[2], next_p[2], note[2], idle_m[2], wanting;
mtype state = running; /* P.state */
byte p_m;              /* P.m */
bool idle_p, looked;   /* looked: somebody was dispatched since sysmon did */

bool lock, world, stands; /* stands: whoever stopped the world believes it */
bool queued[2], ended[2], guest[2];
byte inside, blocking, ticks;
bool routed; /* G 0 is bound to its M */
byte most;   /* how often sysmon asks whenever it likes */
byte calls;  /* how often the guest goes out and in */

#define work (queued[0] || queued[1])

inline drain() { atomic { if :: buffered -> in_core = true; buffered = false :: else fi } }
inline touch() { atomic { inside++; assert(inside == 1) }; inside-- }
inline take_p(m) { atomic { has[m] = true; p_m = m; state = running } }
inline leave_p(m) {
  has[m] = false;
#ifndef BROKEN_STALE_M
  p_m = NOBODY
#endif
}

/* Runtime.lock is held for one step, but for ask_all; so what stands between
 * `atomic { !lock ->` and `}` is a section of it. */

/* In one: a P that nobody needs. */
inline free_p() {
  if
  :: wanting && !world ->
     wanting = false; state = running; next_p[0] = true; note[0] = true
  :: else -> state = idle; idle_p = true
  fi
}

/* In one: the P to an M that is idle, if there is one. */
inline give_p() {
  if
  :: idle_m[1] -> idle_m[1] = false; next_p[1] = true; note[1] = true
  :: !idle_m[1] && idle_m[0] ->
     idle_m[0] = false; next_p[0] = true; note[0] = true
  :: else -> free_p()
  fi
}

inline wake_p() {
  atomic { !lock ->
    if
    :: idle_p && !world -> idle_p = false; state = running; give_p()
    :: else
    fi
  }
}

inline world_wait() {
  atomic { !lock -> state = (world -> stopped : running) };
  do
  :: state == running -> break
  :: state == stopped ->
     atomic { !lock && !world -> state = running }
  od
}

/* ---- the owner of the door ---------------------------------------------------- */

/* Two steps: what comes in between is wiped out. */
inline change(off, on) {
  w = word;
#ifdef BROKEN_STORES_REQUESTS
  atomic { drain(); word = (w & (255 - (off))) | (on); w = 0 }
#else
  atomic { drain(); word = (w & (254 - (off))) | (on); w = 0 }
#endif
}

inline leave() {
  if
  :: has[0] -> touch()
#ifdef BROKEN_RELAXED_EXIT
  :: has[0] -> late = true
#endif
  :: else
  fi;
  atomic { assert(depth || !stands); guest[0] = !depth };
  atomic { drain(); in_core = false }
}

inline settle() {
#ifdef BROKEN_NO_WITHDRAW_CAS
  s = word;
  if
  :: s & ASKED -> s = s - ASKED; atomic { drain(); word = s }
  :: else
  fi
#else
#ifdef BROKEN_UNCONDITIONAL_CLEAR
  s = 0;
  atomic { drain(); word = 0 }
#else
  if
  :: atomic { word & ASKED -> drain(); word = word - ASKED; s = word }
  :: atomic { !(word & ASKED) -> s = word }
  fi
#endif
#endif
}

inline enter_apart() {
  settle();
  if
  :: s & TAKEN -> has[0] = false; change(TAKEN, APART)
  :: else
  fi;
  s = 0;
  if
  :: (word & APART) && !depth && idle_p ->
     atomic { !lock ->
       drain();
       if :: idle_p && !world -> idle_p = false; take_p(0) :: else fi
     };
     if
     :: has[0] -> change(APART, 0); blocking--
     :: else
     fi
  :: else
  fi
}

inline enter() {
  guest[0] = false;
  buffered = true;
  if
  :: word != 0 -> enter_apart()
  :: else
  fi
}

inline want_p() {
  atomic { !lock ->
    if
    :: idle_p && !world -> idle_p = false; state = running; next_p[0] = true
    :: else -> wanting = true
    fi
  };
  do /* await_p */
  :: atomic { !lock && next_p[0] -> next_p[0] = false; take_p(0) }; break
  :: atomic { !next_p[0] && note[0] -> note[0] = false }
  od
}

/* A P, or G 0 is queued and gone from here. */
inline come_back() {
  atomic { !lock ->
    drain();
    if :: idle_p && !world -> idle_p = false; take_p(0) :: else fi
  };
  change(APART | DECLARED, 0);
  if
  :: !has[0] && !routed ->
     gone = true;
     atomic { !lock -> queued[0] = true; blocking-- };
     wake_p() /* a P may have gone idle since */
  :: !has[0] && routed -> want_p(); blocking--
  :: has[0] -> blocking--
  fi
}

inline world_call() {
  change(WORLD, 0);
  if
  :: world && has[0] -> world_wait()
  :: else
  fi
}

inline enter_slow() {
  if
  :: word & APART -> come_back()
  :: !(word & APART) && (word & DECLARED) -> change(DECLARED, 0)
  :: else
  fi;
  if
  :: !gone && (word & WORLD) -> world_call()
  :: else
  fi
}

inline enter_blocking() {
  depth = true;
  if
  :: has[0] -> change(0, DECLARED)
  :: has[0] -> /* let_go */
     blocking++;
     leave_p(0);
     change(0, APART | DECLARED);
     atomic { !lock -> give_p() }
  :: !has[0] -> change(0, DECLARED)
  fi
}

inline exit_blocking() {
  depth = false;
  if
  :: word & APART -> come_back()
  :: else -> change(DECLARED, 0)
  fi;
  if
  :: !gone && (word & WORLD) -> enter_slow()
  :: else
  fi
}

/* ---- Ms ------------------------------------------------------------------------ */

inline execute(m, i) {
  atomic { looked = false; assert(!stands); guest[m] = true };
  guest[m] = false;
  touch();
  ended[i] = true
}

inline loop_once(m) {
  if
  :: atomic { !lock && !has[m] && note[m] ->
       note[m] = false;
       if :: next_p[m] -> next_p[m] = false; take_p(m) :: else fi
     }
  :: has[m] && world -> world_wait()
  :: atomic { !lock && has[m] && !world && queued[1] -> queued[1] = false };
     execute(m, 1)
  :: atomic { !lock && has[m] && !world && !queued[1] && queued[0] ->
       queued[0] = false };
     execute(m, 0)
  :: atomic { !lock && has[m] && !world && !work -> /* go_idle */
       leave_p(m);
       idle_m[m] = true;
       free_p()
     };
     if :: work -> wake_p() :: else fi
  fi
}

proctype Guest() {
  byte w, s;
  bool depth, gone;
  do
  :: !gone && calls > 0 ->
     calls--;
     if
     :: true
     :: enter_blocking()
     fi;
     leave();
     if
     :: true
     :: true -> ended[1] /* that is what it waits for */
     fi;
     enter();
     if
     :: depth -> exit_blocking()
     :: !depth -> enter_slow()
     :: !depth /* a call that does not park */
     fi
  :: else -> break
  od;
  if
  :: !gone ->
     enter_slow();
     if
     :: !gone -> touch(); ended[0] = true
     :: else
     fi
  :: else
  fi;
  if
  :: has[0]
  :: else -> atomic { !lock -> idle_m[0] = true }
  fi;
end:
  do
  :: loop_once(0)
  od
}

proctype Spare() {
end:
  do
  :: loop_once(1)
  od
}

/* The CPU drains the buffer whenever it likes. */
proctype Buffer() {
end:
  do
  :: atomic { buffered -> in_core = true; buffered = false }
  :: atomic { late -> inside++; assert(inside == 1) }; inside--; late = false
  od
}

proctype Outside() {
  atomic { !lock -> queued[1] = true };
  wake_p();
  ended[1]
}

/* ---- who asks --------------------------------------------------------------------- */

#ifdef BROKEN_NO_FENCE
#define fence_all() skip
#else
#define fence_all() drain(); late == false
#endif

#ifdef BROKEN_NO_STILL
#define still true
#else
#define still (p_m == 0 && state == running && looked)
#endif

inline take() {
  fence_all();
  go = !in_core && still;
#ifdef BROKEN_ONE_TRY
  if
  :: atomic { word == (w | ASKED) -> word = (go -> w | TAKEN : w) }
  :: atomic { word != (w | ASKED) -> go = false }
  fi
#else
  if
  :: atomic { word & ASKED -> word = (go -> (word - ASKED) | TAKEN : word - ASKED) }
  :: atomic { !(word & ASKED) -> go = false }
  fi
#endif
}

inline retake() {
  looked = true;
  if
  :: state == running && p_m == 0 && !in_core && idle_m[1] ->
     w = word;
     blocking++;
     if
     :: atomic { !(w & (ASKED | TAKEN)) && word == w -> word = w | ASKED }; take()
     :: atomic { (w & (ASKED | TAKEN)) || word != w -> go = false }
     fi;
     if
     :: go -> touch(); p_m = NOBODY; atomic { !lock -> give_p() }
     :: else -> blocking--
     fi;
     atomic { w = 0; go = false }
  :: else
  fi
}

proctype Sysmon() {
  byte w, asks;
  bool go;
end:
  do
  :: asks < most && !world -> asks++; retake()
  :: timeout ->
     if
     :: ended[0] && ended[1] -> break
     :: else
     fi;
     assert(ticks < 4);
     ticks++;
     if
     :: idle_p && work -> wake_p()
     :: else -> retake()
     fi
  od;
  assert(idle_p && !has[0] && !has[1] && !next_p[0] && !next_p[1] && !blocking)
}

inline ask_all() {
  atomic { !lock -> lock = true; runs = 0 };
#ifdef BROKEN_WORD_FIRST
  held = (word & (DECLARED | WORLD)) == (DECLARED | WORLD);
  held = held && !in_core;
#else
  held = !in_core;
  held = held && (word & (DECLARED | WORLD)) == (DECLARED | WORLD);
#endif
  if
  :: state == running && !(p_m == 0 && held) -> runs++
  :: else
  fi;
  atomic { word = word | WORLD };
  if
  :: (word & (TAKEN | APART)) && !(word & DECLARED) -> runs++
  :: else
  fi;
  atomic { lock = false; held = false }
}

proctype Stopper() {
  byte runs, rounds;
  bool held;
  atomic { !lock -> world = true };
  do
  :: rounds < 2 ->
     rounds++;
     ask_all();
     if
     :: runs == 0 ->
#ifndef BROKEN_NO_FENCE
        drain();
#endif
        ask_all()
     :: else
     fi;
     if :: runs == 0 -> break :: else fi
  :: else -> break
  od;
  if
  :: runs == 0 ->
     atomic { assert(!guest[0] && !guest[1]); stands = true };
     stands = false
  :: else
  fi;
  atomic { !lock ->
    world = false;
    word = word & (255 - WORLD);
    if
    :: wanting && idle_p -> idle_p = false; free_p()
    :: else
    fi
  };
  wake_p()
}

init {
  atomic {
    has[0] = true;
    idle_m[1] = true;
    if :: routed = true :: true fi;
    run Guest(); run Spare(); run Buffer(); run Outside(); run Sysmon();
    if
    :: calls = 2; most = 2
    :: calls = 2; run Stopper()
    :: calls = 1; most = 1; run Stopper()
    fi
  }
}
