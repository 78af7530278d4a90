#!/bin/sh
# For `meson dist`: puts thrum itself where the checkout has a link to it.
set -eu
to=$MESON_DIST_ROOT/subprojects/thrum
top=$(cd "$MESON_SOURCE_ROOT/subprojects/thrum" && pwd -P)
rm -rf "$to"
mkdir -p "$to"
cd "$top"
if git rev-parse --git-dir >/dev/null 2>&1; then
  git ls-files
else
  find . -type f
fi | grep -v -e '^\(\./\)\{0,1\}tests/' -e bindings/python/subprojects |
  tar -cf - -T - | tar -xf - -C "$to"
