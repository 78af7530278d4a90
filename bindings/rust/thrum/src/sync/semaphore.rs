//! SPDX-License-Identifier: MIT

use crate::park::{deadline, park, TRY};
use crate::sys;
use std::cell::UnsafeCell;
use std::time::Duration;

/// A number of permits, handed out in the order of arrival.
///
/// ```
/// # thrum::run(|| {
/// let two = thrum::sync::Semaphore::new(2);
/// let (_one, _other) = (two.acquire(), two.acquire());
/// assert!(two.try_acquire().is_none());
/// # });
/// ```
pub struct Semaphore {
    raw: UnsafeCell<sys::thrum_sem>,
}

// SAFETY: made for any number of threads.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// One with that many permits.
    pub fn new(permits: u32) -> Semaphore {
        let semaphore = Semaphore { raw: UnsafeCell::new(sys::thrum_sem { opaque: [0; 4] }) };
        semaphore.add(permits);
        semaphore
    }

    /// Waits for a permit.
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_until(sys::THRUM_FOREVER).expect("nothing else ends this wait")
    }

    /// A permit, if there is one.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.acquire_until(TRY)
    }

    /// Waits so long for a permit.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_until(deadline(Some(timeout)))
    }

    fn acquire_until(&self, deadline: i64) -> Option<Permit<'_>> {
        // SAFETY: parking; it does not move while it is borrowed.
        let code = park(deadline, |until| unsafe { sys::thrum_sem_acquire(self.raw.get(), until) });
        (code == 0).then(|| Permit { semaphore: self })
    }

    /// Adds permits.
    ///
    /// # Panics
    /// Above 2⁴⁰.
    #[track_caller]
    pub fn add(&self, permits: u32) {
        // SAFETY: as above.
        let code = unsafe { sys::thrum_sem_release(self.raw.get(), permits) };
        assert!(code == 0, "thrum: a semaphore above 2⁴⁰");
    }
}

impl std::fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Semaphore { .. }")
    }
}

/// A permit, given back when it is dropped, by whomever.
#[must_use]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Uses it up: it is not given back.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.add(1);
    }
}
