#!/bin/sh
# Watch httpd serve a small file under load, then Go's net/http the same one:
#
#   sh show.sh PATH-OF-HTTPD [SECONDS]
#
# Needs wrk; without Go there is nothing beside it. Called by examples/run.sh.
#
# SPDX-License-Identifier: MIT
set -eu
httpd=${1:?usage: show.sh PATH-OF-HTTPD [SECONDS]}
seconds=${2:-3}
twin=$(cd "$(dirname "$0")/../../../tests/bench/peers/go" 2>/dev/null && pwd) ||
  twin=
command -v wrk >/dev/null || {
  echo 'httpd: skipped: no wrk to drive it with (the package has the same name)'
  exit 0
}
work=$(mktemp -d "${TMPDIR:-/tmp}/httpd.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/root"
head -c 1024 /dev/zero | tr '\0' x >"$work/root/small.txt"

# serve COMMAND...: in the background; its first line, when it listens, in $line
serve() {
  rm -f "$work/out"
  "$@" >"$work/out" 2>"$work/err" &
  pid=$!
  tries=0
  while [ ! -s "$work/out" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
      cat "$work/err" >&2
      exit 1
    fi
    sleep 0.1
  done
  read -r line <"$work/out"
}

# load URL: 64 connections that stay; tells requests per second and latencies
load() {
  wrk -t 1 -c 64 -d "$seconds" --latency "$1/small.txt" >"$work/wrk"
  awk '$1 == "50%" { half = $2 } $1 == "99%" { most = $2 }
    $1 == "Requests/sec:" { rate = $2 }
    END { printf "%.0f requests/s, p50 %s, p99 %s\n", rate, half, most }' \
    "$work/wrk"
}

end() {
  kill "$pid"
  wait "$pid" 2>/dev/null || true
  pid=
}

echo "httpd, 64 connections of wrk for $seconds s, a file of 1 KiB, on $(nproc) core(s) for both:"
serve "$httpd" -p 0 "$work/root"
url=${line#*http://}
printf '  thrum         '
load "http://${url%%/*}"
end
sed 's/^/  /' "$work/err"

if [ -n "$twin" ] && command -v go >/dev/null &&
  (cd "$twin" && GOFLAGS= GOWORK=off CGO_ENABLED=0 go build -buildvcs=false \
    -o "$work/twin" .) >"$work/err" 2>&1; then
  serve "$work/twin" http --procs "$(nproc)" --root "$work/root"
  printf '  Go, net/http  '
  load "http://127.0.0.1:$line"
  end
else
  echo '  Go, net/http  skipped: there is no Go that builds the twin'
fi
