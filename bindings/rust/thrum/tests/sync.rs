//! Locks and the like: they exclude, they wake, their waits end.
//!
//! SPDX-License-Identifier: MIT

use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use thrum::sync::{Condvar, Mutex, Once, OnceLock, RwLock, Semaphore, WaitGroup};
use thrum::{run, scope, sleep, spawn, spawn_local, yield_now, Cancelled};

const MOMENT: Duration = Duration::from_millis(2);

#[test]
fn a_mutex_excludes_across_waits() {
    run(|| {
        let (count, inside) = (Mutex::new(0), AtomicUsize::new(0));
        scope(|s| {
            for _ in 0..8 {
                s.spawn(|| {
                    for _ in 0..50 {
                        let mut count = count.lock();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        yield_now();
                        *count += 1;
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 400);
    });
}

#[test]
fn os_threads_and_green_ones_share_a_mutex() {
    let count = Mutex::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| (0..1000).for_each(|_| *count.lock() += 1));
        run(|| {
            scope(|s| {
                s.spawn(|| (0..1000).for_each(|_| *count.lock() += 1));
                s.spawn(|| (0..1000).for_each(|_| *count.lock() += 1));
            })
        });
    });
    assert_eq!(*count.lock(), 3000);
}

#[test]
fn a_guard_is_dropped_by_an_unwinding() {
    run(|| {
        let mutex = Arc::new(Mutex::new(0));
        let theirs = mutex.clone();
        let (ready, is_ready) = thrum::channel(1);
        let holder = spawn(move || {
            let mut guard = theirs.lock();
            *guard = 1;
            ready.send(()).unwrap();
            sleep(Duration::from_secs(1000));
        });
        is_ready.recv().unwrap();
        holder.cancel();
        assert!(holder.join().unwrap_err().is::<Cancelled>());
        assert_eq!(mutex.try_lock().map(|guard| *guard), Some(1));
    });
}

#[test]
fn locks_that_are_not_to_be_had() {
    run(|| {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        scope(|s| {
            s.spawn(|| {
                assert!(mutex.try_lock().is_none());
                assert!(mutex.lock_timeout(MOMENT).is_none());
            });
        });
        let again = catch_unwind(AssertUnwindSafe(|| drop(mutex.lock())));
        assert!(again.unwrap_err().downcast_ref::<&str>().unwrap().contains("already"));
        drop(guard);
        assert!(mutex.try_lock().is_some());
        let lock = RwLock::new(1);
        let reader = lock.read();
        assert!(lock.try_write().is_none() && lock.write_timeout(MOMENT).is_none());
        assert_eq!(lock.try_read().map(|other| *other + *reader), Some(2));
        drop(reader);
        let writer = lock.write();
        scope(|s| {
            s.spawn(|| {
                assert!(lock.try_read().is_none() && lock.read_timeout(MOMENT).is_none());
            });
        });
        drop(writer);
    });
}

#[test]
fn a_guard_in_foreign_hands_is_refused() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    run(|| {
        let guard = MUTEX.lock();
        let other = spawn_local(move || drop(guard));
        assert!(other.join().unwrap_err().downcast_ref::<String>().unwrap().contains("guard"));
        assert!(MUTEX.try_lock().is_none());
    });
}

#[test]
fn a_writer_is_alone() {
    run(|| {
        let (lock, readers) = (RwLock::new(0u32), AtomicUsize::new(0));
        scope(|s| {
            for n in 0..8 {
                let (lock, readers) = (&lock, &readers);
                s.spawn(move || {
                    for _ in 0..50 {
                        if n % 4 == 0 {
                            let mut value = lock.write();
                            assert_eq!(readers.load(Ordering::SeqCst), 0);
                            yield_now();
                            *value += 1;
                        } else {
                            let value = lock.read();
                            readers.fetch_add(1, Ordering::SeqCst);
                            let before = *value;
                            yield_now();
                            assert_eq!(before, *value);
                            readers.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), 100);
    });
}

#[test]
fn a_condvar_wakes_and_its_wait_ends() {
    run(|| {
        let (queue, more) = (Mutex::new(Vec::new()), Condvar::new());
        scope(|s| {
            let taker = s.spawn(|| {
                let mut sum = 0;
                for _ in 0..100 {
                    let mut queue = more.wait_while(queue.lock(), |queue| queue.is_empty());
                    sum += queue.pop().unwrap();
                }
                sum
            });
            for n in 0..100 {
                queue.lock().push(n);
                more.notify_one();
                yield_now();
            }
            assert_eq!(taker.join().unwrap(), 4950);
        });
        let (guard, notified) = more.wait_timeout(queue.lock(), MOMENT);
        assert!(!notified && guard.is_empty());
        drop(guard);
        scope(|s| {
            let waits = s.spawn(|| drop(more.wait_while(queue.lock(), |_| true)));
            sleep(MOMENT);
            more.notify_all();
            waits.cancel();
            assert!(waits.join().unwrap_err().is::<Cancelled>());
        });
        assert!(queue.try_lock().is_some());
    });
}

#[test]
fn counts_and_permits() {
    run(|| {
        let (group, permits, most) = (WaitGroup::new(), Semaphore::new(3), AtomicUsize::new(0));
        let inside = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..20 {
                group.add(1);
                s.spawn(|| {
                    let permit = permits.acquire();
                    let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                    group.done();
                });
            }
            group.wait();
        });
        assert!(most.into_inner() <= 3);
        group.add(1);
        assert!(!group.wait_timeout(MOMENT));
        group.done();
        assert!(group.wait_timeout(MOMENT));
        permits.acquire().forget();
        let _two = (permits.acquire(), permits.acquire());
        assert!(permits.try_acquire().is_none() && permits.acquire_timeout(MOMENT).is_none());
        permits.add(1);
        assert!(permits.try_acquire().is_some());
        let below = catch_unwind(AssertUnwindSafe(|| group.done()));
        assert!(below.is_err());
    });
}

#[test]
fn once_is_once() {
    run(|| {
        static ONCE: Once = Once::new();
        static CELL: OnceLock<usize> = OnceLock::new();
        let count = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..20)
            .map(|n| {
                let count = count.clone();
                spawn(move || {
                    ONCE.call_once(|| {
                        sleep(MOMENT);
                        count.fetch_add(1, Ordering::SeqCst);
                    });
                    assert_eq!(count.load(Ordering::SeqCst), 1);
                    *CELL.get_or_init(|| n)
                })
            })
            .collect();
        let mut got: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        got.dedup();
        assert_eq!(got.len(), 1);
        assert!(ONCE.is_completed());
        // A panic is everybody's.
        let once = Once::new();
        let first =
            catch_unwind(AssertUnwindSafe(|| once.call_once(|| resume_unwind(Box::new("first")))));
        assert_eq!(first.unwrap_err().downcast_ref(), Some(&"first"));
        assert!(catch_unwind(AssertUnwindSafe(|| once.call_once(|| ()))).is_err());
        // No cancel comes in between.
        let cancelled = spawn(|| {
            let once = Once::new();
            once.call_once(|| sleep(MOMENT));
            assert!(once.is_completed());
            sleep(Duration::from_secs(1000));
        });
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is::<Cancelled>());
    });
}
