//! Waits beside those that unwind on the same OS thread: std counts panics there, so for
//! a while it can't be told whose they are.
//!
//! SPDX-License-Identifier: MIT

use std::io::{ErrorKind, Read};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::time::Duration;
use thrum::net::UnixStream;
use thrum::sync::{Condvar, Mutex, Semaphore};
use thrum::time::{after, timeout};
use thrum::{channel, select, sleep, spawn, yield_now, Receiver, Runtime};

const LONG: Duration = Duration::from_secs(1000);

/// Receives in its drop, until the sender is gone.
struct Lingers(Receiver<()>);

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.recv().ok();
    }
}

/// Panics without a word of the hook.
fn quiet() -> ! {
    resume_unwind(Box::new("quiet"))
}

const WAITS: &[fn()] = &[
    || sleep(LONG),
    || {
        let late = timeout(Duration::from_millis(1), || sleep(LONG));
        late.unwrap_or_else(|_| quiet());
    },
    || {
        let (_tx, rx) = channel::<i32>(0);
        rx.recv().unwrap();
    },
    || {
        let (tx, rx) = channel::<i32>(0);
        tx.send(1).unwrap();
        drop(rx);
    },
    || {
        let (_tx, rx) = channel::<i32>(0);
        select! {
            _ = rx.recv() => {}
            _ = after(LONG) => {}
        }
    },
    || {
        let lock = Mutex::new(0);
        let mut guard = lock.lock();
        loop {
            guard = Condvar::new().wait(guard);
        }
    },
    || drop(Semaphore::new(0).acquire()),
    || spawn(|| sleep(LONG)).join().unwrap(),
    || thrum::block_on(std::future::pending()),
    || {
        let (mut one, _other) = UnixStream::pair().unwrap();
        one.read_exact(&mut [0]).unwrap();
    },
];

#[test]
fn a_wait_beside_one_that_unwinds_is_ended_after_it() {
    Runtime::builder().procs(1).run(|| {
        for wait in WAITS {
            let (tx, rx) = channel(0);
            let slow = spawn(move || {
                let _lingers = Lingers(rx);
                quiet()
            });
            yield_now();
            let beside = spawn(wait);
            yield_now();
            beside.cancel();
            // It looks now and then, and it is still so.
            sleep(Duration::from_millis(25));
            assert!(!beside.is_finished());
            drop(tx);
            assert!(slow.join().is_err());
            assert!(beside.join().is_err());
        }
    });
}

#[test]
fn a_wait_of_its_own_unwinding_is_not_ended_beside_another() {
    Runtime::builder().procs(1).run(|| {
        let (first_tx, first_rx) = channel(0);
        let (second_tx, second_rx) = channel(0);
        let start = |rx| {
            let one = spawn(move || {
                let _lingers = Lingers(rx);
                quiet()
            });
            yield_now();
            one
        };
        let (first, second) = (start(first_rx), start(second_rx));
        second.cancel();
        sleep(Duration::from_millis(25));
        drop(first_tx);
        assert!(first.join().is_err());
        sleep(Duration::from_millis(25));
        assert!(!second.is_finished());
        drop(second_tx);
        assert_eq!(second.join().unwrap_err().downcast_ref(), Some(&"quiet"));
    });
}

#[test]
fn a_wait_goes_on_beside_one_that_unwinds() {
    Runtime::builder().procs(1).run(|| {
        let (tx, rx) = channel(0);
        let slow = spawn(move || {
            let _lingers = Lingers(rx);
            quiet()
        });
        yield_now();
        let (one, other) = channel(0);
        let beside = spawn(move || {
            let began = thrum::time::now();
            sleep(Duration::from_millis(30));
            assert!(thrum::time::now() - began >= Duration::from_millis(30));
            other.recv_timeout(Duration::from_millis(30)).unwrap_err();
            let (mut socket, _peer) = UnixStream::pair().unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
            let began = thrum::time::now();
            assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(thrum::time::now() - began >= Duration::from_millis(30));
            assert!(std::thread::panicking());
            other.recv().unwrap()
        });
        sleep(Duration::from_millis(100));
        one.send(1).unwrap();
        assert_eq!(beside.join().unwrap(), 1);
        drop(tx);
        assert!(slow.join().is_err());
    });
}

/// Never ends, but by a cancel.
fn restless() {
    loop {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_panic_of_who_lends_the_thread_ends_what_runs_on_it() {
    let panics = || {
        Runtime::builder().deterministic(1).run(|| {
            spawn(restless);
            quiet()
        })
    };
    let result: Result<(), _> = catch_unwind(AssertUnwindSafe(panics));
    assert!(result.is_err());
    // A runtime that its owner's unwinding drops is left as it is.
    let panics = || {
        let game = Runtime::builder().hosted().unwrap();
        game.spawn(restless);
        game.pump(Some(Duration::ZERO)).unwrap();
        quiet()
    };
    let result: Result<(), _> = catch_unwind(AssertUnwindSafe(panics));
    assert!(result.is_err());
}
