#!/bin/sh
# Installs into an empty folder, then builds a program outside the tree with
# pkg-config, dynamically and statically, and runs both.
#   install.sh BUILD PROGRAM.c
set -eu
build=$1 program=$2
for tool in meson pkg-config cc; do
  if ! command -v $tool >/dev/null; then
    echo "skipped: $tool is not installed"
    exit 77
  fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root" \
  >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

# The .pc files speak of the final prefix: shift it into the folder.
pc=$(find "$scratch/root" -name thrum.pc)
prefix=$scratch/root$(sed -n 's/^prefix=//p' "$pc")
PKG_CONFIG_PATH=$(dirname "$pc")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
ask() {
  pkg-config --define-variable=prefix="$prefix" "$@"
}
lib=$(ask --variable=libdir thrum)

cd "$scratch"
strict='-std=c99 -Wall -Wextra -pedantic-errors'
cc $strict "$program" $(ask --cflags --libs thrum) -o dynamic
LD_LIBRARY_PATH=$lib ./dynamic
cc $strict "$program" $(ask --cflags --libs thrum-static) -o static
./static

if readelf -d static | grep -q 'NEEDED.*libthrum'; then
  echo 'the static program needs the shared library'
  exit 1
fi
if ! readelf -d dynamic | grep -q 'NEEDED.*libthrum.so.0'; then
  echo 'the dynamic program does not need the shared library'
  exit 1
fi
for file in "$lib/libthrum.so" "$lib/libthrum.so.0" "$lib/libthrum.a" \
  "$prefix/include/thrum/thrum.h" "$prefix/include/thrum/host.h"; do
  if ! [ -e "$file" ]; then
    echo "not installed: ${file#"$scratch/root"}"
    exit 1
  fi
done
echo 'install: both programs ran'
