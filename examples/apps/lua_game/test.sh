#!/bin/sh
# test.sh PROGRAM: each group has its turns, and nobody else starves for memory
# because one does. A slow build (a sanitizer's) gets there in more frames.
set -eu
for frames in 60 240 960; do
  out=$("$1" "$(dirname "$0")/npc.lua" $frames 2000) || true
  echo "$out"
  if echo "$out" | grep -q '^villagers .* 500 scripts, 0 out of memory' &&
    echo "$out" | grep -q '^guards .* 500 scripts, 0 out of memory' &&
    echo "$out" | grep '^hoarders' | grep -qv ' 0 out of memory' &&
    ! echo "$out" | grep -q ' 0 steps'; then
    exit 0
  fi
done
exit 1
