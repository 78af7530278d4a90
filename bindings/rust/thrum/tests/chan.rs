//! Channels and select!: values move, none is lost or dropped twice.
//!
//! SPDX-License-Identifier: MIT

use std::collections::HashSet;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use thrum::time::after;
use thrum::{channel, run, select, spawn, yield_now, Cancelled};
use thrum::{RecvError, SendError, TryRecvError, TrySendError};

const LONG: Duration = Duration::from_secs(1000);
const MOMENT: Duration = Duration::from_millis(2);

/// A value whose copies that live are counted.
struct Live(Arc<AtomicIsize>, #[allow(dead_code)] [u64; 3]);

impl Live {
    fn new(count: &Arc<AtomicIsize>) -> Live {
        count.fetch_add(1, Ordering::Relaxed);
        Live(count.clone(), [7; 3])
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        assert_eq!(self.1, [7; 3]);
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_left_is_dropped_once() {
    let live = Arc::new(AtomicIsize::new(0));
    run(|| {
        let (tx, rx) = channel(8);
        (0..8).for_each(|_| tx.send(Live::new(&live)).unwrap());
        assert!(matches!(tx.try_send(Live::new(&live)), Err(TrySendError::Full(_))));
        drop(rx.recv().unwrap());
        let late = tx.send_timeout(Live::new(&live), MOMENT);
        assert!(late.is_ok() && live.load(Ordering::Relaxed) == 8);
        drop(rx);
        assert_eq!(live.load(Ordering::Relaxed), 0);
        assert!(matches!(tx.send(Live::new(&live)), Err(SendError(_))));
        assert!(matches!(tx.try_send(Live::new(&live)), Err(TrySendError::Closed(_))));
    });
    assert_eq!(live.load(Ordering::Relaxed), 0);
}

#[test]
fn a_cancelled_sender_keeps_and_drops_its_value() {
    let live = Arc::new(AtomicIsize::new(0));
    run(|| {
        let (tx, rx) = channel(0);
        let value = Live::new(&live);
        let sender = spawn(move || tx.send(value).is_ok());
        yield_now();
        sender.cancel();
        assert!(sender.join().unwrap_err().is::<Cancelled>());
        assert_eq!(live.load(Ordering::Relaxed), 0);
        assert!(rx.recv().is_err());
    });
}

#[test]
fn ends_close_with_their_last_handle() {
    run(|| {
        let (tx, rx) = channel(2);
        let another = tx.clone();
        drop(tx);
        another.send(1).unwrap();
        drop(another);
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Err(RecvError)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        let (tx, rx) = channel::<u8>(0);
        let (a, b) = (rx.clone(), spawn(move || tx.send(1)));
        drop(rx);
        assert_eq!(a.recv(), Ok(1));
        drop(a);
        assert!(b.join().unwrap().is_ok());
        let (tx, rx) = channel(4);
        tx.send(1).unwrap();
        tx.close();
        assert!(tx.send(2).is_err());
        assert_eq!(rx.into_iter().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn values_of_no_bytes_and_of_many() {
    run(|| {
        let (tx, rx) = channel(1);
        spawn(move || (0..10).for_each(|_| tx.send(()).unwrap()));
        assert_eq!(rx.iter().count(), 10);
        let (tx, rx) = channel(1);
        spawn(move || (0..10).for_each(|n| tx.send([n; 1000]).unwrap()));
        assert!(rx.iter().enumerate().all(|(n, value)| value == [n as u64; 1000]));
    });
}

#[test]
fn many_to_many_lose_nothing() {
    run(|| {
        for capacity in [0, 1, 64] {
            let (tx, rx) = channel(capacity);
            let senders: Vec<_> = (0..4u32)
                .map(|s| {
                    let tx = tx.clone();
                    spawn(move || (0..500).for_each(|n| tx.send(Box::new(s * 500 + n)).unwrap()))
                })
                .collect();
            drop(tx);
            let receivers: Vec<_> = (0..3)
                .map(|_| {
                    let rx = rx.clone();
                    spawn(move || rx.iter().map(|n| *n).collect::<Vec<u32>>())
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            let got = receivers.into_iter().flat_map(|receiver| receiver.join().unwrap());
            assert_eq!(got.collect::<HashSet<_>>().len(), 2000);
        }
    });
}

#[test]
fn os_threads_take_part() {
    let runtime = thrum::Runtime::new().unwrap();
    let (tx, rx) = channel(0);
    let sum = runtime.spawn(move || rx.iter().sum::<i32>());
    (0..100).for_each(|n| tx.send(n).unwrap());
    drop(tx);
    assert_eq!(sum.join().unwrap(), 4950);
}

#[test]
fn select_takes_what_is_ready() {
    run(|| {
        let ((tx, rx), (full, _keeps)) = (channel(1), channel(1));
        full.send(0).unwrap();
        tx.send(5).unwrap();
        let got = select! {
            n = rx.recv() => n.unwrap(),
            _ = full.send(1) => unreachable!(),
            default => unreachable!(),
        };
        assert_eq!(got, 5);
        let got = select! {
            n = rx.recv() => n.unwrap(),
            _ = full.send(1) => 1,
            default => 2,
        };
        assert_eq!(got, 2);
        let sent = select! {
            _ = rx.recv() => false,
            sent = tx.send(6) => sent.is_ok()
        };
        assert!(sent);
        assert_eq!(rx.recv(), Ok(6));
    });
}

#[test]
fn select_is_fair_and_waits() {
    run(|| {
        let ((a, from_a), (b, from_b)) = (channel(0), channel(0));
        let senders = [
            spawn(move || (0..200).for_each(|n| a.send(n).unwrap())),
            spawn(move || (0..200).for_each(|n| b.send(n).unwrap())),
        ];
        let (mut sums, mut open) = ([0, 0], [true, true]);
        while open[0] || open[1] {
            select! {
                n = from_a.recv() => match n {
                    Ok(n) => sums[0] += n,
                    Err(RecvError) => open[0] = false,
                },
                n = from_b.recv() => match n {
                    Ok(n) => sums[1] += n,
                    Err(RecvError) => { open[1] = false }
                },
            }
            if open == [false, true] || open == [true, false] {
                let rest = if open[0] { &from_a } else { &from_b };
                sums[usize::from(open[1])] += rest.iter().sum::<i32>();
                break;
            }
        }
        assert_eq!(sums, [19_900, 19_900]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn the_earliest_timeout_counts() {
    run(|| {
        let (_tx, rx) = channel::<()>(0);
        for _ in 0..3 {
            let which = select! {
                _ = after(LONG) => "long",
                _ = rx.recv() => "value",
                _ = after(MOMENT) => "short",
            };
            assert_eq!(which, "short");
        }
        // One deadline for all rounds.
        let deadline = after(MOMENT);
        let mut rounds = 0;
        loop {
            select! {
                _ = deadline => break,
                _ = after(Duration::from_micros(10)) => rounds += 1,
            }
        }
        assert!(rounds < 1000);
        // And an enclosing timeout is no arm's.
        let outer = thrum::time::timeout(MOMENT, || {
            select! {
                _ = rx.recv() => {}
                _ = after(LONG) => {}
            }
        });
        assert!(outer.is_err());
    });
}

#[test]
fn unchosen_values_are_dropped_and_refused_ones_come_back() {
    let live = Arc::new(AtomicIsize::new(0));
    run(|| {
        let ((full, keeps), (closed, gone)) = (channel(1), channel(1));
        full.send(Live::new(&live)).unwrap();
        drop(gone);
        let back = select! {
            _ = full.send(Live::new(&live)) => None,
            sent = closed.send(Live::new(&live)) => sent.err(),
        };
        assert_eq!(live.load(Ordering::Relaxed), 2);
        drop(back);
        let got = select! {
            value = keeps.recv() => value,
            _ = closed.send(Live::new(&live)) => Err(RecvError),
        };
        drop(got);
        drop(keeps);
    });
    assert_eq!(live.load(Ordering::Relaxed), 0);
}

#[test]
fn select_in_control_flow() {
    fn first(
        rx: &thrum::Receiver<i32>,
        also: [&thrum::Receiver<i32>; 1],
    ) -> Result<i32, RecvError> {
        loop {
            select! {
                n = rx.recv() => { return n; }
                n = also[0].recv() => {
                    let n = n?;
                    if n < 0 {
                        continue;
                    }
                    return Ok(n);
                }
            }
        }
    }
    run(|| {
        let ((tx, rx), (also_tx, also)) = (channel(2), channel(2));
        also_tx.send(-1).unwrap();
        also_tx.send(3).unwrap();
        assert_eq!(first(&rx, [&also]), Ok(3));
        drop(also_tx);
        assert_eq!(first(&rx, [&also]), Err(RecvError));
        drop(tx);
    });
}

#[test]
fn a_select_that_never_ends_says_so() {
    run(|| {
        let never = std::panic::catch_unwind(|| {
            select! {
                _ = thrum::time::after(Duration::MAX) => ()
            }
        });
        assert!(never.unwrap_err().downcast_ref::<&str>().unwrap().contains("select!"));
    });
}

/// Its drop panics, if it is to.
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 {
            resume_unwind(Box::new("bomb"));
        }
    }
}

#[test]
fn a_panic_in_the_drop_of_another_arm_drops_nothing_twice() {
    run(|| {
        let live = Arc::new(AtomicIsize::new(0));
        let (tx, rx) = channel(1);
        let (bombs, _nobody) = channel::<Bomb>(0);
        let value = Live::new(&live);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            select! {
                sent = tx.send(value) => sent.is_ok(),
                _ = bombs.send(Bomb(true)) => unreachable!(),
            }
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"bomb"));
        assert_eq!(live.load(Ordering::Relaxed), 1);
        // Nor is one that was received lost.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            select! {
                _ = bombs.send(Bomb(true)) => unreachable!(),
                value = rx.recv() => drop(value),
            }
        }));
        assert!(caught.is_err());
        assert_eq!(live.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_value_drops_the_rest() {
    run(|| {
        let live = Arc::new(AtomicIsize::new(0));
        let (tx, rx) = channel(3);
        for bad in [false, true, false] {
            assert!(tx.send((Live::new(&live), Bomb(bad))).is_ok());
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(live.load(Ordering::Relaxed), 0);
    });
}
