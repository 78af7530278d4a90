#!/bin/sh
# test.sh PROGRAM: some frames; each group has its turns, and nobody else starves
# for memory because one does.
set -eu
out=$("$1" "$(dirname "$0")/npc.lua" 60 2000)
echo "$out"
echo "$out" | grep -q '^villagers .* 500 scripts, 0 out of memory'
echo "$out" | grep -q '^guards .* 500 scripts, 0 out of memory'
echo "$out" | grep '^hoarders' | grep -qv ' 0 out of memory'
