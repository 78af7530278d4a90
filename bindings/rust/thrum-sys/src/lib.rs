//! The C interface of thrum, as its headers declare it: use the crate `thrum`.
//!
//! `build.rs` takes an installed thrum that `pkg-config` knows, else builds the
//! library from the tree around this crate (Meson, Ninja and a C++20 compiler) and
//! links it in. `THRUM_NO_PKG_CONFIG=1` always builds it.
//!
//! SPDX-License-Identifier: MIT
#![no_std]

#[allow(missing_docs, non_camel_case_types, clippy::identity_op)]
#[rustfmt::skip]
mod ffi;

pub use ffi::*;
