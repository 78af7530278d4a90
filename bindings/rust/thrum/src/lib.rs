//! Green threads on all cores: code that looks blocking and parks alone.
//!
//! ```
//! use std::time::Duration;
//! use thrum::{channel, scope, select, spawn, time::after};
//!
//! thrum::run(|| {
//!     let (tx, rx) = channel(16);
//!     for n in 0..4 {
//!         let tx = tx.clone();
//!         spawn(move || {
//!             thrum::sleep(Duration::from_millis(n));
//!             tx.send(n).unwrap();
//!         });
//!     }
//!     drop(tx);
//!     let slowest = scope(|s| s.spawn(|| rx.iter().last()).join().unwrap());
//!     assert_eq!(slowest, Some(3));
//!     select! {
//!         closed = rx.recv() => assert!(closed.is_err()),
//!         _ = after(Duration::from_secs(1)) => unreachable!(),
//!     }
//! });
//! ```
//!
//! # Where a green thread runs
//!
//! It may begin on any OS thread of its runtime, and then stays on that one. So safe
//! Rust is sound: `thread_local!`, std's guards and everything else that std keeps in
//! the OS thread mean the same before and after a wait. Three things follow.
//!
//! - Green threads of one OS thread share its `thread_local!`s. A `RefCell` in one that
//!   is borrowed across a wait makes the next one panic; [`local!`] gives each its own.
//! - Never wait with a lock of std's held: the next one on the OS thread may want it,
//!   and then blocks all of them. [`sync`] has locks that park.
//! - Code that blocks the OS thread holds up those that began there, and no others.
//!   Files, processes, foreign libraries: [`offload()`].
//!
//! [`Builder::spawn_migratable`] is for green threads that may move, and `unsafe`.
//!
//! # Cancellation
//!
//! [`JoinHandle::cancel`] and the end of a runtime have a green thread unwind at its
//! next wait, as a panic that no hook reports; its destructors run, and
//! [`join`](JoinHandle::join) returns [`Cancelled`]. [`shield()`] holds it back,
//! [`time::timeout`] does the same by the clock. It needs `panic = "unwind"`.
//!
//! A wait in a destructor that runs because of a panic is ended by nothing but its own
//! end. While such a wait lasts, `std::thread::panicking()` says so to the others on its
//! OS thread too, and their cancels and timeouts come after it: so a destructor must not
//! cancel a green thread and wait for its end. A [`scope`] may, for it catches the panic.
//!
//! # The rest
//!
//! A panic hook must not wait: std ends the process when another green thread of the OS
//! thread panics meanwhile, for to std that is a panic inside the hook.
//!
//! A panic in a green thread ends it alone, and [`join`](JoinHandle::join) returns it. A
//! stack is 256 KiB ([`RuntimeBuilder::stack_size`]); an overflow hits a guard and ends
//! the process, by name with [`RuntimeBuilder::report_overflow`]. Preemption by signals is
//! not offered to safe Rust: a long computation calls [`check`], or goes on beside the
//! others without a P.
//!
//! Rust 1.77, Linux on x86-64 and aarch64.
//!
//! SPDX-License-Identifier: MIT

#[doc(hidden)]
#[path = "select.rs"]
pub mod __select;
mod block;
mod blocking;
mod cancel;
mod chan;
mod error;
pub mod fs;
mod future;
mod hosted;
mod join;
mod local;
pub mod net;
mod offload;
mod os_thread;
mod packet;
mod park;
pub mod process;
mod runtime;
mod scope;
mod spawn;
pub mod sync;
pub mod time;

pub use thrum_sys as sys;

pub use blocking::enter_blocking;
pub use cancel::{cancelled, check, clear_cancel, shield, yield_now, Cancelled};
pub use chan::{
    channel, IntoIter, Iter, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError,
};
pub use future::block_on;
pub use hosted::{Hosted, Pumped};
pub use join::JoinHandle;
pub use local::{LocalKey, NotGreen};
pub use offload::offload;
pub use park::{lock_thread, LockedThread};
pub use runtime::{run, Runtime, RuntimeBuilder};
pub use scope::{scope, Scope, ScopedJoinHandle};
pub use spawn::{spawn, spawn_local, Builder};
pub use time::sleep;

/// The version of the library that runs, and how it was built.
pub fn build_info() -> &'static str {
    // SAFETY: a static string with a zero behind it.
    let text = unsafe { std::ffi::CStr::from_ptr(sys::thrum_build_info()) };
    text.to_str().unwrap_or("")
}
