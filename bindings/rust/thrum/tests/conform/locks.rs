//! Mutexes and read-write locks.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use thrum::sync::{Mutex, RwLock};
use thrum::{scope, sleep, spawn_local};

pub(crate) fn add(list: &mut List) {
    list.green("mutex.rules", || {
        // It stays locked.
        let mutex: &Mutex<u32> = Box::leak(Box::default());
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        assert!(fails(|| drop(mutex.lock())).contains("already"));
        // No guard without the lock; one in foreign hands is no key.
        let other = spawn_local(move || fails(|| drop(guard)));
        assert!(other.join().unwrap().contains("guard"));
        assert!(mutex.try_lock().is_none());
    });
    list.outside("mutex.excludes", |procs| {
        let (count, inside) = (Mutex::new(0), AtomicUsize::new(0));
        let adds = || {
            for _ in 0..200 {
                let mut count = count.lock();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                yield_now();
                *count += 1;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        std::thread::scope(|threads| {
            threads.spawn(adds);
            Runtime::builder().procs(procs).run(|| {
                scope(|s| {
                    for _ in 0..3 {
                        s.spawn(adds);
                    }
                })
            });
        });
        assert_eq!(*count.lock(), 800);
    });
    list.ordered("mutex.fifo", || {
        let mutex = Arc::new(Mutex::new(Vec::new()));
        let guard = mutex.lock();
        let wait = |n| {
            let mutex = mutex.clone();
            begun(move || mutex.lock().push(n))
        };
        let all: Vec<_> = (0..5).map(wait).collect();
        sleep(MOMENT * 5); // they have waited long
        drop(guard);
        mutex.lock().push(5);
        all.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(*mutex.lock(), [0, 1, 2, 3, 4, 5]);
    });
    list.green("mutex.hog", || {
        let mutex = Arc::new((Mutex::new(()), AtomicBool::new(false)));
        let theirs = mutex.clone();
        let hog = begun(move || {
            while !theirs.1.load(Ordering::SeqCst) {
                let _guard = theirs.0.lock();
                yield_now();
            }
        });
        for _ in 0..5 {
            drop(mutex.0.lock());
        }
        mutex.1.store(true, Ordering::SeqCst);
        hog.join().unwrap();
    });
    list.green("mutex.given_up", || {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock();
        let theirs = mutex.clone();
        let late = begun(move || theirs.lock_timeout(MOMENT).is_none());
        let theirs = mutex.clone();
        let cancelled = begun(move || theirs.lock_timeout(LONG).is_none());
        cancelled.cancel();
        assert!(was_cancelled(cancelled));
        assert!(late.join().unwrap());
        drop(guard);
        *mutex.try_lock().unwrap() += 1;
        let theirs = mutex.clone();
        assert_eq!(spawn(move || *theirs.lock()).join().unwrap(), 1);
    });

    list.green("rwmutex.rules", || {
        let lock: &RwLock<u32> = Box::leak(Box::default());
        let readers = (lock.read(), lock.try_read().unwrap());
        assert!(spawn(|| lock.try_read().is_some()).join().unwrap());
        assert!(spawn(|| lock.try_write().is_none()).join().unwrap());
        drop(readers);
        // From here on it stays locked.
        let writer = lock.write();
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert!(fails(|| drop(lock.write())).contains("already"));
        assert!(fails(|| drop(lock.read())).contains("already"));
        let other = spawn_local(move || fails(|| drop(writer)));
        assert!(other.join().unwrap().contains("guard"));
        assert!(lock.try_read().is_none());
    });
    list.ordered("rwmutex.writer_first", || {
        let lock = Arc::new(RwLock::new(()));
        let reader = lock.read();
        let theirs = lock.clone();
        let writer = begun(move || theirs.write_timeout(LONG).is_none());
        let theirs = lock.clone();
        assert!(spawn(move || theirs.try_read().is_none()).join().unwrap());
        let theirs = lock.clone();
        let waits = begun(move || drop(theirs.read()));
        assert!(!waits.is_finished());
        writer.cancel(); // it gives up, and readers come in
        assert!(was_cancelled(writer));
        waits.join().unwrap();
        let theirs = lock.clone();
        let writer = begun(move || drop(theirs.write()));
        drop(reader);
        writer.join().unwrap();
    });
    list.green("rwmutex.invariant", || {
        let (lock, inside) = (RwLock::new(0), AtomicUsize::new(0));
        scope(|s| {
            for n in 0..8 {
                let (lock, inside) = (&lock, &inside);
                s.spawn(move || {
                    for _ in 0..100 {
                        if n % 4 == 0 {
                            let mut value = lock.write();
                            assert_eq!(inside.fetch_add(100, Ordering::SeqCst), 0);
                            yield_now();
                            *value += 1;
                            inside.fetch_sub(100, Ordering::SeqCst);
                        } else {
                            let _value = lock.read();
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 100);
                            yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), 200);
    });
}
