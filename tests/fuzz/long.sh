#!/bin/sh
# Fuzzes a reader with clang's libFuzzer, ASan and UBSan:
#
#   sh tests/fuzz/long.sh SUBJECT SECONDS
#
# Keeps its corpus in build/fuzz/SUBJECT; exit status and findings are libFuzzer's.
set -eu
cd "$(dirname "$0")/../.."
subject=${1:?usage: long.sh SUBJECT SECONDS}
seconds=${2:-600}
command -v clang >/dev/null || {
  echo 'skipped: no clang'
  exit 77
}
parts=$(sed -n "s/^  '$subject': \[\(.*\)\],/\1/p" tests/fuzz/meson.build |
  tr -d "',")
sources=tests/fuzz/$subject.c
for part in $parts; do
  sources="$sources examples/$part"
done
room=build/fuzz/$subject
mkdir -p "$room/corpus"
options='-std=gnu99 -g -O1 -fno-sanitize-recover=all'
clang $options $sources tests/fuzz/main.c -o "$room/seeds"
"$room/seeds" --write "$room/corpus"
clang $options -fsanitize=fuzzer,address,undefined $sources -o "$room/fuzz"
exec "$room/fuzz" -max_len=4096 -max_total_time="$seconds" -print_final_stats=1 \
  -artifact_prefix="$room/" "$room/corpus"
