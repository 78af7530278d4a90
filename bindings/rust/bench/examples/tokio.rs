//! thrum and tokio in one program: green threads wait for tokio's futures, and tokio's
//! tasks wait for green threads and their channels. `cargo run --example tokio`
//!
//! SPDX-License-Identifier: MIT

use std::time::Duration;
use thrum::{block_on, channel, Runtime};

async fn slow_square(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(n)).await; // on tokio's timer
    n * n
}

fn main() -> std::io::Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let thrum = Runtime::new()?;
    let handle = tokio.handle().clone();

    // A green thread looks blocking while a future runs on tokio.
    let squares = thrum.spawn(move || {
        let asked: Vec<_> = (1..=5).map(|n| handle.spawn(slow_square(n))).collect();
        asked.into_iter().map(|one| block_on(one).unwrap()).sum::<u64>()
    });

    // And tokio awaits green threads: their handles are futures.
    let (tx, rx) = channel(4);
    let sum = thrum.spawn(move || rx.iter().sum::<u64>());
    let total = tokio.block_on(async {
        for n in 1..=10 {
            // A send may block the thread: where it could, it belongs to a blocking one.
            let tx = tx.clone();
            tokio::task::spawn_blocking(move || tx.send(n).unwrap()).await.unwrap();
        }
        drop(tx);
        squares.await.unwrap() + sum.await.unwrap()
    });
    println!("{total}");
    assert_eq!(total, 55 + 55);
    Ok(())
}
