#!/bin/sh
# `luarocks make` in a clean clone, into a tree of its own, and the module used from
# there as anybody would. 77: skipped, with the reason.
set -u
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
out=$top/build/lua

skip() {
  echo "skipped: $1"
  exit 77
}

for tool in git luarocks lua5.4 pkg-config; do
  command -v $tool >/dev/null || skip "there is no $tool"
done
pkg-config --exists lua5.4 || pkg-config --exists lua-5.4 ||
  skip 'there are no headers for Lua 5.4'
rm -rf "$out"
mkdir -p "$out"
git clone -q "file://$top" "$out/clone" 2>&1 || skip 'this tree is no clone itself'
# What is not committed yet belongs to it as well.
git diff HEAD --binary | git -C "$out/clone" apply --allow-empty || exit 1

rocks() {
  luarocks --lua-version=5.4 --tree="$out/tree" "$@"
}
(cd "$out/clone" && rocks make bindings/lua/thrum-scm-1.rockspec) || exit 1
rm -rf "$out/clone" # the module needs nothing of it

eval "$(rocks path)"
cd "$out" || exit 1
lua5.4 -e 'require "thrum"' || exit 1
said=$(lua5.4 -e '
local thrum = require "thrum"
print(thrum.run(function(n)
  return thrum.spawn(function(n) return n * 2 end, n):join()
end, 21), (package.searchpath("thrum", package.cpath)))') || exit 1
want=$(printf '42\t%s' "$out/tree/lib/lua/5.4/thrum.so")
[ "$said" = "$want" ] || { echo "said $said, not $want"; exit 1; }
rocks remove thrum >/dev/null || exit 1
if lua5.4 -e 'require "thrum"' 2>/dev/null; then
  echo 'the rock is still there after it was removed'
  exit 1
fi
