//! Every wait of the crate goes through here: what a cancel, a limit or an
//! unwinding green thread means for it.
//!
//! SPDX-License-Identifier: MIT

use crate::cancel::{Cancelled, LimitPassed};
use crate::os_thread;
use crate::sys;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::thread::panicking;
use std::time::Duration;

/// What a call of thrum's returns: an `int`, or an `int64_t`.
pub(crate) trait Code: Copy {
    fn number(self) -> i64;
}

impl Code for i32 {
    fn number(self) -> i64 {
        self.into()
    }
}

impl Code for i64 {
    fn number(self) -> i64 {
        self
    }
}

/// The deadline that long from now; none: for ever.
pub(crate) fn deadline(after: Option<Duration>) -> i64 {
    after.map_or(sys::THRUM_FOREVER, |after| {
        // SAFETY: a plain call.
        unsafe { sys::thrum_after(nanoseconds(after)) }
    })
}

pub(crate) fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) const TRY: i64 = sys::THRUM_TRY as i64;

pub(crate) const FORKED: &str = "thrum: the runtime belongs to the parent process";

/// Makes a call that may park, until that time. A cancel, or the limit of an enclosing
/// [`timeout`](crate::time::timeout), unwinds from here; everything else is the
/// caller's to judge. The call is made again if it gave up before the deadline.
///
/// Inline: a frame that a wait leaves is a return that the CPU predicts wrongly.
#[inline(always)]
pub(crate) fn park<C: Code>(deadline: i64, mut call: impl FnMut(i64) -> C) -> C {
    let code = if panicking() { unwinding(deadline, call) } else { call(deadline) };
    if code.number() < 0 {
        give_up(code.number(), deadline);
    }
    code
}

/// As [`park`], for a call that has to be made in one piece.
#[inline(always)]
pub(crate) fn park_whole<C: Code>(deadline: i64, call: impl FnOnce() -> C) -> C {
    let code = if panicking() { Unwinding::begin().wait(call) } else { call() };
    if code.number() < 0 {
        give_up(code.number(), deadline);
    }
    code
}

/// As [`park_whole`], for a wait that neither a cancel nor a limit may end.
pub(crate) fn park_shielded<C: Code>(call: impl FnOnce() -> C) -> C {
    let _shield = Shield::new();
    park_whole(sys::THRUM_FOREVER, call)
}

/// How long a wait goes on beside one that unwinds before it looks again.
pub(crate) const PIECE: i64 = 10_000_000;

/// A wait while [`panicking`] is true, because of the caller or of a green thread that
/// waits on the same OS thread: std counts panics there. In the first case nothing ends
/// it early. In the second something may, as soon as it is seen to be that.
#[cold]
#[inline(never)]
fn unwinding<C: Code>(deadline: i64, mut call: impl FnMut(i64) -> C) -> C {
    loop {
        let state = Unwinding::begin();
        // SAFETY: a plain call.
        let piece = if state.alone { deadline } else { unsafe { sys::thrum_after(PIECE) } };
        let until = piece.min(deadline);
        let code = state.wait(|| call(until));
        if until == deadline || code.number() != sys::THRUM_ETIMEDOUT.into() {
            return code;
        }
        if !panicking() {
            return call(deadline);
        }
    }
}

/// A wait that nothing ends early. A green thread that moved meanwhile would leave its
/// count of panics behind.
struct Unwinding {
    _shield: Shield,
    _still: Option<LockedThread>,
    /// There is nobody else whom the panic could belong to.
    alone: bool,
}

impl Unwinding {
    fn begin() -> Unwinding {
        let _still = crate::spawn::is_migratable().then(lock_thread);
        Unwinding { _shield: Shield::new(), _still, alone: os_thread::waiting() == 0 }
    }

    fn wait<C>(self, call: impl FnOnce() -> C) -> C {
        os_thread::set_waiting(os_thread::waiting() + 1);
        let code = call();
        os_thread::set_waiting(os_thread::waiting() - 1);
        code
    }
}

/// Unwinds if the code says so and the caller can't have meant it.
#[cold]
#[inline(never)]
fn give_up(code: i64, deadline: i64) {
    match code as i32 {
        sys::THRUM_ECANCELED => resume_unwind(Box::new(Cancelled)),
        sys::THRUM_ETIMEDOUT if !passed(deadline) => resume_unwind(Box::new(LimitPassed)),
        sys::THRUM_EFORKED => panic!("{FORKED}"),
        sys::THRUM_ENOMEM => panic!("thrum: no memory to wait with"),
        _ => {}
    }
}

/// Whether it was the call's own deadline, and not the limit, that ended it. One that
/// had none may be ended by its connection's timeout.
fn passed(deadline: i64) -> bool {
    // SAFETY: a plain call.
    let now = unsafe { sys::thrum_now() };
    if deadline == sys::THRUM_FOREVER {
        now < limit()
    } else {
        now >= deadline
    }
}

/// That of the calling green thread; an OS thread has none.
fn limit() -> i64 {
    // SAFETY: a plain call.
    match unsafe { sys::thrum_limit(sys::THRUM_FOREVER) } {
        ..=-1 => sys::THRUM_FOREVER,
        limit => {
            // SAFETY: a plain call; the limit is what it was.
            unsafe { sys::thrum_limit(limit) };
            limit
        }
    }
}

/// While it lives neither cancel nor limit ends a wait. Outside a green thread
/// there is nothing to shield.
pub(crate) struct Shield(());

impl Shield {
    pub(crate) fn new() -> Shield {
        // SAFETY: a plain call; without a G it says so and does nothing.
        unsafe { sys::thrum_shield(1) };
        Shield(())
    }
}

impl Drop for Shield {
    fn drop(&mut self) {
        // SAFETY: as above; it was raised by this G, which is still the same.
        unsafe { sys::thrum_shield(-1) };
    }
}

/// Keeps the OS thread for the calling green thread alone, until what this returns is
/// dropped; it nests. For code that others on the thread must not come between: signal
/// masks, locales, a graphics context. Those that began on the same OS thread wait.
/// Outside a green thread it does nothing.
///
/// ```
/// # thrum::run(|| {
/// let alone = thrum::lock_thread();
/// thrum::yield_now(); // and nobody else has run here
/// drop(alone);
/// # });
/// ```
pub fn lock_thread() -> LockedThread {
    // SAFETY: a non-parking call; outside a G it says so.
    unsafe { sys::thrum_lock_thread() };
    LockedThread(PhantomData)
}

/// See [`lock_thread`].
#[must_use]
#[derive(Debug)]
pub struct LockedThread(PhantomData<*mut ()>);

impl Drop for LockedThread {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { sys::thrum_unlock_thread() };
    }
}
