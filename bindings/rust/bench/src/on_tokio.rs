//! SPDX-License-Identifier: MIT

use crate::on_thrum::{BATCH, SPAWNS, TRIPS, YIELDERS, YIELDS};
use crate::PROCS;
use std::future::Future;
use std::time::Instant;
use tokio::runtime::Builder;
use tokio::sync::mpsc::channel;
use tokio::task::yield_now;

/// In a spawned future: on the runtime's own threads, as thrum's.
fn per(n: u32, f: impl Future<Output = ()> + Send + 'static) -> f64 {
    let runtime = Builder::new_multi_thread().worker_threads(PROCS).build().unwrap();
    let timed = async move {
        let start = Instant::now();
        f.await;
        start.elapsed().as_nanos() as f64 / f64::from(n)
    };
    runtime.block_on(runtime.spawn(timed)).unwrap()
}

pub fn spawn_join() -> f64 {
    per(SPAWNS, async {
        for n in 0..SPAWNS {
            assert_eq!(tokio::spawn(async move { n }).await.unwrap(), n);
        }
    })
}

pub fn spawn_many() -> f64 {
    per(SPAWNS, async {
        for _ in 0..SPAWNS / BATCH {
            let all: Vec<_> = (0..BATCH).map(|n| tokio::spawn(async move { n })).collect();
            for one in all {
                one.await.unwrap();
            }
        }
    })
}

pub fn ping_pong() -> f64 {
    per(TRIPS, async {
        let ((tx, mut theirs), (back, mut rx)) = (channel(1), channel(1));
        let other = tokio::spawn(async move {
            while let Some(n) = theirs.recv().await {
                back.send(n).await.unwrap();
            }
        });
        for n in 0..TRIPS {
            tx.send(n).await.unwrap();
            assert_eq!(rx.recv().await, Some(n));
        }
        drop(tx);
        other.await.unwrap();
    })
}

pub fn yields() -> f64 {
    per(YIELDERS * YIELDS, async {
        let yielder = || async {
            for _ in 0..YIELDS {
                yield_now().await;
            }
        };
        let all: Vec<_> = (0..YIELDERS).map(|_| tokio::spawn(yielder())).collect();
        for one in all {
            one.await.unwrap();
        }
    })
}
