//! Green threads on all cores: code that looks blocking and parks alone.
//!
//! SPDX-License-Identifier: MIT

pub use thrum_sys as sys;

/// The version of the library that runs, and how it was built.
pub fn build_info() -> &'static str {
    // SAFETY: a static string with a zero behind it.
    let text = unsafe { std::ffi::CStr::from_ptr(sys::thrum_build_info()) };
    text.to_str().unwrap_or("")
}
