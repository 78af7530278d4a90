//! `select!`: whichever of several channel operations can proceed first.
//!
//! SPDX-License-Identifier: MIT

use crate::chan::{Receiver, RecvError, SendError, Sender};
use crate::park::{park, TRY};
use crate::sys;
use crate::time::After;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

/// Waits until one of several arms can proceed, and does that one; among several it
/// draws.
///
/// - `value = receiver.recv() => …`: a `Result<T, RecvError>`
/// - `sent = sender.send(value) => …`: a `Result<(), SendError<T>>`; the value of an
///   arm that is not chosen is dropped
/// - `_ = after(duration) => …`: if nothing else could so long ([`after`](crate::time::after))
/// - `default => …`: if nothing else can now
///
/// Values, channels and durations are evaluated first, in order; the chosen arm's
/// expression last, in place: `return`, `break`, `?` are the caller's.
///
/// ```
/// # thrum::run(|| {
/// use std::time::Duration;
/// use thrum::{channel, select, time::after};
///
/// let (tx, numbers) = channel(0);
/// let (quit_tx, quit) = channel::<()>(0);
/// thrum::spawn(move || {
///     (1..=3).for_each(|n| tx.send(n).unwrap());
///     drop(quit_tx);
///     thrum::sleep(Duration::from_secs(1000)); // tx stays open
/// });
/// let mut sum = 0;
/// loop {
///     select! {
///         n = numbers.recv() => sum += n.unwrap(),
///         _ = quit.recv() => break,
///         _ = after(Duration::from_secs(60)) => panic!("nobody is there"),
///     }
/// }
/// assert_eq!(sum, 6);
/// # });
/// ```
///
/// # Panics
/// With no arm that could ever proceed.
#[macro_export]
macro_rules! select {
    ($($arms:tt)+) => { $crate::__select!(@arms () $($arms)+) };
}

/// Takes the arms apart, one token at a time: `receiver.recv()` must not be evaluated.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@arms ($($done:tt)+)) => { $crate::__select!(@wait $($done)+) };
    (@arms ($($done:tt)*) default => $($rest:tt)+) => {
        $crate::__select!(@body ($($done)*) (_) ($crate::__select::Default) $($rest)+)
    };
    (@arms ($($done:tt)*) $pattern:pat = $($rest:tt)+) => {
        $crate::__select!(@operation ($($done)*) ($pattern) [] $($rest)+)
    };

    (@operation $done:tt $pattern:tt [$($on:tt)+] . recv () => $($rest:tt)+) => {
        $crate::__select!(@body $done $pattern
            ($crate::__select::Recv::new(&$($on)+)) $($rest)+)
    };
    (@operation $done:tt $pattern:tt [$($on:tt)+] . send ($value:expr) => $($rest:tt)+) => {
        $crate::__select!(@body $done $pattern
            ($crate::__select::Send::new(&$($on)+, $value)) $($rest)+)
    };
    (@operation $done:tt $pattern:tt [$($on:tt)+] => $($rest:tt)+) => {
        $crate::__select!(@body $done $pattern ($($on)+) $($rest)+)
    };
    (@operation $done:tt $pattern:tt [$($on:tt)*] $next:tt $($rest:tt)+) => {
        $crate::__select!(@operation $done $pattern [$($on)* $next] $($rest)+)
    };

    (@body ($($done:tt)*) $pattern:tt $arm:tt $body:block , $($rest:tt)*) => {
        $crate::__select!(@arms ($($done)* { $pattern $arm $body }) $($rest)*)
    };
    (@body ($($done:tt)*) $pattern:tt $arm:tt $body:block $($rest:tt)*) => {
        $crate::__select!(@arms ($($done)* { $pattern $arm $body }) $($rest)*)
    };
    (@body ($($done:tt)*) $pattern:tt $arm:tt $body:expr , $($rest:tt)*) => {
        $crate::__select!(@arms ($($done)* { $pattern $arm { $body } }) $($rest)*)
    };
    (@body ($($done:tt)*) $pattern:tt $arm:tt $body:expr) => {
        $crate::__select!(@arms ($($done)* { $pattern $arm { $body } }))
    };

    (@wait $({ $pattern:tt $arm:tt $body:tt })+) => {
        match $crate::__select!(@list $($arm)+) {
            mut arms => {
                let mut cases = [$($crate::__select!(@case $arm)),+];
                #[allow(unused_mut)]
                let mut chosen = $crate::__select::wait(&mut arms, &mut cases);
                $crate::__select!(@run chosen arms $({ $pattern $body })+)
            }
        }
    };
    (@case $arm:tt) => { $crate::__select::EMPTY };
    (@list) => { () };
    (@list ($($arm:tt)+) $($rest:tt)*) => {
        ($($arm)+, $crate::__select!(@list $($rest)*))
    };
    (@run $chosen:ident $arms:ident) => {{
        let () = $arms;
        unreachable!()
    }};
    (@run $chosen:ident $arms:ident { ($pattern:pat) $body:tt } $($rest:tt)*) => {{
        let (arm, rest) = $arms;
        if $chosen.index == 0 {
            $crate::__select::discard(rest);
            // SAFETY: it was chosen, by the wait that saw it.
            let $pattern = unsafe { $crate::__select::Arm::output(arm, $chosen.result) };
            $body
        } else {
            $crate::__select::discard(arm);
            $chosen.index -= 1;
            let arms = rest;
            $crate::__select!(@run $chosen arms $($rest)*)
        }
    }};
    (@run $chosen:ident $arms:ident { (_) $body:tt } $($rest:tt)*) => {
        $crate::__select!(@run $chosen $arms { (_unused) $body } $($rest)*)
    };
}

/// A case without a channel: never ready.
pub const EMPTY: sys::thrum_case = sys::thrum_case {
    chan: ptr::null_mut(),
    elem: ptr::null_mut(),
    op: sys::THRUM_RECV,
    result: 0,
};

/// Drops an arm, or several: what was not chosen.
pub fn discard<T>(_: T) {}

/// What one arm is before and after the wait.
pub trait Arm {
    /// What its pattern is matched with.
    type Output;

    /// Describes it, where it lies now and stays for the wait.
    fn case(&mut self) -> sys::thrum_case;

    /// The wait lasts no longer than this.
    fn deadline(&self) -> i64 {
        sys::THRUM_FOREVER
    }

    /// # Safety
    /// The arm was chosen, with this result.
    unsafe fn output(self, result: i32) -> Self::Output;
}

/// `receiver.recv()`
pub struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
    value: MaybeUninit<T>,
}

impl<'a, T> Recv<'a, T> {
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        Recv { receiver, value: MaybeUninit::uninit() }
    }
}

impl<T> Arm for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn case(&mut self) -> sys::thrum_case {
        let elem = self.value.as_mut_ptr().cast();
        sys::thrum_case { chan: self.receiver.raw(), elem, ..EMPTY }
    }

    unsafe fn output(self, result: i32) -> Self::Output {
        if result < 0 {
            return Err(RecvError);
        }
        // SAFETY: chosen and 0: a value has moved here.
        Ok(unsafe { self.value.assume_init() })
    }
}

/// `sender.send(value)`
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    value: T,
}

impl<'a, T> Send<'a, T> {
    pub fn new(sender: &'a Sender<T>, value: T) -> Self {
        Send { sender, value }
    }
}

impl<T> Arm for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn case(&mut self) -> sys::thrum_case {
        let elem = ptr::from_mut(&mut self.value).cast();
        sys::thrum_case { chan: self.sender.raw(), elem, op: sys::THRUM_SEND, result: 0 }
    }

    unsafe fn output(self, result: i32) -> Self::Output {
        if result < 0 {
            return Err(SendError(self.value));
        }
        // It has moved to the receiver.
        std::mem::forget(self.value);
        Ok(())
    }
}

/// `default`
pub struct Default;

impl Arm for Default {
    type Output = ();

    fn case(&mut self) -> sys::thrum_case {
        EMPTY
    }

    fn deadline(&self) -> i64 {
        TRY
    }

    unsafe fn output(self, _: i32) {}
}

impl Arm for After {
    type Output = ();

    fn case(&mut self) -> sys::thrum_case {
        EMPTY
    }

    fn deadline(&self) -> i64 {
        self.deadline
    }

    unsafe fn output(self, _: i32) {}
}

/// Arms in a row: `(first, (second, ()))`.
pub trait List {
    /// Describes them, and tells the earliest deadline and whose it is.
    fn fill(&mut self, cases: &mut [sys::thrum_case], at: usize, soonest: &mut (i64, usize));
}

impl List for () {
    fn fill(&mut self, _: &mut [sys::thrum_case], _: usize, _: &mut (i64, usize)) {}
}

impl<A: Arm, L: List> List for (A, L) {
    fn fill(&mut self, cases: &mut [sys::thrum_case], at: usize, soonest: &mut (i64, usize)) {
        cases[at] = self.0.case();
        if self.0.deadline() < soonest.0 {
            *soonest = (self.0.deadline(), at);
        }
        self.1.fill(cases, at + 1, soonest);
    }
}

/// Which arm, and what thrum_case.result says of it.
pub struct Chosen {
    pub index: usize,
    pub result: i32,
    _private: PhantomData<()>,
}

/// The wait of `select!`. The arms stay where they are until it returns.
pub fn wait<L: List>(arms: &mut L, cases: &mut [sys::thrum_case]) -> Chosen {
    let mut soonest = (sys::THRUM_FOREVER, usize::MAX);
    arms.fill(cases, 0, &mut soonest);
    let (deadline, timed) = soonest;
    // SAFETY: parking; the arms' values and the cases lie in frames above.
    let code = park(deadline, || unsafe {
        sys::thrum_select(cases.as_mut_ptr(), cases.len() as u32, deadline)
    });
    let (index, result) = match code {
        sys::THRUM_EAGAIN | sys::THRUM_ETIMEDOUT => (timed, 0),
        sys::THRUM_EDEADLOCK => panic!("thrum: no arm of this select! can ever proceed"),
        code => {
            crate::error::must(code);
            (code as usize, cases[code as usize].result)
        }
    };
    Chosen { index, result, _private: PhantomData }
}
