#!/bin/sh
# Verifies one Promela model, then its broken variants.
#   spin.sh MODEL.pml DIR
# A model names its variants itself: every `BROKEN_…` word that stands in an
# #ifdef or #ifndef is one, is defined alone, and must be found to fail.
set -eu
model=$1 dir=$2
if ! command -v spin >/dev/null; then
  echo 'skipped: spin is not installed'
  exit 77
fi
cc=${CC:-cc}
rm -rf "$dir.spin"
mkdir -p "$dir.spin"
cd "$dir.spin"

# Runs the model with the given definition; true if pan found no error. Compiling
# a variant takes longer than finding what is wrong with it: $2.
verify() {
  spin -a $1 "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
  $cc $2 -w -DMEMLIM=4096 -o pan pan.c
  # -a is only for models with a liveness claim; pan rejects it otherwise.
  if grep -qE '^[[:space:]]*(ltl|never|.*\baccept[A-Za-z0-9_]*:)' "$model"; then
    ./pan -m1000000 -a >pan.out 2>&1
  else
    ./pan -m1000000 >pan.out 2>&1
  fi
  if grep -q 'max search depth too small\|out of memory' pan.out; then
    cat pan.out
    exit 1
  fi
  grep -q 'errors: 0' pan.out
}

if ! verify '' -O2; then
  cat pan.out
  exit 1
fi
echo "ok $(basename "$model"): $(grep -E 'states, stored' pan.out | xargs)"

grep -oE '^[[:space:]]*#(ifn?def|if|elif)[^/]*' "$model" |
  grep -oE 'BROKEN_[A-Za-z0-9_]+' | sort -u >variants || true
while read -r variant; do
  if verify "-D$variant" -O0; then
    echo "FAIL $variant: was not found to be broken"
    exit 1
  fi
  echo "ok $variant: fails, as it must: $(sed -n 's/^pan:1: //p' pan.out)"
done <variants
