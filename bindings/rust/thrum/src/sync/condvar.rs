//! SPDX-License-Identifier: MIT

use super::MutexGuard;
use crate::error::must;
use crate::park::{deadline, park};
use crate::sys;
use std::cell::UnsafeCell;
use std::time::Duration;

/// Waits for a condition that a mutex guards. All who wait on one use one mutex.
///
/// ```
/// # thrum::run(|| {
/// use thrum::sync::{Condvar, Mutex};
/// let shared = std::sync::Arc::new((Mutex::new(false), Condvar::new()));
/// let theirs = shared.clone();
/// thrum::spawn(move || {
///     *theirs.0.lock() = true;
///     theirs.1.notify_one();
/// });
/// let ready = shared.1.wait_while(shared.0.lock(), |ready| !*ready);
/// assert!(*ready);
/// # });
/// ```
pub struct Condvar {
    raw: UnsafeCell<sys::thrum_cond>,
}

// SAFETY: made for any number of threads.
unsafe impl Send for Condvar {}
// SAFETY: as above.
unsafe impl Sync for Condvar {}

impl Condvar {
    /// One that nobody waits on.
    pub const fn new() -> Condvar {
        Condvar { raw: UnsafeCell::new(sys::thrum_cond { opaque: [0; 4] }) }
    }

    /// Unlocks, waits to be notified, locks again. Check the condition in a loop.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_until(guard, sys::THRUM_FOREVER).0
    }

    /// Waits, and checks, as long as `condition` says so.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Waits so long; true: it was notified.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        self.wait_until(guard, deadline(Some(timeout)))
    }

    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: i64,
    ) -> (MutexGuard<'a, T>, bool) {
        // SAFETY: parking; the guard says that the mutex is held, and it is held again
        // when this returns or unwinds.
        let code = park(deadline, |until| unsafe {
            match sys::thrum_cond_wait(self.raw.get(), guard.raw(), until) {
                // Whoever notifies in between would find nobody: the caller looks again.
                sys::THRUM_ETIMEDOUT if until != deadline => 0,
                code => code,
            }
        });
        if code != sys::THRUM_ETIMEDOUT {
            must(code);
        }
        (guard, code == 0)
    }

    /// Wakes one who waits.
    pub fn notify_one(&self) {
        // SAFETY: it does not move while it is borrowed.
        must(unsafe { sys::thrum_cond_signal(self.raw.get()) });
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        // SAFETY: as above.
        must(unsafe { sys::thrum_cond_broadcast(self.raw.get()) });
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl std::fmt::Debug for Condvar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condvar { .. }")
    }
}
