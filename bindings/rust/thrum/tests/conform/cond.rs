//! Condition variables, wait groups, semaphores, what is done once.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use thrum::sync::{Condvar, Mutex, Once, OnceLock, Semaphore, WaitGroup};
use thrum::{scope, sleep, time};

type Shared = Arc<(Mutex<u32>, Condvar)>;

/// Waits for a turn: the number above 0, of which it takes one.
fn turn(shared: &Shared) -> impl FnOnce() + Send + 'static {
    let shared = shared.clone();
    move || {
        let mut turns = shared.1.wait_while(shared.0.lock(), |turns| *turns == 0);
        *turns -= 1;
    }
}

fn give(shared: &Shared, turns: u32) {
    *shared.0.lock() += turns;
}

pub(crate) fn add(list: &mut List) {
    list.green("cond.broadcast", || {
        for n in 1..=16 {
            let shared = Shared::default();
            let all: Vec<_> = (0..n).map(|_| begun(turn(&shared))).collect();
            give(&shared, n);
            shared.1.notify_all();
            all.into_iter().for_each(|handle| handle.join().unwrap());
        }
    });
    list.ordered("cond.signal", || {
        let shared = Shared::default();
        shared.1.notify_one(); // nobody waits: not kept
        let waits = |shared: &Shared| {
            let shared = shared.clone();
            begun(move || drop(shared.1.wait(shared.0.lock())))
        };
        let all: Vec<_> = (0..3).map(|_| waits(&shared)).collect();
        (0..5).for_each(|_| yield_now());
        for woken in 0..3 {
            assert_eq!(all.iter().filter(|handle| handle.is_finished()).count(), woken);
            shared.1.notify_one();
            sleep(MOMENT);
        }
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
    list.green("cond.mutex_held", || {
        let shared = Shared::default();
        let (guard, notified) = shared.1.wait_timeout(shared.0.lock(), MOMENT);
        assert!(!notified && shared.0.try_lock().is_none());
        drop(guard);
        // It unwinds with the mutex held, and the guard's drop gives it back.
        let theirs = shared.clone();
        let waits = begun(move || {
            let held = Held(&theirs.0);
            let guard = theirs.1.wait(theirs.0.lock());
            drop(guard);
            drop(held);
        });
        waits.cancel();
        assert!(was_cancelled(waits));
        assert!(shared.0.try_lock().is_some());
        let theirs = shared.clone();
        let waits = begun(turn(&shared));
        give(&theirs, 1);
        theirs.1.notify_one();
        waits.join().unwrap();
    });
    list.green("cond.given_up", || {
        let shared = Shared::default();
        for _ in 0..20 {
            let gone: Vec<_> = (0..3).map(|_| begun(turn(&shared))).collect();
            let stays = begun(turn(&shared));
            gone.iter().for_each(|handle| handle.cancel());
            assert!(gone.into_iter().all(was_cancelled));
            give(&shared, 1);
            shared.1.notify_one();
            stays.join().unwrap();
        }
    });

    list.green("wg.counts", || {
        let group = WaitGroup::new();
        group.wait();
        group.add(2);
        group.done();
        assert!(!group.wait_timeout(MOMENT));
        group.done();
        group.wait();
        assert!(!fails(|| group.done()).is_empty());
        group.add(1);
        assert!(!group.wait_timeout(MOMENT));
        group.done();
        assert!(group.wait_timeout(MOMENT));
    });
    list.green("wg.many_waiters", || {
        let group = Arc::new(WaitGroup::new());
        for _ in 0..3 {
            group.add(1);
            let wait = || {
                let group = group.clone();
                begun(move || group.wait())
            };
            let all: Vec<_> = (0..10).map(|_| wait()).collect();
            group.done();
            all.into_iter().for_each(|handle| handle.join().unwrap());
        }
    });
    list.green("sem.counts", || {
        let (permits, inside) = (Semaphore::new(3), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    for _ in 0..20 {
                        let _permit = permits.acquire();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let all = [(); 3].map(|()| permits.try_acquire().unwrap());
        assert!(permits.try_acquire().is_none());
        drop(all);
    });
    list.green("sem.conserved", || {
        let permits = Arc::new(Semaphore::new(2));
        let wait = |n: u64| {
            let permits = permits.clone();
            move || loop {
                let permit = permits.acquire_timeout(Duration::from_micros(50 * n));
                time::sleep(Duration::from_micros(100));
                drop(permit);
                thrum::check();
            }
        };
        let all: Vec<JoinHandle<()>> = (0..6).map(|n| spawn(wait(n))).collect();
        sleep(MOMENT * 5);
        all.iter().for_each(|handle| handle.cancel());
        assert!(all.into_iter().all(was_cancelled));
        let left = [(); 3].map(|()| permits.try_acquire());
        assert_eq!(left.iter().flatten().count(), 2);
    });
    list.green("once.once", || {
        let (once, ran) = (Arc::new(Once::new()), counter());
        let call = || {
            let (once, ran) = (once.clone(), ran.clone());
            begun(move || {
                once.call_once(|| {
                    yield_now();
                    sleep(MOMENT);
                    ran.fetch_add(1, Ordering::SeqCst);
                });
                count(&ran)
            })
        };
        let all: Vec<_> = (0..5).map(|_| call()).collect();
        assert!(all.into_iter().all(|handle| handle.join().unwrap() == 1));
        let value = OnceLock::new();
        assert_eq!((*value.get_or_init(|| 1), *value.get_or_init(|| 2)), (1, 1));
    });
    list.green("once.recursion", || {
        let once = Once::new();
        let mut told = String::new();
        once.call_once(|| told = fails(|| once.call_once(|| ())));
        assert!(told.contains("itself"));
    });
}

/// Sees when it is dropped by an unwinding that the mutex is free by then.
struct Held<'a>(&'a Mutex<u32>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        assert!(self.0.try_lock().is_some());
    }
}
