//! `select!`: whichever of several channel operations can proceed first.
//!
//! SPDX-License-Identifier: MIT

use crate::chan::{Receiver, RecvError, SendError, Sender};
use crate::park::{park, TRY};
use crate::sys;
use crate::time::After;
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
                #[allow(unused_mut)]
                let mut chosen =
                    $crate::__select::wait(&mut arms, [$($crate::__select!(@one $arm)),+]);
                $crate::__select!(@run chosen arms $({ $pattern $body })+)
            }
        }
    };
    (@one $arm:tt) => { () };
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
        if $chosen == 0 {
            $crate::__select::discard(rest);
            let $pattern = $crate::__select::Arm::output(arm);
            $body
        } else {
            $crate::__select::discard(arm);
            $chosen -= 1;
            let arms = rest;
            $crate::__select!(@run $chosen arms $($rest)*)
        }
    }};
}

/// A case without a channel: never ready.
const EMPTY: sys::thrum_case = sys::thrum_case {
    chan: ptr::null_mut(),
    elem: ptr::null_mut(),
    op: sys::THRUM_RECV,
    result: 0,
};

/// Drops an arm, or several: what was not chosen.
pub fn discard<T>(_: T) {}

/// What one arm is before and after the wait.
///
/// # Safety
/// Its case is EMPTY, or one that thrum_select may be given as long as the arm stays
/// where it is.
pub unsafe trait Arm {
    /// What its pattern is matched with.
    type Output;

    /// Describes it, where it lies now and stays for the wait.
    fn case(&mut self) -> sys::thrum_case;

    /// The wait lasts no longer than this.
    fn deadline(&self) -> i64 {
        sys::THRUM_FOREVER
    }

    /// It was: before anything else happens, so that each value has one owner whatever
    /// the others' destructors do.
    ///
    /// # Safety
    /// With this result, by the wait that has just ended.
    unsafe fn chosen(&mut self, _result: i32) {}

    /// Of the chosen one.
    fn output(self) -> Self::Output;
}

/// `receiver.recv()`
pub struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
    value: MaybeUninit<T>,
    output: Option<Result<T, RecvError>>,
}

impl<'a, T> Recv<'a, T> {
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        Recv { receiver, value: MaybeUninit::uninit(), output: None }
    }
}

// SAFETY: its case is filled from a receiver and room for its value.
unsafe impl<T> Arm for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn case(&mut self) -> sys::thrum_case {
        let elem = self.value.as_mut_ptr().cast();
        sys::thrum_case { chan: self.receiver.raw(), elem, ..EMPTY }
    }

    unsafe fn chosen(&mut self, result: i32) {
        self.output = Some(if result < 0 {
            Err(RecvError)
        } else {
            // SAFETY: chosen and 0: a value has moved here, and moves on, once.
            Ok(unsafe { self.value.assume_init_read() })
        });
    }

    fn output(self) -> Self::Output {
        self.output.expect("it was chosen")
    }
}

/// `sender.send(value)`
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    value: Option<T>,
}

impl<'a, T> Send<'a, T> {
    pub fn new(sender: &'a Sender<T>, value: T) -> Self {
        Send { sender, value: Some(value) }
    }
}

// SAFETY: its case is filled from a sender and its value.
unsafe impl<T> Arm for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn case(&mut self) -> sys::thrum_case {
        let elem = self.value.as_mut().map_or(ptr::null_mut(), |value| ptr::from_mut(value).cast());
        sys::thrum_case { chan: self.sender.raw(), elem, op: sys::THRUM_SEND, result: 0 }
    }

    unsafe fn chosen(&mut self, result: i32) {
        if result == 0 {
            // It has moved to the receiver.
            std::mem::forget(self.value.take());
        }
    }

    fn output(self) -> Self::Output {
        self.value.map_or(Ok(()), |value| Err(SendError(value)))
    }
}

/// `default`
pub struct Default;

// SAFETY: its case is EMPTY.
unsafe impl Arm for Default {
    type Output = ();

    fn case(&mut self) -> sys::thrum_case {
        EMPTY
    }

    fn deadline(&self) -> i64 {
        TRY
    }

    fn output(self) {}
}

// SAFETY: as above.
unsafe impl Arm for After {
    type Output = ();

    fn case(&mut self) -> sys::thrum_case {
        EMPTY
    }

    fn deadline(&self) -> i64 {
        self.deadline
    }

    fn output(self) {}
}

/// Arms in a row: `(first, (second, ()))`.
///
/// # Safety
/// It describes arms, each in its place.
pub unsafe trait List {
    /// Describes them, and tells the earliest deadline and whose it is.
    fn fill(&mut self, cases: &mut [sys::thrum_case], at: usize, soonest: &mut (i64, usize));

    /// # Safety
    /// See [`Arm::chosen`]: the one at `index`.
    unsafe fn chosen(&mut self, index: usize, result: i32);
}

// SAFETY: none.
unsafe impl List for () {
    fn fill(&mut self, _: &mut [sys::thrum_case], _: usize, _: &mut (i64, usize)) {}

    unsafe fn chosen(&mut self, _: usize, _: i32) {}
}

// SAFETY: the first is at `at`, the others behind it.
unsafe impl<A: Arm, L: List> List for (A, L) {
    fn fill(&mut self, cases: &mut [sys::thrum_case], at: usize, soonest: &mut (i64, usize)) {
        cases[at] = self.0.case();
        if self.0.deadline() < soonest.0 {
            *soonest = (self.0.deadline(), at);
        }
        self.1.fill(cases, at + 1, soonest);
    }

    unsafe fn chosen(&mut self, index: usize, result: i32) {
        // SAFETY: the caller's promise.
        unsafe {
            match index {
                0 => self.0.chosen(result),
                _ => self.1.chosen(index - 1, result),
            }
        }
    }
}

/// The wait of `select!` for so many arms: which was chosen. They stay where they are
/// until it returns.
pub fn wait<L: List, const N: usize>(arms: &mut L, _: [(); N]) -> usize {
    let mut cases = [EMPTY; N];
    let mut soonest = (sys::THRUM_FOREVER, usize::MAX);
    arms.fill(&mut cases, 0, &mut soonest);
    let (deadline, timed) = soonest;
    // SAFETY: parking; the arms' values and the cases lie in frames above.
    let code = park(deadline, |until| unsafe {
        sys::thrum_select(cases.as_mut_ptr(), cases.len() as u32, until)
    });
    let (index, result) = match code {
        sys::THRUM_EAGAIN | sys::THRUM_ETIMEDOUT => (timed, 0),
        sys::THRUM_EDEADLOCK => panic!("thrum: no arm of this select! can ever proceed"),
        code => {
            crate::error::must(code);
            (code as usize, cases[code as usize].result)
        }
    };
    // SAFETY: so says thrum_select.
    unsafe { arms.chosen(index, result) };
    index
}
