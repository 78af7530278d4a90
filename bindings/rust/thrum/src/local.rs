//! Storage of a green thread's own.
//!
//! SPDX-License-Identifier: MIT

use crate::sys;
use std::ffi::c_void;
use std::fmt;
use std::sync::OnceLock;

/// Declares statics of which each green thread has its own: what `thread_local!` is to
/// a thread. A value is made when its green thread first asks for it, and dropped at
/// the end of that.
///
/// Green threads of one OS thread share what `thread_local!` declares.
///
/// ```
/// use std::cell::Cell;
/// thrum::local! {
///     static DEPTH: Cell<u32> = Cell::new(0);
/// }
/// thrum::run(|| {
///     DEPTH.with(|depth| depth.set(1));
///     thrum::spawn(|| DEPTH.with(|depth| assert_eq!(depth.get(), 0))).join().unwrap();
///     DEPTH.with(|depth| assert_eq!(depth.get(), 1));
/// });
/// ```
#[macro_export]
macro_rules! local {
    ($($(#[$meta:meta])* $vis:vis static $name:ident: $type:ty = $init:expr);+ $(;)?) => {
        $($(#[$meta])* $vis static $name: $crate::LocalKey<$type> =
            $crate::LocalKey::new(|| $init);)+
    };
}

/// One static of [`local!`](crate::local!).
pub struct LocalKey<T: 'static> {
    key: OnceLock<u32>,
    init: fn() -> T,
}

/// The caller is no green thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotGreen;

impl fmt::Display for NotGreen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not in a green thread")
    }
}

impl std::error::Error for NotGreen {}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> Self {
        LocalKey { key: OnceLock::new(), init }
    }

    /// Calls `f` with the calling green thread's value.
    ///
    /// # Panics
    /// Outside a green thread.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect("a local of thrum's is used in a green thread")
    }

    /// The same, with an answer outside a green thread.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, NotGreen> {
        // SAFETY: a plain call.
        if unsafe { sys::thrum_self() } == 0 {
            return Err(NotGreen);
        }
        let key = *self.key.get_or_init(new_key::<T>);
        let value = match get(key) {
            Some(value) => value,
            None => self.make(key),
        };
        // SAFETY: it is this green thread's, and goes at its end.
        Ok(f(unsafe { &*value }))
    }

    fn make(&self, key: u32) -> *mut T {
        let fresh = Box::new((self.init)());
        // The initialiser may have asked for it too.
        if let Some(value) = get(key) {
            return value;
        }
        let value = Box::into_raw(fresh);
        // SAFETY: end::<T> gives it back.
        crate::error::must(unsafe { sys::thrum_local_set(key, value.cast()) });
        value
    }
}

fn get<T>(key: u32) -> Option<*mut T> {
    // SAFETY: a plain call.
    let value = unsafe { sys::thrum_local_get(key) };
    (!value.is_null()).then(|| value.cast())
}

fn new_key<T>() -> u32 {
    let mut key = 0;
    // SAFETY: values of this key are boxes of T.
    crate::error::must(unsafe { sys::thrum_local_new(Some(end::<T>), &mut key) });
    key
}

/// A panic of T's drop ends the process here, as at the end of a thread.
unsafe extern "C" fn end<T>(value: *mut c_void) {
    // SAFETY: from make(); the green thread ends.
    drop(unsafe { Box::from_raw(value.cast::<T>()) });
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey { .. }")
    }
}
