//! Green threads, and how they are cancelled.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use std::ffi::CStr;
use std::sync::atomic::AtomicU64;
use thrum::net::{TcpListener, TcpStream};
use thrum::sync::{Condvar, Mutex, RwLock, Semaphore, WaitGroup};
use thrum::time::{timeout, Elapsed};
use thrum::{clear_cancel, enter_blocking, lock_thread, select, shield, sleep, sys, Builder};

/// Which OS thread this is.
fn here() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    ID.with(|id| *id)
}

/// The names of the calling green thread's runtime.
fn names() -> Vec<String> {
    // SAFETY: a plain call.
    let rt = unsafe { sys::thrum_rt_current() };
    // SAFETY: the name is a string for the while.
    each(rt, |info| unsafe { CStr::from_ptr(info.name) }.to_string_lossy().into_owned())
}

fn tree(depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let (a, b) = (spawn(move || tree(depth - 1)), spawn(move || tree(depth - 1)));
    a.join().unwrap() + b.join().unwrap()
}

/// Says that it is being dropped, waits to be let go, and says that it was: all by the
/// green thread `by`.
struct Slow {
    by: Arc<AtomicU64>,
    said: thrum::Sender<(u64, &'static str)>,
    go: thrum::Receiver<()>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        // SAFETY: a plain call.
        let own = || unsafe { sys::thrum_self() };
        self.by.store(own(), Ordering::SeqCst);
        self.said.send((own(), "drops")).unwrap();
        sleep(MOMENT / 10);
        self.go.recv().unwrap();
        self.said.send((own(), "dropped")).unwrap();
    }
}

pub(crate) fn add(list: &mut List) {
    list.skip(
        "cannot be expressed: a handle is one's own and typed, join takes it and the result",
        "g.join_many g.foreign_handle",
    );
    list.skip("cannot be expressed: a closure is what is blocking", "g.blocking_unpaired");

    list.green("g.spawn_join", || {
        let all: Vec<_> = (0..10).map(|n| spawn(move || n + 1)).collect();
        until(|| all.iter().all(|handle| handle.is_finished()));
        let sum: i32 = all.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 55);
    });
    list.outside("g.join_deadlines", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let check = |handle: JoinHandle<i32>, stop: thrum::Sender<()>| {
            let handle = handle.join_timeout(Duration::ZERO).unwrap_err();
            let handle = handle.join_timeout(MOMENT).unwrap_err();
            stop.send(()).unwrap();
            while !handle.is_finished() {
                std::thread::sleep(MOMENT / 10);
            }
            assert_eq!(handle.join_timeout(Duration::ZERO).unwrap().unwrap(), 7);
        };
        let waits = |rx: thrum::Receiver<()>| move || rx.recv().map_or(0, |()| 7);
        let (tx, rx) = gate();
        check(runtime.spawn(waits(rx)), tx);
        // Blocking sleeps are for a thread of its own: the other may be pinned here.
        let (tx, rx) = gate();
        let other = Runtime::builder().procs(procs).build().unwrap();
        let handle = other.spawn(waits(rx));
        runtime.run(|| check(handle, tx));
    });
    list.green("g.join_self", || {
        let (tx, rx) = channel::<JoinHandle<()>>(1);
        let (told, heard) = channel(1);
        let itself = spawn(move || {
            let myself = rx.recv().unwrap();
            told.send(fails(|| myself.join())).unwrap();
        });
        tx.send(itself).unwrap();
        assert!(heard.recv().unwrap().contains("itself"));
    });
    list.green("g.many", || {
        let ran = counter();
        let all: Vec<_> = (0..5000)
            .map(|_| {
                let ran = ran.clone();
                spawn(move || ran.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        all.into_iter().for_each(|handle| assert!(handle.join().is_ok()));
        assert_eq!(count(&ran), 5000);
    });
    list.green("g.tree", || assert_eq!(tree(9), 512));
    list.green("g.chain", || {
        let (first, mut last) = channel(0);
        for _ in 0..2000 {
            let (to, next) = channel(0);
            let from = std::mem::replace(&mut last, next);
            spawn(move || to.send(from.recv().unwrap() + 1).unwrap());
        }
        first.send(0).unwrap();
        assert_eq!(last.recv(), Ok(2000));
    });
    list.green("g.stale_handle", || {
        let old = spawn(|| 1);
        until(|| old.is_finished());
        let fresh: Vec<_> = (0..20).map(|_| begun(|| sleep(LONG))).collect();
        old.cancel();
        (0..3).for_each(|_| yield_now());
        assert!(fresh.iter().all(|handle| !handle.is_finished()));
        assert_eq!(old.join().unwrap(), 1);
        fresh.iter().for_each(|handle| handle.cancel());
        assert!(fresh.into_iter().all(was_cancelled));
    });
    list.green("g.name", || {
        let mut name = String::from("called so");
        let handle = Builder::new().name(&name).spawn(|| sleep(LONG)).unwrap();
        name.replace_range(.., "otherwise");
        assert!(names().contains(&String::from("called so")));
        handle.cancel();
        assert!(was_cancelled(handle));
    });
    list.green("g.drop_last", || {
        // What a green thread has is dropped by it, also while it is cancelled.
        for cancel in [false, true] {
            let ((said, says), (go, goes)) = (channel(2), channel(0));
            let by = Arc::new(AtomicU64::new(0));
            let slow = Slow { by: by.clone(), said, go: goes };
            let handle = begun(move || {
                let _slow = slow;
                // SAFETY: a plain call.
                let own = unsafe { sys::thrum_self() };
                if cancel {
                    sleep(LONG);
                }
                own
            });
            if cancel {
                handle.cancel();
            }
            let (dropper, what) = says.recv().unwrap();
            assert_eq!((dropper, what), (by.load(Ordering::SeqCst), "drops"));
            // It has not ended before the drop has, which no cancel ends if one was there.
            let handle = handle.join_timeout(MOMENT).unwrap_err();
            if cancel {
                handle.cancel();
            }
            let handle = handle.join_timeout(MOMENT).unwrap_err();
            assert!(says.try_recv().is_err());
            go.send(()).unwrap();
            let ended = handle.join();
            assert_eq!(says.try_recv(), Ok((dropper, "dropped")));
            assert_eq!(ended.ok(), (!cancel).then_some(dropper));
        }
    });
    list.once("g.drop_not_on_failure", || {
        // What failed never runs, and gives up what it had, once, before it returns.
        let (ran, dropped) = (counter(), counter());
        let (theirs, kept) = (ran.clone(), Counted(dropped.clone()));
        let failed = Builder::new().spawn_local(move || {
            let _kept = kept;
            theirs.fetch_add(1, Ordering::Relaxed)
        });
        assert!(failed.is_err());
        assert_eq!((count(&ran), count(&dropped)), (0, 1));
    });
    list.green("g.yield", || {
        let rounds: Vec<_> = (0..3).map(|_| counter()).collect();
        let all: Vec<_> = rounds
            .iter()
            .cloned()
            .map(|mine| {
                spawn(move || {
                    for _ in 0..100 {
                        mine.fetch_add(1, Ordering::Relaxed);
                        yield_now();
                    }
                })
            })
            .collect();
        until(|| rounds.iter().all(|rounds| count(rounds) > 0));
        all.into_iter().for_each(|handle| handle.join().unwrap());
        assert!(rounds.iter().all(|rounds| count(rounds) == 100));
    });
    list.green("g.pair_fairness", || {
        let (there, back) = (channel(0), channel(0));
        let one = spawn(move || while there.0.send(1).is_ok() && back.1.recv().is_ok() {});
        let other = spawn(move || while there.1.recv().is_ok() && back.0.send(1).is_ok() {});
        (0..100).for_each(|_| yield_now());
        one.cancel();
        other.cancel();
        let _ = (one.join(), other.join());
    });
    list.outside("g.outside_fairness", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (stop, busy) = (Arc::new(AtomicBool::new(false)), counter());
        // Enough for each P, and none of them ever waits.
        let local: Vec<_> = (0..4 * procs)
            .map(|_| {
                let (stop, busy) = (stop.clone(), busy.clone());
                runtime.spawn(move || {
                    busy.fetch_add(1, Ordering::SeqCst);
                    until(|| stop.load(Ordering::SeqCst));
                })
            })
            .collect();
        while count(&busy) < local.len() {
            std::thread::yield_now();
        }
        let late = (0..200).filter(|n| {
            let n = *n;
            let ended = runtime.spawn(move || n).join_timeout(Duration::from_secs(60));
            ended.map_or(true, |result| result.unwrap() != n)
        });
        assert_eq!(late.take(1).count(), 0, "it was kept from running");
        assert!(local.iter().all(|handle| !handle.is_finished()));
        stop.store(true, Ordering::SeqCst);
        local.into_iter().for_each(|handle| handle.join().unwrap());
    });
    list.outside("g.pin_started", |procs| {
        let host = here();
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let stays = || {
            let all: Vec<_> = (0..50)
                .map(|_| {
                    spawn(move || {
                        let began = here();
                        for _ in 0..20 {
                            yield_now();
                            assert_eq!(here(), began);
                        }
                        began
                    })
                })
                .collect();
            all.into_iter().map(|handle| handle.join().unwrap()).all(|on| on != host)
        };
        assert!(runtime.run(stays));
    });
    list.green("g.pin_m", || {
        let mine = here();
        let all: Vec<_> = (0..20)
            .map(|_| {
                thrum::spawn_local(move || {
                    assert_eq!(here(), mine);
                    yield_now();
                    assert_eq!(here(), mine);
                })
            })
            .collect();
        all.into_iter().for_each(|handle| handle.join().unwrap());
        let outside = thrum::offload(|| Builder::new().spawn_local(|| ()).is_err());
        assert!(outside);
    });
    list.green("g.lock_thread", || {
        static LOCKED: AtomicU64 = AtomicU64::new(0);
        let others: Vec<_> = (0..20)
            .map(|_| {
                spawn(|| {
                    for _ in 0..50 {
                        assert_ne!(LOCKED.load(Ordering::SeqCst), here());
                        yield_now();
                    }
                })
            })
            .collect();
        let locked = || {
            let outer = lock_thread();
            let inner = lock_thread();
            LOCKED.store(here(), Ordering::SeqCst);
            for _ in 0..50 {
                yield_now();
                assert_eq!(LOCKED.load(Ordering::SeqCst), here());
            }
            drop(inner);
            yield_now();
            assert_eq!(LOCKED.load(Ordering::SeqCst), here());
            LOCKED.store(0, Ordering::SeqCst);
            drop(outer);
        };
        // SAFETY: the lock keeps it where it is; before and after it has nothing.
        let alone = unsafe { Builder::new().spawn_migratable(locked) };
        alone.unwrap().join().unwrap();
        others.into_iter().for_each(|handle| handle.join().unwrap());
    });
    list.green("g.blocking", || {
        let (tx, rx) = std::sync::mpsc::channel::<()>();
        let blocked = spawn(move || enter_blocking(|| rx.recv()));
        // It may have begun here, where it would hold this up: who sends may move.
        // SAFETY: it keeps nothing of its OS thread's.
        let sender = unsafe {
            Builder::new().spawn_migratable(move || {
                (0..5).for_each(|_| yield_now());
                tx.send(()).unwrap();
            })
        };
        sender.unwrap().join().unwrap();
        assert!(blocked.join().unwrap().is_ok());
    });

    list.green("cancel.each_wait", each_wait);
    list.green("cancel.one_request", || {
        let (go, gone) = gate();
        let handle = begun(move || {
            shield(|| gone.recv()).unwrap();
            assert!(cancelled(|| sleep(LONG)));
            sleep(MOMENT);
        });
        handle.cancel();
        handle.cancel();
        go.send(()).unwrap();
        handle.join().unwrap();
    });
    list.green("cancel.pending_completes", || {
        let (tx, rx) = channel(1);
        tx.send(9).unwrap();
        let (go, gone) = gate();
        let handle = spawn(move || {
            shield(|| gone.recv()).unwrap();
            let (_tx, empty) = channel::<()>(0);
            assert_eq!(empty.try_recv(), Err(thrum::TryRecvError::Empty));
            assert_eq!(rx.recv(), Ok(9));
            cancelled(|| sleep(LONG))
        });
        handle.cancel();
        go.send(()).unwrap();
        assert!(handle.join().unwrap());
    });
    list.ordered("cancel.after_the_fact", || {
        let (tx, rx) = channel(0);
        let handle = begun(move || (rx.recv(), cancelled(|| sleep(LONG))));
        tx.send(3).unwrap();
        handle.cancel();
        assert_eq!(handle.join().unwrap(), (Ok(3), true));
    });
    list.green("cancel.not_these", || {
        let mutex = Arc::new((Mutex::new(()), RwLock::new(())));
        let (guard, writer) = (mutex.0.lock(), mutex.1.write());
        let theirs = mutex.clone();
        let one = begun(move || {
            drop(theirs.0.lock());
            cancelled(|| sleep(LONG))
        });
        let theirs = mutex.clone();
        let other = begun(move || {
            drop(theirs.1.read());
            cancelled(|| sleep(LONG))
        });
        one.cancel();
        other.cancel();
        (0..5).for_each(|_| yield_now());
        assert!(!one.is_finished() && !other.is_finished());
        drop((guard, writer));
        assert!(one.join().unwrap() && other.join().unwrap());
    });
    list.green("cancel.clear", || {
        let handle = begun(|| {
            assert!(cancelled(|| sleep(LONG)));
            let was = (clear_cancel(), clear_cancel());
            sleep(MOMENT);
            was
        });
        handle.cancel();
        assert_eq!(handle.join().unwrap(), (true, false));
        let (go, gone) = gate();
        let pending = spawn(move || {
            shield(|| gone.recv()).unwrap();
            let was = clear_cancel();
            sleep(MOMENT);
            was
        });
        pending.cancel();
        go.send(()).unwrap();
        assert!(pending.join().unwrap());
    });
    list.ordered("cancel.unstarted", || {
        let handle = spawn(|| cancelled(|| sleep(LONG)));
        handle.cancel();
        assert!(handle.join().unwrap());
    });
    list.outside("cancel.from_thread", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let handle = runtime.spawn(|| sleep(LONG));
        handle.cancel();
        assert!(was_cancelled(handle));
    });
    list.green("cancel.shield", || {
        let (tx, rx) = channel(0);
        let handle = begun(move || {
            let got = shield(|| shield(|| rx.recv()));
            (got, cancelled(|| sleep(LONG)))
        });
        handle.cancel();
        (0..3).for_each(|_| yield_now());
        tx.send(4).unwrap();
        assert_eq!(handle.join().unwrap(), (Ok(4), true));
    });
    list.green("cancel.limit", || {
        let (_tx, rx) = channel::<()>(0);
        assert_eq!(timeout(MOMENT, || rx.recv()), Err(Elapsed));
        assert_eq!(timeout(MOMENT, || sleep(LONG)), Err(Elapsed));
        assert_eq!(timeout(LONG, || timeout(MOMENT, || sleep(LONG))), Ok(Err(Elapsed)));
        assert_eq!(timeout(MOMENT, || timeout(LONG, || sleep(LONG))), Err(Elapsed));
    });
}

fn each_wait() {
    let (full, _rx) = channel(1);
    full.send(1).unwrap();
    let (_tx, empty) = channel::<i32>(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut silent = TcpStream::connect(listener.local_addr()).unwrap();
    let _peer = listener.accept().unwrap();
    let other = begun(|| sleep(LONG));
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock();
    let theirs = mutex.clone();
    let (wanted, cond) = (Mutex::new(()), Condvar::new());
    let group = WaitGroup::new();
    group.add(1);
    let none = Semaphore::new(0);
    let receiver = empty.clone();
    let waits: Vec<Box<dyn FnOnce() + Send>> = vec![
        Box::new(|| sleep(LONG)),
        Box::new(move || assert!(empty.recv().is_ok())),
        Box::new(move || full.send(2).unwrap()),
        Box::new(move || {
            select! {
                _ = receiver.recv() => {}
            }
        }),
        Box::new(move || drop(theirs.lock_timeout(LONG))),
        Box::new(move || drop(cond.wait(wanted.lock()))),
        Box::new(move || group.wait()),
        Box::new(move || drop(none.acquire())),
        Box::new(move || drop(other.join())),
        Box::new(move || drop(listener.accept())),
        Box::new(move || drop(std::io::Read::read(&mut silent, &mut [0]))),
        Box::new(|| thrum::block_on(std::future::pending())),
    ];
    for (n, wait) in waits.into_iter().enumerate() {
        let handle = begun(wait);
        handle.cancel();
        assert!(was_cancelled(handle), "the wait at {n}");
    }
    drop(guard);
}
