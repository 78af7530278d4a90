//! Locks and the like, on which green threads park and OS threads block, also both on
//! the same.
//!
//! Locks are never poisoned: what a panic or a cancel leaves behind is as it was. A
//! guard belongs to who locked, and stays with it:
//!
//! ```compile_fail,E0277
//! use thrum::sync::Mutex;
//! static MUTEX: Mutex<i32> = Mutex::new(0);
//! let guard = MUTEX.lock();
//! thrum::spawn(move || println!("{}", *guard));
//! ```
//!
//! ```compile_fail,E0277
//! use thrum::sync::RwLock;
//! static LOCK: RwLock<i32> = RwLock::new(0);
//! let guard = LOCK.read();
//! thrum::spawn(move || println!("{}", *guard));
//! ```
//!
//! Nor does what it guards outlive it:
//!
//! ```compile_fail,E0597
//! use thrum::sync::Mutex;
//! let mutex = Mutex::new(0);
//! let inside: &i32 = {
//!     let guard = mutex.lock();
//!     &*guard
//! };
//! println!("{inside}");
//! ```
//!
//! SPDX-License-Identifier: MIT

mod condvar;
mod mutex;
mod once;
mod rwlock;
mod semaphore;
mod waitgroup;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceLock};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore};
pub use waitgroup::WaitGroup;

/// What an unlock says in a guard's drop, where only who locked is right.
fn unlocked(code: i32) {
    if code == crate::sys::THRUM_EPERM {
        let what = "thrum: a guard is dropped by another than who locked";
        assert!(std::thread::panicking(), "{what}");
        eprintln!("{what}");
    } else {
        crate::error::must(code);
    }
}

/// Whether a lock was got; for ever only a self-deadlock fails.
#[track_caller]
fn locked(code: i32) -> bool {
    assert!(code != crate::sys::THRUM_EDEADLOCK, "thrum: it holds this lock already");
    code == 0
}
