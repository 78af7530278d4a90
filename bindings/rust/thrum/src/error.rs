//! thrum's numbers as errors of std's.
//!
//! SPDX-License-Identifier: MIT

use crate::sys;
use std::ffi::CStr;
use std::io;

/// thrum's own errors begin here; before are errno's.
const OWN: i64 = -1000;

/// A negative result as an [`io::Error`].
pub(crate) fn io_error(code: i64) -> io::Error {
    if code > OWN {
        return io::Error::from_raw_os_error(-code as i32);
    }
    let kind = match code as i32 {
        sys::THRUM_ECLOSED => io::ErrorKind::NotConnected,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, text(code as i32))
}

pub(crate) fn text(code: i32) -> &'static str {
    // SAFETY: a static string with a zero behind it, for every number.
    let text = unsafe { CStr::from_ptr(sys::thrum_strerror(code)) };
    text.to_str().unwrap_or("unknown error")
}

/// The result of a call that fails only if this crate is wrong.
#[track_caller]
pub(crate) fn must(code: i32) {
    assert!(code >= 0, "thrum: {}", text(code));
}
