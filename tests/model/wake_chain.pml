/* How Ms go to sleep and are woken, and that no queued G is left behind.
 *
 *   M        find_runnable, spin, found, go_idle, sleep_idle     loop.cpp
 *   wake_p   wake_p, give_p, start_m, maybe_wake                 ready.cpp
 *   Outside  route from a thread that is no M: push_global, announce
 *   Sysmon   its tick: has_work, wake_p                          sysmon.cpp
 *
 * Two Ms, two Ps. A thread queues two Gs. The first queues a third on its M's own
 * ring and then computes until all others have run: so an idle P beside queued
 * work is a deadlock here. Two memories: one in which a store is seen at once and
 * nothing needs sysmon; and one in which the store of what is queued may still be
 * in the CPU's buffer when the counters are read (loop.cpp speaks of that
 * window), in which a tick, at a moment when nobody else moves, mends it.
 * SPDX-License-Identifier: MIT
 */
#define MS 2

bool buffered;          /* which memory */
bool third;             /* whether the first G queues another */
bool lock;              /* Runtime.lock */
byte global, ring;      /* what is queued */
byte unseen;            /* of global, stored but not seen yet */
byte unseen_ring;
byte idle_ps = 1, spinning;
bool idle_m[MS], next_p[MS], next_spins[MS], note[MS];
bool first_taken;
byte ran, ticks;

#define work ((global - unseen) + (ring - unseen_ring) > 0)
#define all_ran (ran == 2 + third)

inline acquire() { atomic { !lock -> lock = true } }
inline release() { lock = false }

inline give_p() { /* a P was popped and counts as looking */
  acquire();
  if
  :: idle_m[0] -> idle_m[0] = false; next_p[0] = true; next_spins[0] = true; n = 0
  :: !idle_m[0] && idle_m[1] ->
     idle_m[1] = false; next_p[1] = true; next_spins[1] = true; n = 1
  :: else -> n = MS
  fi;
  release();
  if
  :: n < MS -> note[n] = true
  :: else ->
     acquire();
     idle_ps++;
     spinning--;
     release()
  fi
}

inline wake_p() {
  if
  :: idle_ps == 0 || spinning != 0
  :: else ->
     if
     :: atomic { spinning == 0 -> spinning = 1 };
        acquire();
        if
        :: idle_ps > 0 -> idle_ps--; release(); give_p()
        :: else ->
#ifndef BROKEN_LATE_POP
           spinning--; release()
#else
           release(); spinning--
#endif
        fi
     :: atomic { spinning != 0 -> skip }
     fi
  fi
}

inline flush() { atomic { unseen = 0; unseen_ring = 0 } }

proctype M(byte me; bool p) {
  bool spins, looked, got;
  byte n;
end:
  do
  :: !p -> /* in the idle list, put there in one step with its P */
end_asleep:
     note[me];
     note[me] = false;
     acquire();
     p = next_p[me]; next_p[me] = false;
     if :: p -> spins = next_spins[me]; next_spins[me] = false :: else fi;
     release()
  :: p ->
     got = false;
     if
     :: atomic { !lock && global - unseen > 0 -> global--; got = true }
     :: atomic { ring - unseen_ring > 0 -> ring--; got = true }
     :: !work
     fi;
     if
     :: got ->
        if
        :: spins ->
           spins = false;
           spinning--;
#ifndef BROKEN_NO_CHAIN
           wake_p()
#endif
        :: else
        fi;
        if
        :: atomic { !first_taken -> first_taken = true };
           if
           :: third ->
              atomic {
                ring++;
                if :: buffered -> unseen_ring = 1 :: else fi
              };
              wake_p(); /* maybe_wake: worth it, for all it knows */
              flush()
           :: else
           fi;
           ran == 1 + third; /* it computes; only others can run what is queued */
           ran++
        :: atomic { first_taken -> skip };
           ran++
        fi
     :: else ->
        /* spin: looks, or does not, or is one too many */
        if
        :: spins || spinning > 0
        :: !spins && spinning == 0 -> spinning++; spins = true
        fi;
        if
        :: work /* seen while it spun */
        :: true ->
           acquire();
           if
           :: global > 0 -> release() /* the lock shows what others stored */
           :: else ->
              p = false;
#ifdef BROKEN_SPINS_LAST
              idle_m[me] = true;
              idle_ps++;
              release();
              if :: work -> wake_p() :: else fi;
              if :: spins -> spins = false; spinning-- :: else fi;
#else
              idle_ps++;
              looked = spins;
              spins = false;
              idle_m[me] = true;
              release();
              if :: looked -> spinning--; looked = false :: else fi;
#ifndef BROKEN_NO_LOOK
              if :: work -> wake_p() :: else fi;
#endif
#endif
              skip
           fi
        fi
     fi
  od
}

proctype Outside() {
  byte n, i;
  for (i : 0 .. 1) {
    acquire();
    global++;
    if :: buffered -> unseen = unseen + 1 :: else fi;
    release();
    wake_p();
    flush() /* at the latest the next lock's RMW */
  }
  all_ran
}

proctype Sysmon() {
  byte n;
end:
  do
  :: timeout ->
     if
     :: all_ran -> break
     :: else
     fi;
     assert(buffered); /* otherwise nothing waits for a tick */
     assert(ticks < 4);
     ticks++;
#ifdef BROKEN_NO_SYSMON
     assert(false);
#endif
     wake_p()
  od
}

init {
  atomic {
    if :: buffered = false :: buffered = true fi;
    if :: third = false :: third = true fi;
    idle_m[1] = true;
    run M(0, true); run M(1, false); run Outside(); run Sysmon()
  }
}
