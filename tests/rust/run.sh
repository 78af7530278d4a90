#!/bin/sh
# The Rust binding, one step at a time:
#   sh tests/rust/run.sh STEP    77: skipped, with the reason
#   sh tests/rust/run.sh --list  the steps that this machine can try, one a line
#
# externs    ffi.rs is what the headers say: by SWIG's tree, and by bindgen
# crates     rustfmt, clippy, rustdoc and every test, the library built by build.rs
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
export CARGO_TARGET_DIR="$top/build/rust"
# The crates need no other: a test must not hang on a registry.
export CARGO_NET_OFFLINE=true

skip() {
  echo "skipped: $1"
  exit 77
}

# Each of several checks that may have been skipped: all, some or one failed.
externs() {
  worst=0
  for check in generator oracle; do
    python3 tests/rust/$check.py "$top"
    case $? in
      0) ;;
      77) worst=77 ;;
      *) return 1 ;;
    esac
  done
  return $worst
}

has_cargo() {
  command -v cargo >/dev/null || skip 'there is no cargo'
  cd bindings/rust || exit 1
  # An empty program: whether this rustc is new enough to try.
  cargo metadata --format-version 1 >/dev/null || skip 'cargo does not read the workspace'
}

crates() {
  has_cargo
  if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --check || return 1
  fi
  if cargo clippy --version >/dev/null 2>&1; then
    cargo clippy --all-targets -- -D warnings || return 1
  fi
  cargo test || return 1
  RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
}

case ${1:-} in
  --list) echo 'externs crates' | tr ' ' '\n' ;;
  externs) externs ;;
  crates) crates ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
