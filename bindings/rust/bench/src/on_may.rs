//! SPDX-License-Identifier: MIT

use crate::on_thrum::{BATCH, SPAWNS, TRIPS, YIELDERS, YIELDS};
use crate::PROCS;
use may::coroutine::{spawn, yield_now};
use may::sync::mpsc::channel;
use std::time::Instant;

fn per(n: u32, f: impl FnOnce() + Send + 'static) -> f64 {
    may::config().set_workers(PROCS);
    let timed = move || {
        let start = Instant::now();
        f();
        start.elapsed().as_nanos() as f64 / f64::from(n)
    };
    // SAFETY: no thread-local lives across a wait.
    unsafe { spawn(timed) }.join().unwrap()
}

/// Fewer: each takes up to 0.1 ms on two threads.
pub fn spawn_join() -> f64 {
    per(SPAWNS / 50, || {
        for n in 0..SPAWNS / 50 {
            // SAFETY: as above.
            assert_eq!(unsafe { spawn(move || n) }.join().unwrap(), n);
        }
    })
}

pub fn spawn_many() -> f64 {
    per(SPAWNS, || {
        for _ in 0..SPAWNS / BATCH {
            // SAFETY: as above.
            let all: Vec<_> = (0..BATCH).map(|n| unsafe { spawn(move || n) }).collect();
            all.into_iter().for_each(|one| _ = one.join().unwrap());
        }
    })
}

pub fn ping_pong() -> f64 {
    per(TRIPS, || {
        let ((tx, theirs), (back, rx)) = (channel(), channel());
        // SAFETY: as above.
        let other = unsafe {
            spawn(move || {
                while let Ok(n) = theirs.recv() {
                    back.send(n).unwrap();
                }
            })
        };
        for n in 0..TRIPS {
            tx.send(n).unwrap();
            assert_eq!(rx.recv(), Ok(n));
        }
        drop(tx);
        other.join().unwrap();
    })
}

pub fn yields() -> f64 {
    per(YIELDERS * YIELDS, || {
        let all: Vec<_> = (0..YIELDERS)
            // SAFETY: as above.
            .map(|_| unsafe { spawn(|| (0..YIELDS).for_each(|_| yield_now())) })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    })
}
