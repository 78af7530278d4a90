#!/bin/sh
# gdb's backtrace of a running G ends cleanly at its first frame.
#   gdb_test.sh PROGRAM      the unit tests of arch
set -eu
program=$1

if ! command -v gdb >/dev/null 2>&1; then
  echo 'skipped: no gdb'
  exit 77
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
export TERM=dumb LC_ALL=C
# Sanitizers report what lies on the way of a debugger.
export ASAN_OPTIONS=detect_leaks=0
timeout 100 gdb -q -batch -nx \
  -ex 'set debuginfod enabled off' -ex 'set confirm off' \
  -ex 'set breakpoint pending off' -ex 'set width 0' \
  -ex 'break unit_gdb_stop' -ex run \
  -ex 'echo <1>\n' -ex bt -ex continue \
  -ex 'echo <2>\n' -ex bt -ex continue \
  -ex 'echo <3>\n' -ex bt -ex continue \
  --args "$program" '-tc=gdb: a G stands here' --no-skip >"$out" 2>&1 ||
  true
if grep -qiE 'ptrace: |could not trace|not being run' "$out" &&
  ! grep -q '^<1>' "$out"; then
  echo "skipped: gdb cannot run programs here"
  exit 77
fi

fail() {
  cat "$out"
  echo "gdb: $*"
  exit 1
}
grep -qE 'corrupt stack|Backtrace stopped|unwinder bug' "$out" &&
  fail 'a backtrace does not end cleanly'
for stop in 1 2 3; do
  trace=$(sed -n "/^<$stop>/,/^<\|^Continuing\|^$/p" "$out" |
    grep -E '^#[0-9]+ ' || true)
  [ -n "$trace" ] || fail "no backtrace at stop $stop"
  at=0
  for frame in unit_gdb_stop unit_gdb_inner unit_gdb_outer g_main \
    thrum_entry; do
    line=$(echo "$trace" | grep -nE "[ :]$frame " | head -n 1 | cut -d: -f1)
    [ -n "$line" ] && [ "$line" -gt "$at" ] ||
      fail "stop $stop: $frame is missing or out of order"
    at=$line
  done
  echo "$trace" | tail -n 1 | grep -q ' thrum_entry ' ||
    fail "stop $stop: there is something above thrum_entry"
done
grep -q 'exited normally' "$out" || fail 'the program did not end well'
echo 'ok gdb'
