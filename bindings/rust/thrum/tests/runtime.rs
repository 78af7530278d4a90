//! Runtimes, handles from outside, futures and their wakers.
//!
//! SPDX-License-Identifier: MIT

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use thrum::{block_on, channel, offload, run, sleep, spawn, yield_now, Cancelled, Runtime};

const LONG: Duration = Duration::from_secs(1000);
const MOMENT: Duration = Duration::from_millis(2);

#[test]
fn handles_work_from_outside() {
    let runtime = Runtime::builder().procs(2).build().unwrap();
    let sleeper = runtime.spawn(|| sleep(LONG));
    assert_eq!(runtime.procs(), 2);
    assert!(runtime.live() >= 1);
    sleeper.cancel();
    assert!(sleeper.join().unwrap_err().is::<Cancelled>());
    assert_eq!(runtime.spawn(|| 3).join().unwrap(), 3);
    assert_eq!(block_on(async { runtime.spawn(|| 4).await.unwrap() }), 4);
    let borrowed = String::from("borrowed");
    assert_eq!(runtime.run(|| borrowed.len()), 8);
    let late = runtime.spawn(|| sleep(LONG));
    drop(runtime);
    assert!(late.is_finished());
    late.cancel();
    assert!(late.join().is_err());
}

#[test]
fn a_runtime_may_be_dropped_by_its_own() {
    let runtime = Arc::new(Runtime::new().unwrap());
    let theirs = runtime.clone();
    let (tx, rx) = channel(1);
    runtime.spawn(move || {
        rx.recv().ok();
        drop(theirs);
    });
    drop(runtime);
    tx.send(()).unwrap();
    // Its end is awaited by nobody; the channel's end is.
    while tx.send_timeout((), MOMENT).is_ok() {}
}

#[test]
fn nor_does_its_own_offload_wait_for_itself() {
    let runtime = Arc::new(Runtime::new().unwrap());
    let theirs = runtime.clone();
    let (tx, rx) = channel(1);
    let (go, gone) = std::sync::mpsc::channel();
    let guest = runtime.spawn(move || {
        let ended = offload(move || {
            gone.recv().unwrap();
            drop(theirs); // the last
            7
        });
        assert_eq!(ended, 7);
        rx.recv()
    });
    drop(runtime);
    go.send(()).unwrap();
    // By the stop: it was at its next wait, or is.
    assert!(guest.join().unwrap_err().is::<Cancelled>());
    while tx.send_timeout((), MOMENT).is_ok() {}
}

#[test]
fn runtimes_side_by_side() {
    let (a, b) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (tx, rx) = channel(0);
    let sender = a.spawn(move || (0..100).for_each(|n| tx.send(n).unwrap()));
    let sum = b.spawn(move || rx.iter().sum::<i32>());
    // One joins the other's.
    let joined = b.spawn(move || sender.join().is_ok());
    assert_eq!(sum.join().unwrap(), 4950);
    assert!(joined.join().unwrap());
}

#[test]
fn a_seed_replays() {
    let order = |seed| {
        Runtime::builder().deterministic(seed).run(|| {
            let (tx, rx) = channel(100);
            for n in 0..10 {
                let tx = tx.clone();
                spawn(move || {
                    for _ in 0..5 {
                        yield_now();
                    }
                    sleep(LONG); // the clock is virtual
                    tx.send(n).unwrap();
                });
            }
            drop(tx);
            rx.iter().collect::<Vec<i32>>()
        })
    };
    assert_eq!(order(1), order(1));
    assert!((2..20).any(|seed| order(seed) != order(1)));
}

#[test]
fn a_deadlock_is_told_and_borrows_end() {
    let borrowed = Arc::new(());
    let told = catch_unwind(AssertUnwindSafe(|| {
        Runtime::builder().deterministic(1).run(|| {
            let _borrowed = borrowed.clone();
            let (_tx, rx) = channel::<()>(0);
            rx.recv()
        })
    }));
    assert!(told.unwrap_err().downcast_ref::<&str>().unwrap().contains("each other"));
    assert_eq!(Arc::strong_count(&borrowed), 1);
    // What blocks does so in place, there.
    let outside = || offload(|| std::thread::sleep(MOMENT));
    Runtime::builder().deterministic(1).run(outside);
}

#[test]
fn futures_are_woken_from_anywhere() {
    use std::task::{Poll, Waker};
    run(|| {
        for _ in 0..100 {
            let (tx, rx) = std::sync::mpsc::channel::<Waker>();
            let woken = Arc::new(AtomicBool::new(false));
            let theirs = woken.clone();
            let other = std::thread::spawn(move || {
                let waker = rx.recv().unwrap();
                theirs.store(true, Ordering::Release);
                waker.wake_by_ref();
                waker
            });
            let mut sent = Some(tx);
            block_on(std::future::poll_fn(|cx| {
                if let Some(tx) = sent.take() {
                    tx.send(cx.waker().clone()).unwrap();
                }
                if woken.load(Ordering::Acquire) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            let kept = offload(|| other.join().unwrap());
            spawn(move || kept.wake()).join().unwrap(); // late, and by a neighbour
        }
    });
}

#[test]
fn a_waker_outlives_its_runtime() {
    let kept =
        run(|| block_on(std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone()))));
    kept.wake();
}

#[test]
fn a_wake_is_not_lost_to_a_wait_inside_the_poll() {
    run(|| {
        let mut event = None;
        block_on(std::future::poll_fn(|cx| {
            if event.is_some() {
                return std::task::Poll::Ready(());
            }
            // Comes while this waits for something else, with the same permit.
            let waker = cx.waker().clone();
            event = Some(());
            offload(move || {
                waker.wake();
                std::thread::sleep(MOMENT);
            });
            std::task::Poll::Pending
        }));
    });
}
