/* The biased mutex: unlock by plain stores, and the end of the bias.
 *
 *   lock, unlock   mutex_try, mutex_untry                    sync.hpp
 *   lock_slow, unlock_slow, lock_queue, unbias              mutex.cpp
 *   fence_all      membarrier: one CPU after the other      os/linux
 *
 * A CPU keeps its plain stores in a buffer: the upper half of the word, the word
 * whole when a biased owner lets go, the word whole when the lock over the queue
 * is let go. They reach memory in order, any time later; a load sees the CPU's
 * own; a locked instruction drains the buffer first. One owner that comes again
 * and again, and others that find the mutex held, of which each may revoke, queue,
 * be woken, and own a biased mutex in turn. Anyone's CAS unlock may grant a bias.
 * Nobody waits with a time limit and nothing is handed over.
 *
 * One holder at a time; nobody waits for ever (a wait that only others can end is
 * a guard: for ever is a deadlock); a biased owner's last store meets the word of
 * its own bias, with no queue and no lock over one; the last to come frees the
 * mutex, and nobody touches it then.
 * SPDX-License-Identifier: MIT
 */
#define N 3
#define LEAVING 9 /* in the upper half; else who holds it, 0 nobody */

#define LOCK 1 /* in the lower one: the flags of sync.hpp */
#define WAITERS 2
#define WOKEN 4
#define BIASED 16
#define REVOKE 32

byte up, low;          /* the word, in memory */
bool half[N + 1];      /* in buffers, in this order: upper half = LEAVING; */
bool whole[N + 1];     /* the word = BIASED; */
bool back[N + 1];      /* or upper half = me; */
bool queue_[N + 1];    /* or (alone) the word = to_up, to_low */
byte to_up[N + 1], to_low[N + 1];
bool revoking;         /* g_revoking */
bool queued[N + 1];    /* the queue; who is popped is anybody's guess */
bool note[N + 1];
byte inside, left, freed;

#define my_up (back[me] -> me : (whole[me] -> 0 : (half[me] -> LEAVING : \
  (queue_[me] -> to_up[me] : up))))
#define my_low (whole[me] -> BIASED : (queue_[me] -> to_low[me] : low))
#define empty_queue (!queued[1] && !queued[2] && !queued[N])
#define is_drained(i) (!half[i] && !whole[i] && !back[i] && !queue_[i])

inline drain_one(i) { /* in atomic */
  assert(!freed || freed == i);
  if
  :: half[i] -> half[i] = false; up = LEAVING
  :: !half[i] && whole[i] ->
     assert(low & BIASED); /* a revoker's work is not undone */
     assert(!(low & (LOCK | WAITERS)) && empty_queue);
     whole[i] = false; up = 0; low = BIASED
  :: !half[i] && back[i] -> back[i] = false; up = i
  :: queue_[i] ->
     assert(low & LOCK);
     queue_[i] = false;
     up = to_up[i]; low = to_low[i];
     to_up[i] = 0; to_low[i] = 0
  fi
}

inline drain(i) { /* in atomic */
  do
  :: !is_drained(i) -> drain_one(i)
  :: else -> break
  od
}

inline load() { atomic { assert(!freed); vu = my_up; vl = my_low } }

inline cas(nu, nl) { /* from vu, vl; ok or not */
  atomic {
    assert(!freed);
    drain(me);
    ok = up == vu && low == vl;
    if
    :: ok ->
       up = nu; low = nl;
       assert(!(low & BIASED) || !(low & (LOCK | WAITERS | WOKEN)))
    :: else
    fi
  }
}

inline store_word(nu, nl) { /* the lock over the queue is let go */
  atomic {
    assert(!freed && is_drained(me) && !((nl) & BIASED));
    to_up[me] = nu; to_low[me] = nl;
    queue_[me] = true
  }
}

inline fence_all() {
  cpu = 1;
  do
  :: atomic { cpu <= N -> drain(cpu); cpu++ }
  :: atomic { cpu > N -> cpu = 0; break }
  od
}

inline unbias() {
#ifndef BROKEN_TWO_REVOKERS
  atomic { !revoking -> revoking = true };
#endif
  do
  :: load();
     if
     :: !(vl & BIASED) -> break
     :: (vl & BIASED) && vu == 0 ->
        cas(0, vl & ~BIASED);
        if :: ok -> break :: else fi
     :: (vl & BIASED) && vu == LEAVING -> up != LEAVING || !(low & BIASED)
     :: else ->
        cas(vu, vl | REVOKE);
        if
        :: ok ->
#ifdef BROKEN_LOOK_FIRST
           up != LEAVING;
           fence_all();
           load();
#else
#ifndef BROKEN_NO_FENCE
           fence_all();
#endif
           atomic { up != LEAVING; load() };
#endif
           if
           :: vl & REVOKE ->
              cas(vu, vl & ~(BIASED | REVOKE));
              if :: ok -> break :: else fi
           :: else
           fi
        :: else
        fi
     fi
  od;
  revoking = false
}

inline lock_queue() { /* its word in vu, vl */
  do
  :: load();
     if
     :: vl & BIASED -> unbias()
     :: !(vl & BIASED) && (vl & LOCK) -> !(low & LOCK)
#ifndef BROKEN_QUEUE_LEAVING
     :: !(vl & BIASED) && !(vl & LOCK) && vu == LEAVING -> up != LEAVING
#endif
     :: else ->
        cas(vu, vl | LOCK);
        if :: ok -> break :: else fi
     fi
  od
}

inline lock_slow() {
  do
  :: lock_queue();
     if
     :: woken -> vl = vl & ~WOKEN; woken = false
     :: else
     fi;
     if
     :: vu == 0 -> store_word(me, vl); break
     :: else ->
        queued[me] = true;
        store_word(vu, vl | WAITERS);
        atomic { note[me] -> note[me] = false };
        woken = true
     fi
  od
}

inline unlock_slow() {
  load();
  assert(vu == me); /* else it would be EPERM */
  ok = false;
  do
  :: !ok && !(vl & LOCK) && (!(vl & WAITERS) || (vl & WOKEN)) ->
     cas(0, vl & ~(BIASED | REVOKE));
     if :: ok :: else -> load() fi
  :: else -> break
  od;
  if
  :: ok
  :: else ->
     lock_queue();
     assert(vu == me);
     who = 0;
     atomic {
       if
       :: !(vl & WOKEN) && queued[1] -> who = 1
       :: !(vl & WOKEN) && queued[2] -> who = 2
       :: !(vl & WOKEN) && queued[N] -> who = N
       :: else
       fi;
       queued[who] = false;
       vl = (empty_queue -> vl & ~WAITERS : vl | WAITERS) | (who -> WOKEN : 0)
     };
     store_word(0, vl);
     if :: who -> note[who] = true; who = 0 :: else fi
  fi
}

inline unlock() {
  load();
  if
  :: vu == me && vl == BIASED ->
#ifdef BROKEN_LOAD_FIRST
     vl = my_low;
     half[me] = true;
#else
     half[me] = true;
     vl = my_low;
#endif
     if
     :: vl == BIASED -> whole[me] = true
     :: else -> back[me] = true; unlock_slow()
     fi
  :: vu == me && vl == 0 ->
     if
     :: cas(0, 0)
     :: cas(0, BIASED)
     fi;
     if :: ok :: else -> unlock_slow() fi
  :: else -> unlock_slow()
  fi
}

proctype Locker(byte me; byte rounds) {
  byte vu, vl, who, cpu;
  bool ok, woken, last;
  do
  :: rounds > 0 ->
     rounds--;
     load();
     ok = false;
     if
     :: vu == 0 && !(vl & LOCK) -> cas(me, vl)
     :: else
     fi;
     if :: ok :: else -> lock_slow() fi;
     vu = 0; vl = 0; ok = false;
     atomic { inside++; assert(inside == 1); left--; last = left == 0 };
     inside--;
     unlock();
     vu = 0; vl = 0; ok = false;
     if
     :: last -> atomic { assert(!inside && empty_queue); freed = me }
     :: else
     fi
  :: else -> break
  od
}

proctype Buffer(byte i) {
end:
  do
  :: atomic { !is_drained(i) -> drain_one(i) }
  od
}

init {
  atomic {
    if :: low = 0 :: low = BIASED fi;
    left = 6;
    run Locker(1, 3); run Locker(2, 2); run Locker(3, 1);
    run Buffer(1); run Buffer(2); run Buffer(3)
  }
}
