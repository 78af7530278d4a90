#!/bin/sh
# rock.sh LUA [DIR]: builds the module for that Lua, and puts it into DIR.
set -eu
build=build/rock
module=$("$1" -e 'print("thrum_" .. (jit and "jit" or _VERSION:match("%d.%d")) .. ".so")')
here() {
  ninja -C $build -t query "bindings/lua/$module" >/dev/null 2>&1
}
if ! here; then
  rm -rf $build
  meson setup $build -Dtests=false -Dexamples=false
fi
if ! here; then
  echo "thrum: pkg-config knows no headers for $1" >&2
  exit 1
fi
# After a source file came or went the build wants a second run.
ninja -C $build "bindings/lua/$module" || ninja -C $build "bindings/lua/$module"
[ $# = 1 ] || install -D -m 755 "$build/bindings/lua/$module" "$2/thrum.so"
