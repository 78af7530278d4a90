#!/bin/sh
# install.sh BUILD LUA DIR: the module for that Lua, as DIR/thrum.so.
set -eu
version=$("$2" -e 'print(jit and "jit" or _VERSION:match("%d.%d"))')
install -D -m 755 "$1/bindings/lua/thrum_$version.so" "$3/thrum.so"
