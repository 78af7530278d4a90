//! A dynamic library with a runtime of its own, for tests/soundness.rs: how often a
//! green thread found another OS thread's thread-local after a wait.
//!
//! SPDX-License-Identifier: MIT

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How often it was another, in so many rounds of several green threads.
#[no_mangle]
pub extern "C" fn thrum_plugin_moved(rounds: u64) -> u64 {
    let count = move || {
        let mut moved = 0;
        for n in 0..rounds {
            let here = COUNT.with(|count| {
                count.set(count.get() + 1);
                count as *const _ as usize
            });
            if n % 2 == 0 {
                thrum::yield_now();
            } else {
                thrum::sleep(Duration::from_micros(20));
            }
            moved += COUNT.with(|count| u64::from(count as *const _ as usize != here));
        }
        moved
    };
    thrum::Runtime::builder().procs(4).run(move || {
        let crowd: Vec<_> = (0..16).map(|_| thrum::spawn(count)).collect();
        crowd.into_iter().map(|one| one.join().unwrap()).sum()
    })
}
