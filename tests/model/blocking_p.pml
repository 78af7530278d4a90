/* Declared blocking: a P that stays within reach of others.
 *
 *   Blocker  enter_blocking, let_go; exit_blocking, come_back     blocking.cpp
 *   retake   retake_blocked, give_p, start_m            blocking.cpp, ready.cpp
 *   Outside  route from a thread that is no M: push_global, wake_p    ready.cpp
 *   Procs    set_procs() after a P became surplus: retake_surplus    procs.cpp
 *   Spare    another M: sleep_idle, take_global, go_idle              loop.cpp
 *   Sysmon   has_work, wake_p                                       sysmon.cpp
 *
 * One P in service. A G's blocking call ends only after the G that Outside queues
 * has run (or never waits for it): so a P that stays with the blocked M is a
 * deadlock. The store of what was queued may be in the CPU's buffer while the
 * counters are read; a tick at a moment when nobody else moves mends that. The
 * same tick is what work waits for behind a call from a quick place.
 * `holders` counts who has the P: never two.
 * SPDX-License-Identifier: MIT
 */
mtype = { running, blocking, idle };

mtype state = running; /* P.state */
byte holders = 1;      /* Ms that have the P, and those that it is handed to */
bool lock;
byte global;           /* runnable Gs in the global queue */
bool buffered, unseen; /* the newest may be, is, still in a buffer */
byte idle_ps, blocked_ps;
bool spare_idle = true, spare_next, note;
bool blocker_idle, blocker_next, blocker_note; /* its M, once it has no P */
bool ran, back, g_queued;
bool quick;            /* let_go's may_wait: the last call from there was short */
byte ticks;

#define seen (global - unseen)

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }
inline got_p() { atomic { holders++; assert(holders == 1) } }

inline give_p() { /* the caller has it in its hands */
  acquire();
  if
  :: spare_idle -> spare_idle = false; spare_next = true; release(); note = true
  :: !spare_idle && blocker_idle ->
     blocker_idle = false; blocker_next = true; release(); blocker_note = true
  :: else -> state = idle; holders--; idle_ps++; release()
  fi
}

inline retake_blocked() {
  if
  :: blocked_ps == 0
  :: else ->
     if
     :: atomic { state == blocking -> state = running; got_p() };
        blocked_ps--;
        give_p()
     :: atomic { state != blocking -> skip }
     fi
  fi
}

inline wake_p() {
  if
  :: idle_ps == 0 ->
#ifndef BROKEN_NO_RETAKE
     retake_blocked()
#else
     skip
#endif
  :: else ->
     acquire();
     if
     :: idle_ps > 0 -> idle_ps--; state = running; got_p(); release(); give_p()
     :: else -> release()
     fi
  fi
}

inline go_idle(is_spare) {
  acquire();
  if
  :: global > 0 -> release()
  :: else ->
     state = idle; holders--; idle_ps++; has = false;
     if
     :: is_spare -> spare_idle = true
     :: else -> blocker_idle = true
     fi;
     release();
     if :: seen > 0 -> wake_p() :: else fi
  fi
}

proctype Blocker(bool waits) {
  bool has = true;
  if :: quick = true :: true fi;
  /* let_go */
  if
  :: seen > 0 && !quick -> has = false; give_p()
  :: else ->
     has = false;
     atomic { holders--; state = blocking };
     blocked_ps++;
#ifndef BROKEN_NO_LOOK
     if :: seen > 0 && !quick -> retake_blocked() :: else fi
#endif
  fi;
  !waits || ran;
  /* come_back */
#ifdef BROKEN_NO_CAS
  if
  :: state == blocking -> state = running; got_p(); blocked_ps--; has = true
  :: else
  fi;
#else
  if
  :: atomic { state == blocking -> state = running; got_p() };
     blocked_ps--; has = true
  :: atomic { state != blocking -> skip }
  fi;
#endif
  if
  :: !has ->
     acquire();
     if
     :: idle_ps > 0 -> idle_ps--; state = running; got_p(); has = true
     :: else
     fi;
     release()
  :: else
  fi;
  if
  :: has -> back = true
  :: else -> /* yield_global, then find_runnable without a P */
     acquire();
     g_queued = true;
     global++;
     release();
#ifndef BROKEN_UNWOKEN
     wake_p(); /* a P may have gone idle since */
#endif
     acquire();
     blocker_idle = true;
     release();
  fi;
  /* The M goes on, with its P or when it is woken with one. */
end_loop:
  do
  :: has && seen > 0 ->
     acquire();
     if
     :: seen > 0 -> global--;
        if
        :: g_queued -> g_queued = false; back = true
        :: else -> ran = true
        fi
     :: else
     fi;
     release()
  :: has && seen == 0 -> go_idle(false)
  :: !has && blocker_note ->
     blocker_note = false;
     acquire();
     has = blocker_next; blocker_next = false;
     release()
  od
}

active proctype Spare() {
  bool has;
end_loop:
  do
  :: !has && note ->
     note = false;
     acquire();
     has = spare_next; spare_next = false;
     release()
  :: has && seen > 0 ->
     acquire();
     if
     :: seen > 0 -> global--;
        if
        :: g_queued -> g_queued = false; back = true
        :: else -> ran = true
        fi
     :: else
     fi;
     release()
  :: has && seen == 0 -> go_idle(true)
  od
}

active proctype Outside() {
  if :: buffered = true :: true fi;
  acquire();
  atomic { global++; unseen = buffered };
  release();
  wake_p();
  unseen = false;
  ran && back
}

active proctype Procs() {
  if
  :: true
  :: atomic { state == blocking -> state = running; got_p() };
     blocked_ps--;
     give_p() /* whoever gets it retires it; here it stays in service */
  fi
}

active proctype Sysmon() {
end:
  do
  :: timeout ->
     if
     :: ran && back -> break
     :: else
     fi;
     assert(buffered || quick); /* otherwise nothing waits for a tick */
     assert(ticks < 3);
#ifdef BROKEN_NO_SYSMON
     assert(false);
#endif
     ticks++;
     if :: seen > 0 -> wake_p() :: else fi
  od
}

init {
  if :: run Blocker(true) :: run Blocker(false) fi
}
