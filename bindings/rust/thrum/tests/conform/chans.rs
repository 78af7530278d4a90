//! Channels and select!.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use std::time::Instant;
use thrum::time::after;
use thrum::{scope, select, Receiver, RecvError, SendError, Sender};
use thrum::{TryRecvError, TrySendError};

fn passes<T: Clone + PartialEq + std::fmt::Debug + Send + 'static>(value: T) {
    for capacity in [0, 1, 7] {
        let (tx, rx) = channel(capacity);
        let sent = value.clone();
        let sender = spawn(move || (0..10).for_each(|_| tx.send(sent.clone()).unwrap()));
        assert_eq!(rx.iter().collect::<Vec<T>>(), vec![value.clone(); 10]);
        sender.join().unwrap();
    }
}

/// Who receive in the order in which they came: (number, value).
fn receivers(n: i32, rx: &Receiver<i32>, to: &Sender<(i32, i32)>) -> Vec<JoinHandle<()>> {
    let receive = |number| {
        let (rx, to) = (rx.clone(), to.clone());
        begun(move || to.send((number, rx.recv().unwrap())).unwrap())
    };
    (0..n).map(receive).collect()
}

/// Senders and receivers, each on a thread or green: nothing is lost, nothing comes
/// twice, and each sender's order is kept.
fn all_arrives(start: &dyn Fn(usize, Box<dyn FnOnce() + Send>)) {
    const EACH: usize = 300;
    let (tx, rx) = channel(3);
    let (done, results) = channel(100);
    for sender in 0..4 {
        let tx = tx.clone();
        let send = move || (0..EACH).for_each(|n| tx.send((sender, n)).unwrap());
        start(sender, Box::new(send));
    }
    drop(tx);
    for receiver in 0..4 {
        let (rx, done) = (rx.clone(), done.clone());
        let receive = move || done.send(rx.iter().collect::<Vec<_>>()).unwrap();
        start(receiver, Box::new(receive));
    }
    drop(done);
    let mut all = Vec::new();
    for one in results.iter() {
        for sender in 0..4 {
            let theirs = one.iter().filter(|(from, _)| *from == sender).map(|(_, n)| *n);
            assert!(theirs.collect::<Vec<_>>().windows(2).all(|pair| pair[0] < pair[1]));
        }
        all.extend(one);
    }
    all.sort();
    let sent = (0..4).flat_map(|sender| (0..EACH).map(move |n| (sender, n)));
    assert_eq!(all, sent.collect::<Vec<_>>());
}

pub(crate) fn add(list: &mut List) {
    list.green("chan.shapes", || {
        passes(());
        passes(7u8);
        passes([7u16; 3]);
        passes((1u8, 2u64));
        passes([9u64; 200]);
        passes(String::from("owned"));
        passes(Some(Box::new(1)));
    });
    list.green("chan.len_cap", || {
        let (tx, rx) = channel(2);
        assert!(tx.is_empty() && rx.is_empty());
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert_eq!((tx.len(), rx.len()), (2, 2));
        assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!((tx.capacity(), rx.capacity()), (2, 2));
        rx.recv().unwrap();
        assert_eq!(rx.len(), 1);
        assert_eq!(channel::<i32>(0).0.capacity(), 0);
    });
    list.ordered("chan.rendezvous", || {
        let (tx, rx) = channel(0);
        let sent = begun(move || tx.send(1));
        (0..5).for_each(|_| yield_now());
        assert!(!sent.is_finished());
        assert_eq!(rx.recv(), Ok(1));
        assert!(sent.join().unwrap().is_ok());
    });
    list.ordered("chan.receivers_fifo", || {
        let ((tx, rx), (to, got)) = (channel(0), channel(10));
        let all = receivers(5, &rx, &to);
        (0..5).for_each(|n| tx.send(n).unwrap());
        all.into_iter().for_each(|handle| handle.join().unwrap());
        (0..5).for_each(|_| assert!(got.recv().is_ok_and(|(number, value)| number == value)));
    });
    list.ordered("chan.senders_fifo", || {
        let (tx, rx) = channel(2);
        tx.send(0).unwrap();
        tx.send(1).unwrap();
        let send = |n| {
            let tx = tx.clone();
            begun(move || tx.send(n).unwrap())
        };
        let all: Vec<_> = (2..6).map(send).collect();
        (0..6).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
    list.ordered("chan.gaps", || {
        let ((tx, rx), (to, got)) = (channel(0), channel(10));
        let all = receivers(6, &rx, &to);
        let (gone, rest): (Vec<_>, Vec<_>) =
            all.into_iter().enumerate().partition(|(n, _)| n % 2 == 1);
        gone.iter().for_each(|(_, handle)| handle.cancel());
        assert!(gone.into_iter().all(|(_, handle)| was_cancelled(handle)));
        (0..3).for_each(|n| tx.send(n).unwrap());
        rest.into_iter().for_each(|(_, handle)| handle.join().unwrap());
        let mut got: Vec<_> = (0..3).map(|_| got.recv().unwrap()).collect();
        got.sort();
        assert_eq!(got, [(0, 0), (2, 1), (4, 2)]);
    });
    list.outside("chan.threads_queue", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (tx, rx) = channel(0);
        // Threads and green ones by turns, each when the one before it waits: so they are
        // served in this order.
        for _ in 0..3 {
            let (got, gets) = std::sync::mpsc::channel();
            let mut threads = Vec::new();
            for n in 0..8 {
                let (rx, got) = (rx.clone(), got.clone());
                let take = move || got.send((n, rx.recv().unwrap())).unwrap();
                if n % 2 == 0 {
                    drop(runtime.spawn(take));
                    while waiting(runtime.as_ptr(), "chan") <= n / 2 {
                        std::thread::yield_now();
                    }
                } else {
                    threads.push(asleep(take));
                }
            }
            (0..8).for_each(|n| tx.try_send(n).unwrap());
            let mut all: Vec<(usize, usize)> = gets.iter().take(8).collect();
            all.sort();
            assert!(all.iter().all(|(n, value)| n == value), "{all:?}");
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
    list.green("chan.close_wakes", || {
        let (a, b) = (channel::<i32>(0), channel::<i32>(0));
        let received: Vec<_> =
            (0..3).map(|_| a.1.clone()).map(|rx| begun(move || rx.recv())).collect();
        let sent: Vec<_> =
            (0..3).map(|_| b.0.clone()).map(|tx| begun(move || tx.send(1))).collect();
        a.0.close();
        b.1.close();
        received.into_iter().for_each(|got| assert_eq!(got.join().unwrap(), Err(RecvError)));
        sent.into_iter().for_each(|got| assert_eq!(got.join().unwrap(), Err(SendError(1))));
    });
    list.green("chan.close_drains", || {
        let (tx, rx) = channel(3);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        tx.close();
        rx.close(); // again: nothing
        assert_eq!(tx.send(3), Err(SendError(3)));
        assert_eq!(tx.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!((rx.recv(), rx.recv(), rx.recv()), (Ok(1), Ok(2), Err(RecvError)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    });
    list.green("chan.close_loses_nothing", || {
        for _ in 0..50 {
            let (tx, rx) = channel(2);
            let send = |tx: Sender<i32>| move || (0..20).filter(|n| tx.send(*n).is_ok()).count();
            let senders: Vec<_> = (0..4).map(|_| spawn(send(tx.clone()))).collect();
            let got = (0..10).filter(|_| rx.recv().is_ok()).count();
            tx.close();
            let rest = rx.iter().count();
            let sent: usize = senders.into_iter().map(|handle| handle.join().unwrap()).sum();
            assert_eq!(sent, got + rest + rx.iter().count());
        }
    });
    list.green("chan.value_before_close", || {
        for _ in 0..200 {
            let (tx, rx) = channel(1);
            let other = spawn(move || tx.send(1).unwrap());
            let got = loop {
                match rx.try_recv() {
                    Err(TryRecvError::Empty) => yield_now(),
                    got => break got,
                }
            };
            assert_eq!(got, Ok(1));
            other.join().unwrap();
        }
    });
    list.green("chan.failure_moves_nothing", || {
        let (tx, rx) = channel(1);
        let dropped = counter();
        tx.send(Counted(dropped.clone())).unwrap();
        let back = tx.send_timeout(Counted(dropped.clone()), MOMENT);
        assert!(matches!(back, Err(TrySendError::Full(_))) && count(&dropped) == 0);
        drop(back);
        assert_eq!(count(&dropped), 1);
        let (theirs, counted) = (tx.clone(), Counted(dropped.clone()));
        let sender = begun(move || theirs.send(counted).is_ok());
        sender.cancel();
        assert!(was_cancelled(sender));
        assert_eq!((count(&dropped), rx.len()), (2, 1));
        tx.close();
        assert!(tx.send(Counted(dropped.clone())).is_err());
        assert_eq!((count(&dropped), rx.len()), (3, 1));
        assert!(rx.recv().is_ok());
    });
    list.green("chan.many_to_many", || all_arrives(&|_, f| drop(spawn(f))));
    list.outside("chan.threads", |procs| {
        let make = || Runtime::builder().procs(procs).build().unwrap();
        let (a, b) = (make(), make());
        all_arrives(&|n, f| match n {
            0 => drop(a.spawn(f)),
            1 => drop(b.spawn(f)),
            _ => drop(std::thread::spawn(f)),
        });
    });
    list.outside("chan.outlives_runtime", |procs| {
        let (tx, rx) = Runtime::builder().procs(procs).run(|| {
            let (tx, rx) = channel(2);
            tx.send(1).unwrap();
            (tx, rx)
        });
        tx.send(2).unwrap();
        Runtime::builder().procs(procs).run(|| assert_eq!(rx.recv(), Ok(1)));
        assert_eq!(rx.recv(), Ok(2));
    });
    list.green("chan.queue_history", || {
        // A value whose send ended before another's began does not arrive after it.
        let (tx, rx) = channel(2);
        let send = |n: usize, tx: Sender<(usize, Instant, Instant)>| {
            move || {
                let mut sends = Vec::new();
                for k in 0..100 {
                    let began = Instant::now();
                    tx.send((n * 100 + k, began, began)).unwrap();
                    sends.push((n * 100 + k, began, Instant::now()));
                }
                sends
            }
        };
        let senders: Vec<_> = (0..3).map(|n| spawn(send(n, tx.clone()))).collect();
        drop(tx);
        let order: Vec<usize> = rx.iter().map(|(value, ..)| value).collect();
        let mut sends: Vec<_> = senders.into_iter().flat_map(|s| s.join().unwrap()).collect();
        let place: std::collections::HashMap<_, _> =
            order.iter().enumerate().map(|(at, value)| (*value, at)).collect();
        sends.sort_by_key(|(value, ..)| place[value]);
        for (at, (_, _, ended)) in sends.iter().enumerate() {
            assert!(sends[..at].iter().all(|(_, began, _)| began <= ended));
        }
    });

    list.green("select.uniform", || {
        let ((a, ra), (b, rb), (c, rc)) = (channel(1), channel(1), channel(1));
        let mut chosen = [0; 3];
        for _ in 0..3000 {
            let _ = (a.try_send(()), b.try_send(()), c.try_send(()));
            select! {
                _ = ra.recv() => chosen[0] += 1,
                _ = rb.recv() => chosen[1] += 1,
                _ = rc.recv() => chosen[2] += 1,
            }
        }
        // 1000 each; six standard deviations are 155.
        assert!(chosen.iter().all(|n| (845..=1155).contains(n)), "{chosen:?}");
    });
    list.green("select.mixed_arms", || {
        let ((tx, rx), (out, sink)) = (channel(1), channel(1));
        let (mut sent, mut got) = (0, 0);
        while sent < 20 || got < 20 {
            let _ = (tx.try_send(1), sink.try_recv());
            select! {
                _ = rx.recv() => got += 1,
                ok = out.send(2) => {
                    ok.unwrap();
                    sent += 1;
                }
            }
        }
    });
    list.green("select.same_channel", || {
        let (tx, rx) = channel(4);
        for _ in 0..50 {
            tx.send(1).unwrap();
            select! {
                n = rx.recv() => assert_eq!(n, Ok(1)),
                n = rx.recv() => assert_eq!(n, Ok(1)),
            }
            assert!(rx.is_empty());
            select! {
                sent = tx.send(1) => sent.unwrap(),
                sent = tx.send(1) => sent.unwrap(),
            }
            assert_eq!((rx.len(), rx.recv()), (1, Ok(1)));
        }
    });
    list.green("select.not_itself", || {
        let (tx, rx) = channel(0);
        select! {
            _ = tx.send(1) => unreachable!(),
            _ = rx.recv() => unreachable!(),
            _ = after(MOMENT) => {}
        }
        let (theirs, other) = (tx.clone(), rx.clone());
        let both = |tx: Sender<i32>, rx: Receiver<i32>| {
            select! {
                sent = tx.send(1) => sent.is_ok(),
                got = rx.recv() => {
                    got.unwrap();
                    false
                }
            }
        };
        let partner = spawn(move || both(theirs, other));
        assert_ne!(both(tx, rx), partner.join().unwrap());
    });
    list.green("select.no_live_arm", || {
        let nothing = select! {
            default => 1,
        };
        assert_eq!(nothing, 1);
        let began = Instant::now();
        select! {
            _ = after(MOMENT) => {}
        }
        assert!(began.elapsed() >= MOMENT);
        let never = fails(|| {
            select! {
                _ = after(Duration::MAX) => {}
            }
        });
        assert!(never.contains("ever proceed"));
    });
    list.green("select.closed_arm", || {
        let ((tx, rx), (_other, quiet)) = (channel::<i32>(0), channel::<i32>(0));
        let closer = tx.clone();
        let late = spawn(move || closer.close());
        select! {
            got = rx.recv() => assert_eq!(got, Err(RecvError)),
            _ = quiet.recv() => unreachable!(),
        }
        late.join().unwrap();
        select! {
            sent = tx.send(5) => assert_eq!(sent, Err(SendError(5))),
            _ = quiet.recv() => unreachable!(),
        }
    });
    list.green("select.losers", || {
        let ((a, ra), (b, rb)) = (channel(0), channel(0));
        for _ in 0..20 {
            let theirs = a.clone();
            let sender = spawn(move || theirs.send(1).unwrap());
            select! {
                n = ra.recv() => assert_eq!(n, Ok(1)),
                _ = rb.recv() => unreachable!(),
                _ = b.send(9) => unreachable!(),
            }
            sender.join().unwrap();
            select! {
                _ = ra.recv() => unreachable!(),
                _ = rb.recv() => unreachable!(),
                _ = after(MOMENT / 10) => {}
            }
            let (one, other) = (ra.clone(), rb.clone());
            let waits = begun(move || {
                select! {
                    _ = one.recv() => {}
                    _ = other.recv() => {}
                }
            });
            waits.cancel();
            assert!(was_cancelled(waits));
            // Whoever waited is gone: nobody takes a value.
            assert!(a.try_send(1).is_err() && b.try_send(1).is_err());
        }
    });
    list.ordered("select.place", || {
        let ((tx, rx), (to, order)) = (channel(0), channel(2));
        let (_tx, quiet) = channel::<i32>(0);
        let (first, says) = (rx.clone(), to.clone());
        let selects = begun(move || {
            let n = select! {
                n = first.recv() => n.unwrap(),
                _ = quiet.recv() => unreachable!(),
            };
            says.send(("select", n)).unwrap();
        });
        let receives = begun(move || to.send(("recv", rx.recv().unwrap())).unwrap());
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        selects.join().unwrap();
        receives.join().unwrap();
        let mut both = [order.recv().unwrap(), order.recv().unwrap()];
        both.sort();
        assert_eq!(both, [("recv", 2), ("select", 1)]);
    });
    list.green("select.value_once", || {
        for _ in 0..50 {
            let (a, b) = (channel(0), channel(0));
            let others = [a.1, b.1].map(|rx: Receiver<i32>| begun(move || rx.iter().count()));
            select! {
                sent = a.0.send(1) => sent.unwrap(),
                sent = b.0.send(1) => sent.unwrap(),
            }
            drop((a.0, b.0));
            assert_eq!(others.map(|handle| handle.join().unwrap()).iter().sum::<usize>(), 1);
        }
    });
    list.green("select.opposite_orders", || {
        let (a, b) = (channel(0), channel(0));
        let moved = counter();
        scope(|s| {
            for n in 0..4 {
                let (a, b, moved) = (&a, &b, &moved);
                s.spawn(move || {
                    for _ in 0..200 {
                        if n % 2 == 0 {
                            select! {
                                _ = a.0.send(1) => moved.fetch_add(1, Ordering::Relaxed),
                                _ = b.1.recv() => moved.fetch_add(1, Ordering::Relaxed),
                                _ = after(MOMENT) => 0,
                            };
                        } else {
                            select! {
                                _ = b.0.send(1) => moved.fetch_add(1, Ordering::Relaxed),
                                _ = a.1.recv() => moved.fetch_add(1, Ordering::Relaxed),
                                _ = after(MOMENT) => 0,
                            };
                        }
                    }
                });
            }
        });
        assert!(count(&moved) > 0 && count(&moved) % 2 == 0);
    });
    list.green("select.fair_floods", || {
        let (a, b) = (channel(1), channel(1));
        let floods = [a.0, b.0].map(|tx| spawn(move || while tx.send(()).is_ok() {}));
        let mut heard = [0; 2];
        while heard[0] < 20 || heard[1] < 20 {
            select! {
                _ = a.1.recv() => heard[0] += 1,
                _ = b.1.recv() => heard[1] += 1,
            }
        }
        drop((a.1, b.1));
        floods.into_iter().for_each(|flood| flood.join().unwrap());
    });
    list.green("chan.drop_left", || {
        let dropped = counter();
        let (tx, rx) = channel(3);
        (0..3).for_each(|_| tx.send(Counted(dropped.clone())).unwrap());
        drop(rx);
        assert_eq!(count(&dropped), 3);
        drop(tx);
        assert_eq!(count(&dropped), 3);
    });
}
