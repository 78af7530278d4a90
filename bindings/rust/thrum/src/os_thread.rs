//! What the crate knows of the calling OS thread: its one thread-local. A green thread
//! that reads it on both sides of a wait must be held on its thread.
//!
//! SPDX-License-Identifier: MIT

use std::cell::Cell;

struct Known {
    serves: Cell<usize>,
    waiting: Cell<u32>,
}

thread_local! {
    static KNOWN: Known = const { Known { serves: Cell::new(0), waiting: Cell::new(0) } };
}

/// The pool whose thread this is, by its key; 0: none.
pub(crate) fn serves() -> usize {
    KNOWN.with(|known| known.serves.get())
}

pub(crate) fn set_serves(pool: usize) {
    KNOWN.with(|known| known.serves.set(pool));
}

/// How many green threads of this thread wait while `std::thread::panicking` is true.
pub(crate) fn waiting() -> u32 {
    KNOWN.with(|known| known.waiting.get())
}

pub(crate) fn set_waiting(green_threads: u32) {
    KNOWN.with(|known| known.waiting.set(green_threads));
}
