//! SPDX-License-Identifier: MIT

use crate::PROCS;
use std::time::Instant;
use thrum::{channel, spawn, yield_now, Runtime};

pub const SPAWNS: u32 = 500_000;
pub const BATCH: u32 = 1_000;
pub const TRIPS: u32 = 300_000;
pub const YIELDERS: u32 = 8;
pub const YIELDS: u32 = 150_000;

fn per(n: u32, f: impl FnOnce() + Send) -> f64 {
    Runtime::builder().procs(PROCS as u32).run(|| {
        let start = Instant::now();
        f();
        start.elapsed().as_nanos() as f64 / f64::from(n)
    })
}

pub fn spawn_join() -> f64 {
    per(SPAWNS, || {
        for n in 0..SPAWNS {
            assert_eq!(spawn(move || n).join().unwrap(), n);
        }
    })
}

pub fn spawn_many() -> f64 {
    per(SPAWNS, || {
        for _ in 0..SPAWNS / BATCH {
            let all: Vec<_> = (0..BATCH).map(|n| spawn(move || n)).collect();
            all.into_iter().for_each(|one| _ = one.join().unwrap());
        }
    })
}

pub fn ping_pong() -> f64 {
    per(TRIPS, || {
        let ((tx, theirs), (back, rx)) = (channel(1), channel(1));
        let other = spawn(move || theirs.iter().for_each(|n: u32| back.send(n).unwrap()));
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
        let all: Vec<_> =
            (0..YIELDERS).map(|_| spawn(|| (0..YIELDS).for_each(|_| yield_now()))).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    })
}
