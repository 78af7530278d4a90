//! Code that blocks its OS thread, declared.
//!
//! SPDX-License-Identifier: MIT

use crate::error::must;
use crate::park::park_shielded;
use crate::sys;

/// Runs `f`, which may block its OS thread, on this one, and says so: other green
/// threads go on elsewhere meanwhile, at once instead of when it is found out. Those
/// that began on the same OS thread wait all the same: to spare them too, use
/// [`offload`](crate::offload()).
///
/// ```
/// # thrum::run(|| {
/// let name = thrum::enter_blocking(|| std::fs::read_to_string("/proc/self/comm"));
/// assert!(name.is_ok());
/// # });
/// ```
pub fn enter_blocking<T>(f: impl FnOnce() -> T) -> T {
    struct Exit(bool);
    impl Drop for Exit {
        fn drop(&mut self) {
            if self.0 {
                // SAFETY: parking; the pair of the enter below.
                must(park_shielded(|| unsafe { sys::thrum_exit_blocking() }));
            }
        }
    }
    // SAFETY: a non-parking call; outside a G nothing is declared.
    let _exit = Exit(unsafe { sys::thrum_enter_blocking() } == 0);
    f()
}
