//! Files: the functions of [`std::fs`], each on a thread that may block ([`offload`]),
//! so that no other green thread waits for the disk.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let path = std::env::temp_dir().join(format!("thrum-fs-{}", std::process::id()));
//! thrum::run(|| {
//!     thrum::fs::write(&path, "on the disk")?;
//!     assert_eq!(thrum::fs::read_to_string(&path)?, "on the disk");
//!     thrum::fs::remove_file(&path)
//! })
//! # }
//! ```
//!
//! What is not here, reading a [`std::fs::File`] piece by piece for one: in an
//! [`offload`] of its own, as much at a time as possible, for each costs some
//! microseconds. On an OS thread they just block.
//!
//! SPDX-License-Identifier: MIT

use crate::offload;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// See [`std::fs::read`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    offload(|| fs::read(path))
}

/// See [`std::fs::read_to_string`].
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    offload(|| fs::read_to_string(path))
}

/// See [`std::fs::write`].
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    offload(|| fs::write(path, contents))
}

/// See [`std::fs::File::open`].
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    offload(|| File::open(path))
}

/// See [`std::fs::metadata`].
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    offload(|| fs::metadata(path))
}

/// The paths in a directory, in no order; see [`std::fs::read_dir`].
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let path = path.as_ref();
    offload(|| fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect())
}

/// See [`std::fs::rename`].
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    offload(|| fs::rename(from, to))
}

/// See [`std::fs::create_dir_all`].
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    offload(|| fs::create_dir_all(path))
}

/// See [`std::fs::remove_file`].
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    offload(|| fs::remove_file(path))
}

/// See [`std::fs::remove_dir_all`].
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    offload(|| fs::remove_dir_all(path))
}
