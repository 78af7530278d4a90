//! Sleeping, and waits that end in time. Durations have nanoseconds, and 100 µs take
//! about 100 µs.
//!
//! SPDX-License-Identifier: MIT

use crate::cancel::LimitPassed;
use crate::park::{deadline, nanoseconds, park, PIECE};
use crate::sys;
use std::error::Error;
use std::fmt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::time::Duration;

/// Sleeps. On an OS thread it sleeps as that does.
pub fn sleep(span: Duration) {
    let mut left = nanoseconds(span);
    let code = park(sys::THRUM_FOREVER, |until| {
        let piece = if until == sys::THRUM_FOREVER { left } else { left.min(PIECE) };
        left -= piece;
        // SAFETY: parking.
        match unsafe { sys::thrum_sleep(piece) } {
            0 if left > 0 => sys::THRUM_ETIMEDOUT,
            code => code,
        }
    });
    crate::error::must(code);
}

/// The time of thrum's clock, which never goes back, since a moment of the past. In a
/// deterministic runtime it is virtual: it begins at 1 s and moves when all sleep.
///
/// ```
/// # thrum::Runtime::builder().deterministic(1).run(|| {
/// let (began, day) = (thrum::time::now(), std::time::Duration::from_secs(86_400));
/// thrum::sleep(day);
/// assert_eq!(thrum::time::now() - began, day);
/// # });
/// ```
pub fn now() -> Duration {
    // SAFETY: a plain call.
    Duration::from_nanos(unsafe { sys::thrum_now() }.max(0) as u64)
}

/// A deadline, for [`select!`](crate::select!).
#[derive(Debug, Clone, Copy)]
pub struct After {
    pub(crate) deadline: i64,
}

/// An arm of [`select!`](crate::select!) that is chosen when nothing else was for so
/// long. Made outside of a loop it is one deadline for all its rounds.
///
/// ```
/// # thrum::run(|| {
/// use std::time::Duration;
/// let (_tx, rx) = thrum::channel::<i32>(0);
/// let got = thrum::select! {
///     n = rx.recv() => n.ok(),
///     _ = thrum::time::after(Duration::from_millis(1)) => None,
/// };
/// assert_eq!(got, None);
/// # });
/// ```
pub fn after(span: Duration) -> After {
    After { deadline: deadline(Some(span)) }
}

/// The time of a [`timeout`] was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// Runs `f`, whose waits all end when `span` is over: the one that it is in then
/// unwinds to here. It nests, and the earliest counts. Locks are waited for without
/// limit, and what does not wait is not interrupted.
///
/// ```
/// # thrum::run(|| {
/// use std::time::Duration;
/// use thrum::time::{sleep, timeout, Elapsed};
/// assert_eq!(timeout(Duration::from_secs(60), || 1), Ok(1));
/// let slow = timeout(Duration::from_millis(1), || sleep(Duration::from_secs(60)));
/// assert_eq!(slow, Err(Elapsed));
/// # });
/// ```
///
/// # Panics
/// As `f` does, and outside a green thread.
#[track_caller]
pub fn timeout<T>(span: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let mine = deadline(Some(span));
    let limit = Limit::lower(mine);
    let outer = limit.former;
    let result = catch_unwind(AssertUnwindSafe(f));
    drop(limit);
    match result {
        Ok(value) => Ok(value),
        // An outer one that comes no later is the one that ended the wait.
        Err(payload) if payload.is::<LimitPassed>() && mine < outer => Err(Elapsed),
        Err(payload) => resume_unwind(payload),
    }
}

/// The calling green thread's limit, put back when it is dropped.
struct Limit {
    former: i64,
}

impl Limit {
    #[track_caller]
    fn lower(deadline: i64) -> Limit {
        // SAFETY: a plain call.
        let former = unsafe { sys::thrum_limit(deadline) };
        assert!(former >= 0, "thrum: timeout() is for green threads");
        if former < deadline {
            // SAFETY: as above.
            unsafe { sys::thrum_limit(former) };
        }
        Limit { former }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // SAFETY: a plain call, from the same G.
        unsafe { sys::thrum_limit(self.former) };
    }
}

/// Something to do each `period`; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    next: i64,
    period: i64,
}

/// Ticks after each `period`, counted from now. Ticks that were missed come at once.
///
/// ```
/// # thrum::run(|| {
/// let mut every = thrum::time::interval(std::time::Duration::from_micros(100));
/// (0..3).for_each(|_| every.tick());
/// # });
/// ```
pub fn interval(period: Duration) -> Interval {
    let period = nanoseconds(period).max(1);
    // SAFETY: a plain call.
    Interval { next: unsafe { sys::thrum_after(period) }, period }
}

impl Interval {
    /// Waits for the next tick.
    pub fn tick(&mut self) {
        // SAFETY: a plain call.
        let left = self.next - unsafe { sys::thrum_now() };
        if left > 0 {
            sleep(Duration::from_nanos(left as u64));
        }
        self.next = self.next.saturating_add(self.period);
    }
}
