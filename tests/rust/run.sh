#!/bin/sh
# The Rust binding, one step at a time:
#   sh tests/rust/run.sh STEP    77: skipped, with the reason
#   sh tests/rust/run.sh --list  the steps, one a line
#
# externs    ffi.rs is what the headers say: by SWIG's tree, and by bindgen
# crates     rustfmt, clippy, rustdoc and every test, the library built by build.rs
# clone      a clean clone builds where no thrum is installed; it allocates as before
# installed  the tests against an installed thrum, by pkg-config (of build/release)
# stress     the soundness programs over a library that moves whatever may move
# miri       what is shared between green threads, handles and wakers
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
out=$top/build/rust
mkdir -p "$out"
export CARGO_TARGET_DIR="$out/target"
# The crates need no other: a test must not hang on a registry.
export CARGO_NET_OFFLINE=true

skip() {
  echo "skipped: $1"
  exit 77
}

need_cargo() {
  command -v cargo >/dev/null || skip 'there is no cargo'
  version=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  wanted=$(sed -n 's/^rust-version = "1\.\([0-9]*\)"/\1/p' bindings/rust/Cargo.toml)
  [ "${version:-0}" -ge "$wanted" ] || skip "rustc is older than 1.$wanted"
}

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

crates() {
  cd bindings/rust || return 1
  export THRUM_NO_PKG_CONFIG=1
  if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --check || return 1
  fi
  if cargo clippy --version >/dev/null 2>&1; then
    cargo clippy --all-targets -- -D warnings || return 1
  fi
  cargo test &&
    # Compilers keep addresses of thread-locals only when they optimise.
    cargo build --release --examples && cargo test --release --test soundness &&
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
}

clone() {
  command -v git >/dev/null || skip 'there is no git'
  rm -rf "$out/clone"
  git clone -q "file://$top" "$out/clone" 2>&1 || skip 'this tree is no clone itself'
  # What is not committed yet belongs to it as well.
  git diff HEAD --binary | git -C "$out/clone" apply --allow-empty || return 1
  cd "$out/clone/bindings/rust" || return 1
  if pkg-config --exists thrum 2>/dev/null; then
    export THRUM_NO_PKG_CONFIG=1
  fi
  export CARGO_TARGET_DIR="$out/clone/target"
  cargo build --example walk && "$CARGO_TARGET_DIR/debug/examples/walk" . || return 1
  # A shared mimalloc that comes before libc takes malloc over.
  libs=$(readelf -d "$CARGO_TARGET_DIR/debug/examples/walk" | grep NEEDED | tr '\n' ' ')
  case $libs in
    *mimalloc*libc.so*) echo "mimalloc comes first: $libs" && return 1 ;;
    *thrum.so*) echo "a library of thrum's is not linked in: $libs" && return 1 ;;
  esac
  rm -rf "$out/clone"
}

# The programs that are linked to libthrum.so: their paths, one a line.
shared() {
  [ -e build/release/build.ninja ] || skip 'there is no build/release'
  rm -rf "$out/root"
  DESTDIR=$out/root meson install -C build/release --no-rebuild >/dev/null || return 1
  pc=$(find "$out/root" -name thrum.pc | head -n 1)
  lib=$(dirname "$(dirname "$pc")")
  export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$out/root"
  export CARGO_TARGET_DIR="$out/installed" LD_LIBRARY_PATH="$lib"
  cd bindings/rust || return 1
  cargo build --examples && cargo test --no-run
}

installed() {
  shared || return 1
  program=$(ls -t "$CARGO_TARGET_DIR"/debug/deps/spawn-* | grep -v '\.d$' | head -n 1)
  readelf -d "$program" | grep -q 'NEEDED.*libthrum\.so\.0' || return 1
  cargo test --lib --tests
}

stress() {
  [ -e build/stress/capi/libthrum.so.0 ] || skip 'there is no build/stress'
  shared || return 1
  # Those that test binaries were linked to need not be those they run with.
  export LD_LIBRARY_PATH="$top/build/stress/capi"
  cargo test --tests
}

miri() {
  cargo +nightly miri --version >/dev/null 2>&1 || skip 'there is no Miri (a nightly)'
  cd bindings/rust || return 1
  # Its own copy of std comes from a registry the first time.
  CARGO_NET_OFFLINE=false cargo +nightly miri setup >/dev/null 2>&1 ||
    skip 'Miri cannot build its std'
  export CARGO_TARGET_DIR="$out/miri"
  cargo +nightly miri test -p thrum --lib -- packet block::
}

case ${1:-} in
  --list) echo 'externs crates clone installed stress miri' | tr ' ' '\n' ;;
  externs) externs ;;
  crates | clone | installed | stress | miri)
    need_cargo
    "$1"
    ;;
  *)
    sed -n '2,13s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
