//! Finds thrum, or builds it: see src/lib.rs.
//!
//! SPDX-License-Identifier: MIT

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn main() {
    for name in ["THRUM_NO_PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_SYSROOT_DIR", "PKG_CONFIG"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    // Neither documentation nor Miri links anything.
    if env::var_os("DOCS_RS").is_some() || env::var_os("CARGO_CFG_MIRI").is_some() {
        return;
    }
    let found = match env::var_os("THRUM_NO_PKG_CONFIG") {
        Some(_) => None,
        None => installed(),
    };
    link(&found.unwrap_or_else(built));
}

/// What `pkg-config` says of an installed thrum of this version.
fn installed() -> Option<String> {
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    // Before 1.0 a minor version may break the ABI.
    let next: u32 = minor.parse::<u32>().unwrap() + 1;
    let said = Command::new(env::var_os("PKG_CONFIG").unwrap_or("pkg-config".into()))
        .args(["--libs", "--keep-system-libs"])
        .arg(format!("thrum >= {major}.{minor}"))
        .arg(format!("thrum < {major}.{next}"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Builds the static library in OUT_DIR; what to link with it.
fn built() -> String {
    // Two checkouts may share a target directory, this program and OUT_DIR in it.
    let top = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../..");
    let top = match top.join("capi/meson.build").canonicalize() {
        Ok(found) => found.ancestors().nth(2).unwrap().to_path_buf(),
        Err(_) => panic!("no thrum that pkg-config knows, and no source tree around this crate"),
    };
    for part in ["core", "capi", "meson.build", "meson_options.txt"] {
        println!("cargo:rerun-if-changed={}", top.join(part).display());
    }
    let mut of = DefaultHasher::new();
    top.hash(&mut of);
    let name = format!("meson-{:016x}", of.finish());
    let dir = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join(name);
    if !dir.join("build.ninja").exists() {
        let options = ["-Dtests=false", "-Dexamples=false", "-Dbindings=disabled"];
        run(Command::new("meson").arg("setup").args(options).arg(&dir).arg(&top));
    }
    let mut ninja = Command::new("ninja");
    ninja.arg("-C").arg(&dir).arg("capi/libthrum.a");
    if let Ok(parallel) = env::var("NUM_JOBS") {
        ninja.args(["-j", &parallel]);
    }
    // A source that came or went: the first run says so, the second builds.
    if !ninja.stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        run(ninja.stdout(Stdio::inherit()));
    }
    let said = dir.join("meson-private/thrum-static.pc");
    let said = std::fs::read_to_string(&said).expect("Meson writes thrum-static.pc");
    let libs = said.lines().find_map(|line| line.strip_prefix("Libs:")).unwrap();
    println!("cargo:rustc-link-search=native={}", dir.join("capi").display());
    libs.replace("${libdir}/libthrum.a", "-l:static=thrum")
}

fn run(command: &mut Command) {
    match command.stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?}: {status}"),
        Err(error) => panic!("{command:?}: {error}; thrum needs meson, ninja and a C++20 compiler"),
    }
}

/// Hands flags of pkg-config on to rustc, in their order: libc has to come before
/// mimalloc, whose shared library else takes malloc over in the whole program.
fn link(flags: &str) {
    for flag in flags.split_whitespace() {
        if let Some(dir) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={dir}");
        } else if let Some(name) = flag.strip_prefix("-l:") {
            println!("cargo:rustc-link-lib={name}");
        } else if let Some(name) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib={name}");
        }
    }
    println!("cargo:rustc-link-lib=pthread");
}
