#!/bin/sh
# Merges archives into one that holds a single object with only thrum_* global.
#   archive.sh OUT DIR AR OBJCOPY ARCHIVE... -- CC...
set -eu
out=$1 dir=$2 ar=$3 objcopy=$4
shift 4
archives=
while [ "$1" != -- ]; do
  archives="$archives $1"
  shift
done
shift

mkdir -p "$dir"
# Groups are dissolved: a local copy of a C++ inline function must not be thrown
# away in favour of the host's copy of the same name.
"$@" -r -nostdlib -Wl,--force-group-allocation \
  -Wl,--whole-archive $archives -Wl,--no-whole-archive -o "$dir/thrum.o"
"$objcopy" --localize-hidden --wildcard --keep-global-symbol='thrum_*' \
  "$dir/thrum.o"
rm -f "$out"
"$ar" rcs "$out" "$dir/thrum.o"
