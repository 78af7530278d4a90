//! Errors, time, runtimes seen from inside.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use std::ffi::CStr;
use std::io::ErrorKind;
use thrum::time::{after, now, timeout};
use thrum::{block_on, select, sleep, sys, Builder, Receiver, TryRecvError};

fn texts(code: i32) -> (&'static str, &'static str) {
    // SAFETY: static strings with a zero behind them, for every number.
    let (name, text) = unsafe {
        (CStr::from_ptr(sys::thrum_errname(code)), CStr::from_ptr(sys::thrum_strerror(code)))
    };
    (name.to_str().unwrap(), text.to_str().unwrap())
}

pub(crate) fn add(list: &mut List) {
    list.once("errors.names", || {
        let codes = [
            (sys::THRUM_EPERM, -1, "EPERM"),
            (sys::THRUM_E2BIG, -7, "E2BIG"),
            (sys::THRUM_EAGAIN, -11, "EAGAIN"),
            (sys::THRUM_ENOMEM, -12, "ENOMEM"),
            (sys::THRUM_EBUSY, -16, "EBUSY"),
            (sys::THRUM_EINVAL, -22, "EINVAL"),
            (sys::THRUM_ENOTSUP, -95, "ENOTSUP"),
            (sys::THRUM_ETIMEDOUT, -110, "ETIMEDOUT"),
            (sys::THRUM_ECANCELED, -125, "ECANCELED"),
            (sys::THRUM_ENOTG, -1001, "ENOTG"),
            (sys::THRUM_ESTALE, -1002, "ESTALE"),
            (sys::THRUM_ECLOSED, -1003, "ECLOSED"),
            (sys::THRUM_EDEADLOCK, -1004, "EDEADLOCK"),
            (sys::THRUM_EFORKED, -1005, "EFORKED"),
        ];
        let mut seen = std::collections::HashSet::new();
        for (code, number, name) in codes {
            assert_eq!(code, number);
            assert_eq!(texts(code).0, name);
            assert!(!texts(code).1.is_empty() && seen.insert(texts(code).1));
        }
        // What the crate makes of them.
        let runtime = Runtime::new().unwrap();
        runtime.stop(None).unwrap();
        let closed = Builder::new().spawn_in(&runtime, || ()).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::NotConnected);
        assert!(closed.to_string().contains(texts(sys::THRUM_ECLOSED).1));
    });
    list.once("errors.unknown_code", || {
        assert!(!texts(-99999).0.is_empty() && !texts(-99999).1.is_empty());
    });
    list.once("errors.only_in_a_g", || {
        assert!(Builder::new().spawn(|| ()).is_err());
        assert!(Builder::new().spawn_local(|| ()).is_err());
        assert!(fails(|| spawn(|| ())).contains("no green thread"));
        assert!(fails(|| thrum::scope(|_| ())).contains("green threads"));
        assert!(fails(|| timeout(LONG, || ())).contains("green threads"));
        assert!(LOCAL.try_with(|_| ()).is_err());
    });

    list.green("time.monotonic", || {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    });
    list.green("time.after_saturates", || {
        let (tx, rx) = channel(1);
        tx.send(1).unwrap();
        assert_eq!(rx.recv_timeout(Duration::MAX), Ok(1));
        let other = spawn(move || rx.recv_timeout(Duration::MAX));
        tx.send(2).unwrap();
        assert_eq!(other.join().unwrap(), Ok(2));
        // No time is now, and not for ever.
        let (_tx, rx) = channel::<()>(0);
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(TryRecvError::Empty));
        let late = select! {
            _ = rx.recv() => 0,
            _ = after(Duration::MAX) => 1,
            _ = after(Duration::ZERO) => 2,
        };
        assert_eq!(late, 2);
    });
    list.green("time.sleep_not_early", || {
        let began = now();
        sleep(MOMENT);
        assert!(now() - began >= MOMENT);
        sleep(Duration::ZERO);
    });
    list.green("time.deadline_past", || {
        let (tx, rx) = channel::<i32>(0);
        assert_eq!(rx.recv_timeout(Duration::from_nanos(1)), Err(TryRecvError::Empty));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(tx.try_send(1), Err(thrum::TrySendError::Full(1)));
        let was = after(Duration::from_nanos(1));
        sleep(MOMENT);
        select! {
            _ = rx.recv() => unreachable!(),
            _ = was => {}
        }
    });
    list.ordered("time.deadline_at_once", || {
        let (tx, rx) = channel(1);
        tx.send(7).unwrap();
        assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(7));
        let (tx, rx) = channel(0);
        let partner = begun(move || tx.send(8));
        assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(8));
        assert!(partner.join().unwrap().is_ok());
    });
    list.green("time.shorter_sleep", || {
        let long = begun(|| sleep(LONG));
        sleep(MOMENT);
        assert!(!long.is_finished());
        long.cancel();
        assert!(was_cancelled(long));
    });
    list.green("time.busy_neighbour", || {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let hog = spawn(move || while !seen.load(Ordering::SeqCst) {});
        // Pinned neighbours of who computes wait for it; this one may move.
        // SAFETY: it keeps nothing of its OS thread's.
        let sleeper = unsafe {
            Builder::new().spawn_migratable(move || {
                (0..3).for_each(|_| sleep(MOMENT));
                stop.store(true, Ordering::SeqCst);
            })
        };
        hog.join().unwrap();
        sleeper.unwrap().join().unwrap();
    });
    list.green("time.cancelled_timers", || {
        let (tx, rx) = channel(20);
        let began = now();
        let all: Vec<_> = (1..=20u32)
            .map(|n| {
                let tx = tx.clone();
                spawn(move || {
                    sleep(MOMENT * n);
                    tx.send((n, now())).unwrap();
                })
            })
            .collect();
        drop(tx);
        let evens = all.iter().skip(1).step_by(2);
        evens.for_each(|handle| handle.cancel());
        let mut woken: Vec<_> = rx.iter().collect();
        woken.sort();
        assert_eq!(woken.iter().map(|w| w.0).filter(|n| n % 2 == 1).count(), 10);
        assert!(woken.iter().all(|(n, at)| *at - began >= MOMENT * *n));
    });

    list.outside("runtime.run_returns", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        for n in 0..3 {
            assert_eq!(runtime.run(move || n), n);
        }
    });
    list.outside("runtime.others_go_on", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let rx: Receiver<i32> = runtime.run(|| {
            let (tx, rx) = channel(0);
            spawn(move || {
                sleep(MOMENT);
                tx.send(1)
            });
            rx
        });
        assert_eq!(rx.recv(), Ok(1));
    });
    list.outside("runtime.current", |procs| {
        // SAFETY: plain calls.
        let current = || unsafe { sys::thrum_rt_current() } as usize;
        assert_eq!(current(), 0);
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        assert_eq!(runtime.run(current), runtime.as_ptr() as usize);
    });
    list.green("runtime.run_in_g", || {
        assert!(fails(|| thrum::run(|| ())).contains("OS threads"));
        assert!(Runtime::builder().hosted().is_err());
    });
    list.outside("runtime.several", |procs| {
        let make = || Runtime::builder().procs(procs).build().unwrap();
        let (a, b) = (make(), make());
        let (tx, rx) = channel(0);
        // SAFETY: plain calls.
        let current = || unsafe { sys::thrum_rt_current() } as usize;
        let sender = a.spawn(move || {
            (0..100).for_each(|n| tx.send(n).unwrap());
            current()
        });
        let sum = b.spawn(move || (rx.iter().sum::<i32>(), current()));
        let theirs = b.spawn(move || sender.join().unwrap());
        assert_eq!(sum.join().unwrap(), (4950, b.as_ptr() as usize));
        assert_eq!(theirs.join().unwrap(), a.as_ptr() as usize);
    });
    list.outside("runtime.two_threads", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (there, back) = (channel(0), channel(0));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                runtime.run(|| {
                    there.0.send(1).unwrap();
                    assert_eq!(back.1.recv(), Ok(2));
                })
            });
            runtime.run(|| {
                assert_eq!(there.1.recv(), Ok(1));
                back.0.send(2).unwrap();
            });
        });
    });
    list.once("runtime.deadlock", || {
        let told = fails(|| {
            Runtime::builder().deterministic(1).run(|| {
                let (_tx, rx) = channel::<()>(0);
                rx.recv()
            })
        });
        assert!(told.contains("each other"));
    });
    list.outside("runtime.no_false_deadlock", |procs| {
        Runtime::builder().deterministic(1).run(|| sleep(LONG));
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (tx, rx) = channel(0);
        let waits = runtime.spawn(move || rx.recv());
        std::thread::sleep(MOMENT * 5);
        tx.send(1).unwrap();
        assert_eq!(waits.join().unwrap(), Ok(1));
    });

    list.green("permit.one", || {
        // Two wakes leave one permit; it cuts no sleep short, and is taken once.
        let (mut polls, woken) = (0, Arc::new(AtomicBool::new(false)));
        block_on(std::future::poll_fn(|cx| {
            polls += 1;
            let waker = cx.waker().clone();
            match polls {
                1 => {
                    waker.wake_by_ref();
                    waker.wake();
                    let began = now();
                    sleep(MOMENT);
                    assert!(now() - began >= MOMENT);
                }
                2 => {
                    let theirs = woken.clone();
                    spawn(move || {
                        sleep(MOMENT);
                        theirs.store(true, Ordering::SeqCst);
                        waker.wake();
                    });
                }
                _ => {
                    assert!(woken.load(Ordering::SeqCst));
                    return std::task::Poll::Ready(());
                }
            }
            std::task::Poll::Pending
        }));
        assert_eq!(polls, 3);
    });
    list.outside("permit.from_thread", |procs| {
        use std::task::{Poll, Waker};
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        runtime.run(|| {
            for _ in 0..100 {
                let woken = Arc::new(AtomicBool::new(false));
                let (tx, rx) = std::sync::mpsc::channel::<Waker>();
                let theirs = woken.clone();
                let other = std::thread::spawn(move || {
                    let waker = rx.recv().unwrap();
                    theirs.store(true, Ordering::SeqCst);
                    waker.wake();
                });
                block_on(std::future::poll_fn(|cx| {
                    if woken.load(Ordering::SeqCst) {
                        return Poll::Ready(());
                    }
                    let _ = tx.send(cx.waker().clone());
                    Poll::Pending
                }));
                thrum::offload(|| other.join().unwrap());
            }
        });
    });
    list.green("local.values", || {
        let all: Vec<_> = (0..5)
            .map(|n| {
                spawn(move || {
                    let dropped = counter();
                    LOCAL.with(|local| *local.borrow_mut() = Some((n, Counted(dropped.clone()))));
                    yield_now();
                    LOCAL.with(|local| assert_eq!(local.borrow().as_ref().unwrap().0, n));
                    dropped
                })
            })
            .collect();
        for handle in all {
            let dropped = handle.join().unwrap();
            until(|| count(&dropped) == 1);
        }
        LOCAL.with(|local| assert!(local.borrow().is_none()));
    });
}

thrum::local! {
    static LOCAL: std::cell::RefCell<Option<(i32, Counted)>> = std::cell::RefCell::new(None);
}
