//! SPDX-License-Identifier: MIT

use crate::error::must;
use crate::park::{deadline, park};
use crate::sys;
use std::cell::UnsafeCell;
use std::time::Duration;

/// A count that is waited for to become 0.
///
/// ```
/// # thrum::run(|| {
/// let group = std::sync::Arc::new(thrum::sync::WaitGroup::new());
/// for _ in 0..3 {
///     group.add(1); // before the spawn, not inside it
///     let group = group.clone();
///     thrum::spawn(move || group.done());
/// }
/// group.wait();
/// # });
/// ```
pub struct WaitGroup {
    raw: UnsafeCell<sys::thrum_wg>,
}

// SAFETY: made for any number of threads.
unsafe impl Send for WaitGroup {}
// SAFETY: as above.
unsafe impl Sync for WaitGroup {}

impl WaitGroup {
    /// One at 0.
    pub const fn new() -> WaitGroup {
        WaitGroup { raw: UnsafeCell::new(sys::thrum_wg { opaque: [0; 4] }) }
    }

    /// Adds `n`.
    ///
    /// # Panics
    /// Above `i32::MAX`.
    #[track_caller]
    pub fn add(&self, n: u32) {
        // SAFETY: it does not move while it is borrowed.
        let added = i32::try_from(n).map(|n| unsafe { sys::thrum_wg_add(self.raw.get(), n) });
        assert!(added == Ok(0), "thrum: a wait group above i32::MAX");
    }

    /// Takes 1 away.
    ///
    /// # Panics
    /// Below 0.
    #[track_caller]
    pub fn done(&self) {
        // SAFETY: as above.
        let code = unsafe { sys::thrum_wg_done(self.raw.get()) };
        assert!(code == 0, "thrum: a wait group below 0");
    }

    /// Waits until it is 0.
    pub fn wait(&self) {
        self.wait_until(sys::THRUM_FOREVER);
    }

    /// Waits so long; whether it became 0.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(deadline(Some(timeout)))
    }

    fn wait_until(&self, deadline: i64) -> bool {
        // SAFETY: parking; as above.
        let code = park(deadline, |until| unsafe { sys::thrum_wg_wait(self.raw.get(), until) });
        if code != sys::THRUM_ETIMEDOUT {
            must(code);
        }
        code == 0
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        WaitGroup::new()
    }
}

impl std::fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WaitGroup { .. }")
    }
}
