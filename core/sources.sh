#!/bin/sh
# Lists the source files that the build takes by their place in the tree.
#   sources.sh write ROOT LISTING   prints the list and keeps it in LISTING
#   sources.sh check ROOT LISTING   fails if the tree no longer matches LISTING
set -eu
action=$1 root=$2 listing=$3
export LC_ALL=C

list() {
  (cd "$root" && find core capi tests examples -type f \
    \( -name '*.c' -o -name '*.cpp' -o -name '*.S' -o -name '*.pml' \) |
    sort)
}

if [ "$action" = write ]; then
  list | tee "$listing"
  exit 0
fi

if list | cmp -s - "$listing"; then
  exit 0
fi
echo 'sources: files came or went since this folder was configured:' >&2
list | diff "$listing" - | grep '^[<>]' >&2 || true
echo 'sources: run the build again, it will configure itself anew' >&2
touch "$root/meson.build"
exit 1
