#!/bin/sh
# Watch kv answer redis-benchmark, then Redis and a twin in Go the same requests:
#
#   sh show.sh PATH-OF-KV [REQUESTS]
#
# Needs redis-benchmark; without Redis and Go there is nothing beside it. Called by
# examples/run.sh.
#
# SPDX-License-Identifier: MIT
set -eu
kv=${1:?usage: show.sh PATH-OF-KV [REQUESTS]}
requests=${2:-100000}
case $kv in
  /*) ;;
  *) kv=$PWD/$kv ;;
esac
twin=$(cd "$(dirname "$0")/../../../tests/bench/peers/go" 2>/dev/null && pwd) ||
  twin=
command -v redis-benchmark >/dev/null || {
  echo 'kv: skipped: no redis-benchmark to drive it with (package redis-tools)'
  exit 0
}
work=$(mktemp -d "${TMPDIR:-/tmp}/kv.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')

# load NAME COMMAND...: starts it, drives it, ends it
load() {
  name=$1
  shift
  "$@" >out 2>&1 &
  pid=$!
  tries=0
  until redis-cli -p "$port" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
      cat out >&2
      exit 1
    fi
    sleep 0.1
  done
  for pipeline in 1 16; do
    redis-benchmark -p "$port" -t set,get -r 100000 -n $((requests * pipeline)) \
      -P $pipeline --csv 2>/dev/null |
      awk -F '"' -v name="$name" -v pipeline=$pipeline '
        $2 == "SET" { set = $4 } $2 == "GET" { get = $4 }
        END { printf "  %-7s %2d in flight: SET %.0f/s, GET %.0f/s\n",
          name, pipeline, set, get }'
  done
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  pid=
}

echo "kv, 50 connections of redis-benchmark, on $(nproc) core(s) for both:"
load thrum "$kv" --port "$port" --no-log
if command -v redis-server >/dev/null; then
  load Redis redis-server --port "$port" --save ''
else
  echo '  Redis   skipped: not installed (package redis-server)'
fi
if [ -n "$twin" ] && command -v go >/dev/null &&
  (cd "$twin" && GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -buildvcs=false \
    -o "$work/twin" .) >err 2>&1; then
  load Go "$work/twin" kv --procs "$(nproc)" --port "$port"
else
  echo '  Go      skipped: there is no Go that builds the twin'
fi
