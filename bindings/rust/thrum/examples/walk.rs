//! A parallel walk: bytes and files below a folder, the folders read by threads for
//! what blocks while the green threads wait. `cargo run --example walk [FOLDER]`
//!
//! SPDX-License-Identifier: MIT

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use thrum::sync::Semaphore;
use thrum::{offload, scope, Scope};

struct Totals {
    files: AtomicU64,
    bytes: AtomicU64,
    /// How many folders are read at once.
    readers: Semaphore,
}

/// What lies in one folder: its folders, and the sizes of the others.
fn list(folder: &Path) -> (Vec<PathBuf>, Vec<u64>) {
    let (mut folders, mut sizes) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(entry.path()),
            Ok(_) => sizes.push(entry.metadata().map_or(0, |meta| meta.len())),
            Err(_) => {}
        }
    }
    (folders, sizes)
}

fn walk<'scope>(s: &'scope Scope<'scope, '_>, totals: &'scope Totals, folder: PathBuf) {
    let (folders, sizes) = {
        let _permit = totals.readers.acquire();
        offload(|| list(&folder))
    };
    totals.files.fetch_add(sizes.len() as u64, Ordering::Relaxed);
    totals.bytes.fetch_add(sizes.iter().sum(), Ordering::Relaxed);
    for folder in folders {
        s.spawn(move || walk(s, totals, folder));
    }
}

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or(".".to_string()));
    thrum::run(|| {
        let totals = Totals {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            readers: Semaphore::new(16),
        };
        scope(|s| walk(s, &totals, folder));
        println!("{} files, {} bytes", totals.files.into_inner(), totals.bytes.into_inner());
    });
}
