//! What the crate knows of the calling OS thread: its one thread-local. A green thread
//! that reads it on both sides of a wait must be held on its thread.
//!
//! SPDX-License-Identifier: MIT

use crate::block::Spare;
use std::cell::Cell;

struct Known {
    serves: Cell<usize>,
    waiting: Cell<u32>,
    spare: Spare,
}

thread_local! {
    static KNOWN: Known =
        const { Known { serves: Cell::new(0), waiting: Cell::new(0), spare: Spare::new() } };
}

/// None: the thread ends, and it has gone.
fn known<R>(f: impl FnOnce(&Known) -> R) -> Option<R> {
    KNOWN.try_with(f).ok()
}

/// The pool whose thread this is, by its key; 0: none.
pub(crate) fn serves() -> usize {
    known(|known| known.serves.get()).unwrap_or(0)
}

pub(crate) fn set_serves(pool: usize) {
    known(|known| known.serves.set(pool));
}

/// How many green threads of this thread wait while `std::thread::panicking` is true.
pub(crate) fn waiting() -> u32 {
    known(|known| known.waiting.get()).unwrap_or(0)
}

pub(crate) fn set_waiting(green_threads: u32) {
    known(|known| known.waiting.set(green_threads));
}

/// The blocks that this thread keeps. Never inline: who calls it may wait between two
/// calls and be elsewhere, and the compiler would not look again.
#[inline(never)]
pub(crate) fn spare<R>(f: impl FnOnce(&Spare) -> R) -> Option<R> {
    known(|known| f(&known.spare))
}
