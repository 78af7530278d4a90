#!/bin/sh
# test.sh: does httpd serve what it should, and nothing else?
#
#   sh test.sh PATH-OF-HTTPD
#
# With curl: statuses, ranges, conditions, a 64 MiB file. With python3 (test.py):
# all that curl would not send, time-outs, the drain. With wrk: a moment of load.
# Exit: 0 all well, 1 not, 77 something could not be checked (and says what).
#
# SPDX-License-Identifier: MIT
set -u
LC_ALL=C
export LC_ALL
umask 022

httpd=${1:?usage: test.sh PATH-OF-HTTPD}
case $httpd in
  /*) ;;
  *) httpd=$PWD/$httpd ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/httpd.XXXXXX") || exit 1
root=$work/root
out=$work/out
failed=0
skipped=0
checks=0
pid=

cleanup() {
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() {
  echo "FAILED: $*" >&2
  failed=1
}

skip() {
  echo "skipped: $*"
  skipped=1
}

# ---- what there is to serve -------------------------------------------------

mkdir -p "$root/dir" "$root/with space" "$root/empty" "$work/outside" "$out" ||
  exit 1
echo home >"$root/index.html"
echo sub >"$root/dir/index.html"
echo '{}' >"$root/data.json"
echo here >"$root/with space/a+b%.txt"
echo hidden >"$root/.hidden"
echo secret >"$work/secret"
echo secret >"$work/outside/secret"
: >"$root/nothing.txt"
ln -s data.json "$root/inside.json"
ln -s ../secret "$root/relative"
ln -s "$work/secret" "$root/absolute"
ln -s ../outside "$root/outside"
ln -s loop "$root/loop"
mkfifo "$root/fifo"
echo locked >"$root/locked"
chmod 0 "$root/locked"
for size in 1024 4096 4097 65536 65537 300000; do
  head -c $size /dev/urandom >"$root/$size.bin"
done
head -c 67108864 /dev/urandom >"$root/big.bin"

"$httpd" -p 0 -P 2 "$root" >"$work/log" 2>"$work/err" &
pid=$!
i=0
while ! grep -q http: "$work/log" && [ $i -lt 100 ]; do
  sleep 0.1
  i=$((i + 1))
done
url=$(sed -n 's,.*\(http://[0-9.:]*\)/ .*,\1,p' "$work/log")
[ -n "$url" ] || {
  cat "$work/err" >&2
  fail "$httpd does not start"
  exit 1
}

# ---- curl -------------------------------------------------------------------

# ask STATUS CURL-ARGUMENT...: the head is in $out/head, the body in $out/body
ask() {
  checks=$((checks + 1))
  want=$1
  shift
  : >"$out/body"
  got=$(curl -sS -m 60 -D "$out/head" -o "$out/body" -w '%{http_code}' "$@" \
    2>"$out/err")
  [ "$got" = "$want" ] || fail "status $got, not $want: $* $(cat "$out/err")"
}

# field NAME: its value in the last answer
field() {
  tr -d '\r' <"$out/head" | sed -n "s/^$1: //Ip"
}

is() {
  checks=$((checks + 1))
  [ "$1" = "$2" ] || fail "$3: '$1', not '$2'"
}

same() {
  checks=$((checks + 1))
  cmp -s "$out/body" "$1" || fail "not the contents of $1"
}

with_curl() {
  ask 200 "$url/"
  same "$root/index.html"
  is "$(field content-type)" 'text/html; charset=utf-8' type
  ask 200 "$url/dir/"
  same "$root/dir/index.html"
  ask 301 "$url/dir"
  is "$(field location)" /dir/ location
  ask 301 "$url/with%20space"
  is "$(field location)" /with%20space/ location
  ask 404 "$url/empty/"
  ask 404 "$url/data.json/"
  ask 404 "$url/none"
  ask 200 "$url/data.json?a=b"
  is "$(field content-type)" application/json type
  ask 200 "$url/with%20space/a+b%25.txt"
  ask 200 "$url/nothing.txt"
  is "$(field content-length)" 0 length
  for size in 1024 4096 4097 65536 65537 300000; do
    ask 200 "$url/$size.bin"
    same "$root/$size.bin"
    ask 200 -I "$url/$size.bin"
    is "$(field content-length)" $size length
  done
  ask 200 "$url/big.bin"
  same "$root/big.bin"

  # Who is not allowed to see what.
  ask 200 "$url/inside.json"
  for path in relative absolute outside/secret loop .hidden dir/.. \
    ../secret dir/../../secret %2e%2e/secret ..%2fsecret \
    dir/%2e%2e/%2e%2e/secret //../secret; do
    ask 404 --path-as-is "$url/$path"
  done
  ask 400 --path-as-is "$url/a%00b"
  ask 400 --path-as-is "$url/a%4"
  ask 403 "$url/fifo"
  [ "$(id -u)" = 0 ] || ask 403 "$url/locked"

  # Methods and bodies.
  ask 405 -d a=b "$url/"
  is "$(field allow)" 'GET, HEAD, OPTIONS' allow
  ask 405 -X DELETE "$url/"
  ask 405 -T "$root/300000.bin" "$url/x"
  ask 413 -T "$root/big.bin" "$url/x"
  ask 413 -T - "$url/x" <"$root/big.bin"
  ask 204 -X OPTIONS "$url/"
  is "$(field allow)" 'GET, HEAD, OPTIONS' allow

  # Conditions.
  ask 200 "$url/1024.bin"
  tag=$(field etag) date=$(field last-modified)
  ask 304 -H "If-None-Match: $tag" "$url/1024.bin"
  is "$(field etag)" "$tag" etag
  ask 304 -H "If-None-Match: \"x\", W/$tag" "$url/1024.bin"
  ask 200 -H 'If-None-Match: "x"' -H "If-Modified-Since: $date" "$url/1024.bin"
  ask 304 -H "If-Modified-Since: $date" "$url/1024.bin"
  ask 200 -H 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT' \
    "$url/1024.bin"
  ask 200 -H 'If-Modified-Since: yesterday' "$url/1024.bin"

  # Ranges, of what is kept and of what is sent from the file.
  for size in 1024 300000; do
    file=$root/$size.bin
    ask 206 -r 0-9 "$url/$size.bin"
    head -c 10 "$file" >"$out/part"
    same "$out/part"
    is "$(field content-range)" "bytes 0-9/$size" range
    ask 206 -r 1000-999999 "$url/$size.bin"
    tail -c +1001 "$file" >"$out/part"
    same "$out/part"
    ask 206 -r -24 "$url/$size.bin"
    tail -c 24 "$file" >"$out/part"
    same "$out/part"
    ask 416 -r $size- "$url/$size.bin"
    is "$(field content-range)" "bytes */$size" range
    ask 200 -r 5-2 "$url/$size.bin"
    ask 200 -r 0-1,3-4 "$url/$size.bin"
    same "$file"
    ask 200 -r 0-9 -H 'If-Range: "x"' "$url/$size.bin"
  done
  ask 206 -r 0-9 -H "If-Range: $tag" "$url/1024.bin"
  ask 206 -r 0-9 -H "If-Range: $date" "$url/1024.bin"
  ask 416 -r 0- "$url/nothing.txt"

  # Versions and connections.
  ask 200 --http1.0 "$url/"
  is "$(field connection)" close connection
  ask 200 --http1.0 -H 'Connection: keep-alive' "$url/"
  is "$(field connection)" keep-alive connection
  ask 200 -H 'Connection: close' "$url/"
  is "$(field connection)" close connection
  is "$(curl -sS -o /dev/null -o /dev/null -w '%{num_connects}' "$url/" \
    "$url/")" 10 'new connections'

  # Who looks again after a second sees what has changed.
  echo new >"$root/data.json.new"
  mv "$root/data.json.new" "$root/data.json"
  rm "$root/4096.bin"
  sleep 1.1
  ask 200 "$url/data.json"
  same "$root/data.json"
  ask 404 "$url/4096.bin"
}

if command -v curl >/dev/null; then
  with_curl
else
  skip 'no curl (the package has the same name)'
fi

# ---- wrk --------------------------------------------------------------------

if command -v wrk >/dev/null; then
  checks=$((checks + 1))
  wrk -t 2 -c 100 -d 1 "$url/1024.bin" >"$out/wrk" 2>&1
  grep -q 'requests in' "$out/wrk" &&
    ! grep -Eq 'Socket errors|Non-2xx' "$out/wrk" ||
    fail "under load: $(cat "$out/wrk")"
else
  skip 'no wrk (the package has the same name)'
fi

# ---- the end ----------------------------------------------------------------

checks=$((checks + 1))
kill "$pid"
wait "$pid"
status=$?
pid=
[ $status -eq 0 ] || fail "SIGTERM: exit status $status: $(cat "$work/err")"
grep -q 'requests (2xx' "$work/err" || fail 'SIGTERM: no summary'

if command -v python3 >/dev/null; then
  checks=$((checks + 1))
  python3 "$here/test.py" "$httpd" "$root" || failed=1
else
  skip 'no python3'
fi

[ $failed -eq 0 ] || exit 1
echo "httpd: $checks checks passed"
[ $skipped -eq 0 ] || exit 77
