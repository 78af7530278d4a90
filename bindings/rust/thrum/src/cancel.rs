//! Cancellation: a green thread that is cancelled unwinds at its next wait.
//!
//! SPDX-License-Identifier: MIT

use crate::park::{park_whole, Shield};
use crate::sys;
use std::fmt;

/// What [`join`](crate::JoinHandle::join) returns, as the payload of the panic that
/// it was, of a green thread that ended because it was cancelled.
///
/// ```
/// # thrum::run(|| {
/// let sleeper = thrum::spawn(|| thrum::sleep(std::time::Duration::from_secs(1000)));
/// sleeper.cancel();
/// assert!(sleeper.join().unwrap_err().is::<thrum::Cancelled>());
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// The payload with which the limit of a `timeout` unwinds to it.
pub(crate) struct LimitPassed;

/// Whether the calling green thread was cancelled, also if it has unwound since and
/// went on. `false` outside a green thread.
pub fn cancelled() -> bool {
    // SAFETY: a plain call.
    unsafe { sys::thrum_cancelled() == 1 }
}

/// Takes a cancel back that was not met yet, or was met and caught; whether there
/// was one. The end of the runtime is not taken back.
///
/// ```
/// # thrum::run(|| {
/// use std::panic::{catch_unwind, resume_unwind};
/// let stubborn = thrum::spawn(|| {
///     let sleeps = || thrum::sleep(std::time::Duration::from_secs(1000));
///     match catch_unwind(sleeps) {
///         Err(payload) if !payload.is::<thrum::Cancelled>() => resume_unwind(payload),
///         _ => thrum::clear_cancel(),
///     }
/// });
/// stubborn.cancel();
/// assert!(stubborn.join().unwrap());
/// # });
/// ```
pub fn clear_cancel() -> bool {
    // SAFETY: a plain call.
    unsafe { sys::thrum_cancel_clear() == 1 }
}

/// Runs `f` with cancels and timeouts held back: they come at the first wait after
/// it.
///
/// ```
/// # thrum::run(|| {
/// let saver = thrum::spawn(|| {
///     thrum::shield(|| thrum::sleep(std::time::Duration::from_millis(1)));
///     "saved"
/// });
/// saver.cancel();
/// assert_eq!(saver.join().unwrap(), "saved");
/// # });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let _shield = Shield::new();
    f()
}

/// A safepoint of about a nanosecond for long computations: lets others run if the
/// slice is over, and unwinds if the green thread was cancelled.
///
/// ```
/// # thrum::run(|| {
/// let endless = thrum::spawn(|| loop {
///     std::hint::black_box(1 + 1);
///     thrum::check();
/// });
/// endless.cancel();
/// assert!(endless.join().is_err());
/// # });
/// ```
pub fn check() {
    // SAFETY: parking, from a G; outside it answers ENOTG.
    park_whole(sys::THRUM_FOREVER, || unsafe { sys::thrum_check() });
}

/// Lets others run: goes to the back of the queue. Outside a green thread it yields
/// the OS thread.
pub fn yield_now() {
    // SAFETY: parking, from a G; outside it answers ENOTG.
    if park_whole(sys::THRUM_FOREVER, || unsafe { sys::thrum_yield() }) == sys::THRUM_ENOTG {
        std::thread::yield_now();
    }
}
