#!/bin/sh
# test.sh: does kv answer as Redis does, and keep what it has acknowledged?
#
#   sh test.sh PATH-OF-KV
#
# test.py asks it over the wire, tears its log and kills it; redis-cli and
# redis-benchmark see whether the usual clients like it. $KV_ROUNDS: how many times
# it is killed. Exit: 0 all is well, 1 not, 77 something could not be checked (and
# says what).
#
# SPDX-License-Identifier: MIT
set -u
kv=${1:?usage: test.sh PATH-OF-KV}
case $kv in
  /*) ;;
  *) kv=$PWD/$kv ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/kv.XXXXXX") || exit 1
pid=
failed=0

cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null
  wait
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
  echo "FAILED: $*" >&2
  failed=1
}

python3 "$here/test.py" "$kv" || failed=1

if ! command -v redis-cli >/dev/null || ! command -v redis-benchmark >/dev/null
then
  echo 'skipped: redis-cli and redis-benchmark (redis-tools) are not installed'
  exit $((failed ? 1 : 77))
fi

cd "$work" || exit 1

# start FILE OPTION...: sets pid, and port when it says there that it is ready
start() {
  said=$1
  shift
  : >"$said"
  "$kv" --port 0 "$@" >"$said" 2>&1 &
  pid=$!
  until grep -q ready "$said"; do
    kill -0 "$pid" 2>/dev/null || {
      cat "$said" >&2
      exit 1
    }
    sleep 0.1
  done
  port=$(sed -n 's/.*port \([0-9]*\),.*/\1/p' "$said")
}
start out --appendfsync no

# says ANSWER COMMAND...: in RESP2 and in RESP3
says() {
  want=$1
  shift
  for protocol in -2 -3; do
    got=$(redis-cli -p "$port" $protocol "$@" 2>&1)
    [ "$got" = "$want" ] || fail "redis-cli $protocol $*: $got, expected $want"
  done
}

says PONG ping
says OK set 'a key' 'a value'
says 'a value' get 'a key'
says '' get nothing
says 1 exists 'a key'
says string type 'a key'
redis-cli -p "$port" config get '*' | grep -q appendfsync || fail 'config get'
redis-cli -p "$port" client list | grep -q addr=127.0.0.1 || fail 'client list'
redis-cli -p "$port" info server | grep -q thrum_version || fail info
[ "$(redis-cli -p "$port" --scan --pattern 'a*')" = 'a key' ] || fail scan
printf 'set piped 1\nget piped\n' | redis-cli -p "$port" | tail -n 1 |
  grep -qx 1 || fail 'redis-cli from a pipe'

# load ARGUMENT...: redis-benchmark must finish, and complain of nothing. (When its
# server dies it waits for ever.)
limit=
! command -v timeout >/dev/null || limit='timeout -k 5 100'
load() {
  $limit redis-benchmark -p "$port" -q -r 1000 "$@" >load 2>&1 ||
    fail "redis-benchmark $*"
  tr '\r' '\n' <load | grep -iE 'error|warning|could not' >&2 &&
    fail "redis-benchmark complains: $*"
}
load -t ping,set,get,incr,mset -n 5000 -c 50
load -t set,get,incr,mset -n 50000 -c 50 -P 16
load -t set,get -n 2000 -c 5 -d 50000
load -3 -t set,get -n 5000 -c 300

kill "$pid"
wait "$pid"
status=$?
pid=
[ $status -eq 0 ] || fail "it ended with $status"
start again
[ "$(redis-cli -p "$port" get 'a key')" = 'a value' ] || fail 'what was logged'
grep -q cut again && fail 'a log that was closed in order is torn'

[ $failed -eq 0 ] || exit 1
echo 'kv: redis-cli and redis-benchmark are content'
