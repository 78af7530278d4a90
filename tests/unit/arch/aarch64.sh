#!/bin/sh
# Unit tests for aarch64 without a machine that is one: the core (over libc's
# malloc: mimalloc is not needed for this) and the tests of some rooms are built
# by a cross compiler and run by qemu's user emulation.
#   aarch64.sh [ROOM...]     base arch os queue mem sched if none is named
# JOBS: compilers at once. OUT: keeps what was built there.
#
# This proves the assembly, not memory orders.
set -eu
cd "$(dirname "$0")/../../.."
rooms=${*:-base arch os queue mem sched}
cxx=aarch64-linux-gnu-g++
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)

skip() {
  echo "skipped: $*"
  exit 77
}
command -v $cxx >/dev/null 2>&1 ||
  skip 'no cross compiler for aarch64 (g++-aarch64-linux-gnu)'
[ -n "$qemu" ] || skip 'no emulator of aarch64 (qemu-user-static)'
libc=$($cxx -print-file-name=libc.so.6)
root=$(cd "$(dirname "$libc")/.." 2>/dev/null && pwd) || root=
[ -e "$root/lib/ld-linux-aarch64.so.1" ] || skip 'no libc for aarch64'
doctest=
for dir in /usr/include /usr/local/include subprojects/doctest*; do
  [ -e "$dir/doctest/doctest.h" ] && doctest=$dir/doctest && break
done
[ -n "$doctest" ] || skip 'no doctest'

if [ -n "${OUT:-}" ]; then
  out=$OUT
  mkdir -p "$out"
else
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out/include/doctest"
cp "$doctest"/*.h "$out/include/doctest/"
cat >"$out/include/mimalloc.h" <<'END'
#pragma once
#include <stdlib.h>
#include <string.h>
#define MI_MALLOC_VERSION 209
static inline void* mi_malloc(size_t n) { return malloc(n); }
static inline void* mi_zalloc(size_t n) { return calloc(1, n); }
static inline void* mi_realloc(void* p, size_t n) { return realloc(p, n); }
static inline void mi_free(void* p) { free(p); }
static inline void* mi_zalloc_aligned(size_t n, size_t align) {
  if (n > ((size_t)1 << 47)) return 0;
  void* p = aligned_alloc(align, (n + align - 1) / align * align);
  return p ? memset(p, 0, n) : 0;
}
END

# Make runs the compilers side by side; -k shows every error at once.
flags='-std=c++20 -O2 -g -Wall -Wextra -pthread -Icore -Itests'
core=$(find core -name '*.cpp' -o -name 'switch.S' -path '*aarch64*' | sort)
{
  echo "all:"
  for file in $core tests/unit/main.cpp \
    $(for room in $rooms; do ls tests/unit/"$room"/*.cpp; done); do
    object=$out/$(echo "$file" | tr / _).o
    own='-fno-exceptions -fno-rtti -fno-threadsafe-statics'
    case $file in tests/*) own= ;; esac
    echo "all: $object"
    echo "$object: $file"
    printf '\t@%s %s %s -isystem %s -c %s -o %s\n' \
      $cxx "$flags" "$own" "$out/include" "$file" "$object"
  done
} >"$out/Makefile"
make -s -k -j "${JOBS:-$(nproc)}" -f "$out/Makefile" all

echo 'This proves the assembly, not memory orders: the emulator runs on a CPU'
echo 'whose own are stronger.'
failed=
for room in $rooms; do
  # main.cpp registers itself, so its object is named, not taken from an archive.
  $cxx -pthread -o "$out/unit_$room" "$out"/tests_unit_main.cpp.o \
    "$out"/tests_unit_"$room"_*.o "$out"/core_*.o -ldl
  echo "== $room"
  "$qemu" -L "$root" "$out/unit_$room" || failed="$failed $room"
done
[ -z "$failed" ] || {
  echo "failed under qemu:$failed"
  exit 1
}
echo 'ok aarch64'
