#!/bin/sh
# test.sh: is tgrep's answer grep's answer?
#
#   sh test.sh PATH-OF-TGREP
#
# Compares standard output (as sorted lines), messages and exit status with
# `LC_ALL=C grep -rIF` on /usr/include and on trees made to be awkward; then the
# order of the output, standard input, Ctrl-C, and a reader that goes away.
# Exit: 0 all equal, 1 not, 77 something could not be checked (and says what).
#
# SPDX-License-Identifier: MIT
set -u
LC_ALL=C
export LC_ALL
umask 022

tgrep=${1:?usage: test.sh PATH-OF-TGREP}
case $tgrep in
  /*) ;;
  *) tgrep=$PWD/$tgrep ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/tgrep.XXXXXX") || exit 1
out=$work/out
tree=$work/in/tree
failed=0
skipped=0
checks=0

cleanup() {
  chmod -R u+rwx "$work" 2>/dev/null
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

# run ARGUMENT...: tgrep, as another user if $as says so. A hang shall not hang
# the test: it ends with status 124.
as=
limit=
! command -v timeout >/dev/null || limit='timeout --foreground -k 5 120'
run() {
  $as $limit "$tgrep" "$@"
}

grep --version 2>/dev/null | head -n 1 | grep -q 'GNU grep' || {
  skip "no GNU grep to compare with"
  exit 77
}

run -q x /dev/null
[ $? -eq 1 ] || {
  fail "$tgrep does not run"
  exit 1
}

# messages PROGRAM FILE: its errors, without its name and without the summary
messages() {
  sed -n -e '/^tgrep: [^:]* matching lines in /d' -e '/^tgrep: [0-9]* Gs/d' \
    -e "s/^$1: //p" "$2" | sort
}

# compare PATTERN PATH...: in the current directory
compare() {
  checks=$((checks + 1))
  $as grep -rIF -- "$@" >"$out/want" 2>"$out/want.err" </dev/null
  want=$?
  run -- "$@" >"$out/got" 2>"$out/got.err" </dev/null
  got=$?
  [ $want -eq $got ] || fail "exit status $got, grep's is $want: $*"
  sort "$out/want" >"$out/want.sorted"
  sort "$out/got" >"$out/got.sorted"
  cmp -s "$out/want.sorted" "$out/got.sorted" || {
    fail "other lines than grep's: $*"
    diff "$out/want.sorted" "$out/got.sorted" | cut -c 1-200 | head -n 5 >&2
  }
  messages grep "$out/want.err" >"$out/want.messages"
  messages tgrep "$out/got.err" >"$out/got.messages"
  cmp -s "$out/want.messages" "$out/got.messages" || {
    fail "other messages than grep's: $*"
    diff "$out/want.messages" "$out/got.messages" | head -n 5 >&2
  }
}

# repeat TEXT BYTES: the line TEXT again and again, cut off after BYTES
repeat() {
  awk -v text="$1" -v bytes="$2" 'BEGIN {
    for (n = 0; n < bytes; n += length(text) + 1) print text
  }' | head -c "$2"
}

# long BYTES: a line of x, without its newline
long() {
  head -c "$1" /dev/zero | tr '\0' x
}

nl='
'

mkdir "$out" || exit 1

# ---- a real tree ------------------------------------------------------------

for pattern in EOF 'struct stat' 'int ' 'no such line anywhere' \
  "EAGAIN${nl}include <sys/${nl}#undef"; do
  compare "$pattern" /usr/include
done

# ---- awkward trees ----------------------------------------------------------

mkdir -p "$tree/a dir/deep/er" "$tree/empty dir" "$tree/z" || exit 1
cd "$work/in" || exit 1
printf 'hello\nother\nhello again\n' >"$tree/plain"
printf 'hello without an end' >"$tree/no newline"
printf 'one\r\nhello crlf\r\n' >"$tree/crlf"
printf '\n\n\n' >"$tree/only newlines"
: >"$tree/empty"
printf 'hello\0hello\n' >"$tree/binary"
printf '\0' >"$tree/one nul"
printf 'hello \377\376 latin \351\n\200\201 hello\n' >"$tree/not utf-8"
printf 'hello\n' >"$tree/a dir/name${nl}with a newline"
printf 'hello\n' >"$tree/a dir/-e"
printf 'hello\n' >"$tree/a dir/deep/er/file:with:colons"
printf 'hellohello\nhelhello\n\nhell\n' >"$tree/z/overlaps"
printf 'hello\n' >"$tree/z-before-z's-files"
printf 'hello\n' >"$tree/.hidden"
(long 10000000; echo ' hello'; echo hello; long 10000000) >"$tree/long lines"
repeat 'a line that says hello' 300000 >"$tree/many lines"
ln -s ../plain "$tree/z/link"
ln -s nowhere "$tree/dangling"
ln -s .. "$tree/a dir/loop"
ln -s loop2 "$tree/loop1" && ln -s loop1 "$tree/loop2"
mkfifo "$tree/fifo"
for pattern in hello '' 'hello again' helloh xxx 'absent' "$(printf '\r')" \
  "$(printf '\351')" "again${nl}crlf" "hello${nl}" "${nl}" "${nl}${nl}hello" \
  "$(long 300)" -e; do
  compare "$pattern" tree
done
compare hello tree/
compare hello tree///
compare hello ./tree
compare hello "$tree"
compare hello tree/plain
compare hello tree/plain tree/empty
compare hello tree/z/link
compare hello tree/z/link tree/z
compare hello 'tree/a dir/loop'
compare hello tree/nothing
compare hello tree/nothing tree/plain tree/dangling tree/loop1
compare hello tree/binary
compare hello tree tree/z tree
compare hello /dev/null
cd tree && compare hello && compare hello . && compare hello ..
cd z && compare '' && cd ../..

# A NUL that comes late leaves what was printed before. grep's answer depends on
# how much it reads at once, and that on the files before: each in its own tree.
n=0
late() { # searches what lies in $late
  n=$((n + 1))
  mkdir "late$n"
  mv "$late" "late$n/file"
  compare hello "late$n"
  compare '' "late$n"
}
late=$out/late
for size in 4095 98303 98304 98305 110000 196608 250000; do
  (repeat hello $size; printf '\0') >"$late" && late
  (repeat 'hello, a longer line' $size; printf '\0\nhello\n') >"$late" && late
done
{
  repeat hello 50000 && long 60000
  repeat hello 300000 && printf '\0\n'
} >"$late" && late
{
  repeat hello 90000 && long 700000
  repeat hello 900000 && printf '\0\n'
} >"$late" && late
{
  long 98304 && echo hello && long 98304
  repeat hello 49000 && printf '\0\n'
} >"$late" && late
(long 200000; echo hello; printf '\0\n') >"$late" && late
mkdir holes
printf 'hello\n' >holes/end
repeat hello 200000 >holes/late
dd if=/dev/null of=holes/end bs=1 seek=1000000 2>/dev/null
dd if=/dev/null of=holes/late bs=1 seek=9000000 2>/dev/null
compare hello holes

# A path that the kernel would not take in one piece.
name=$(long 200)
for half in deep deep2; do
  path=$half
  for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    mkdir "$path" && echo "hello $i" >"$path/file"
    path=$path/$name
  done
done
mv deep2 "deep${path#deep2}" && compare hello deep

# Output into the tree itself: grep sees it and says so.
checks=$((checks + 1))
cp tree/plain late1/other
run hello late1 >late1/out 2>"$out/got.err"
[ $? -eq 2 ] || fail "its own output in the tree: no exit status 2"
grep -q 'late1/out: input file is also the output' "$out/got.err" ||
  fail "its own output in the tree: no message"

# Files and directories that may not be read.
mkdir closed closed/dir
printf 'hello\n' | tee closed/dir/file closed/file >closed/open
chmod 000 closed/dir closed/file
if [ "$(id -u)" -ne 0 ]; then
  as=
else # as nobody, if that can be had and may read what is needed
  as='setpriv --reuid=65534 --regid=65534 --clear-groups'
  chmod 755 "$work" && run -q hello tree/plain 2>/dev/null || as=none
fi
if [ "$as" = none ]; then
  skip "root may read everything, and setpriv cannot make it another user"
else
  compare hello closed
  compare absent closed
  compare hello closed/file closed/dir closed/open
  run -q hello closed 2>/dev/null ||
    fail "-q: a match counts more than an error"
fi
as=

# ---- what grep does not show -----------------------------------------------

# The order of a sorted depth-first walk, however many run.
checks=$((checks + 1))
for p in 1 2 7; do
  run -p $p -j 5 'define' /usr/include >"$out/order$p" 2>/dev/null
done
if cmp -s "$out/order1" "$out/order2" &&
  cmp -s "$out/order1" "$out/order7"; then
  cut -d : -f 1 "$out/order1" | uniq | tr / '\001' | sort -c ||
    fail "not in the order of a sorted walk"
else
  fail "the order depends on -p"
fi
checks=$((checks + 1))
for j in 1 2 3; do
  run -j $j hello tree >"$out/open$j" 2>/dev/null
done
cmp -s "$out/open1" "$out/open2" && cmp -s "$out/open1" "$out/open3" ||
  fail "the output depends on -j"

# Standard input, and a FIFO that stands on the command line.
checks=$((checks + 1))
run hello - <tree/plain >"$out/got" 2>/dev/null
grep hello tree/plain | cmp -s - "$out/got" || fail "standard input"
repeat hello 500000 | run hello - >"$out/got" 2>/dev/null
repeat hello 500000 | grep hello >"$out/want"
cmp -s "$out/want" "$out/got" || fail "standard input from a pipe"
(sleep 1; cat tree/plain) >tree/fifo &
got=$(run again tree/fifo 2>/dev/null)
[ "$got" = 'hello again' ] || fail "a FIFO"
kill $! 2>/dev/null # it waits for ever if nobody has opened the other end
wait

# Options.
checks=$((checks + 1))
run -q hello tree >"$out/got" 2>/dev/null && [ ! -s "$out/got" ] ||
  fail "-q with a match"
run -q hello tree/plain tree/fifo </dev/null 2>/dev/null ||
  fail "-q with a match before a FIFO"
run -q absent tree 2>/dev/null
[ $? -eq 1 ] || fail "-q without a match"
for bad in '-x a' '-j 0 a' '-p x a' ''; do
  # shellcheck disable=SC2086 # several words
  run $bad >/dev/null 2>&1
  [ $? -eq 2 ] || fail "bad usage: $bad"
done
run '' tree >/dev/full 2>"$out/got"
[ $? -eq 2 ] && grep -q 'No space' "$out/got" || fail "standard output is full"

# A slow reader loses nothing; one that goes away ends tgrep as it ends grep.
checks=$((checks + 1))
grep hello 'tree/many lines' >"$out/want"
run hello 'tree/many lines' 2>/dev/null | (sleep 1; cat) |
  cmp -s - "$out/want" || fail "a slow reader"
(run '' /usr/include 2>/dev/null; echo $? >"$out/status") | head -n 1 \
  >"$out/got"
[ "$(cat "$out/status")" -eq 141 ] || fail "a closed pipe"

# Ctrl-C, with far more to read than there is time: 32,000 names of one file, for
# tgrep reads 15 GB/s out of the page cache. timeout sends the interrupt, and
# kills (137) after some seconds more.
default= # a shell's background jobs ignore interrupts, and would pass that on
sh -c 'kill -INT $$; exit 7'
[ $? -ne 7 ] || default='env --default-signal=INT'
if [ -n "$limit" ] && $default true 2>/dev/null; then
  mkdir huge
  repeat 'a line in a file of which there are many, that says hello' 20000000 \
    >huge/0
  i=1
  while [ $i -lt 1000 ]; do
    ln huge/0 huge/$i
    i=$((i + 1))
  done
  mkdir vast
  i=0
  while [ $i -lt 32 ]; do
    cp -al huge vast/$i
    i=$((i + 1))
  done
  interrupt() {
    checks=$((checks + 1))
    timeout --preserve-status -s INT -k 10 "$after" $default "$tgrep" "$@" \
      >"$out/got" 2>"$out/got.err"
    status=$?
    [ $status -eq 130 ] || fail "Ctrl-C: exit status $status: $*"
  }
  # On a busy machine it may not have begun yet: later, then.
  for after in 0.5 1 2 4 8 16; do
    interrupt -p 2 absent vast
    grep -q '^tgrep: interrupted: ' "$out/got.err" && break
    [ $after != 16 ] || fail "Ctrl-C: no partial summary"
  done
  for after in 0.5 1 2 4 8 16; do
    interrupt -p 2 hello vast
    [ -s "$out/got" ] && break
    [ $after != 16 ] || fail "Ctrl-C: no partial output"
  done
  after=0.5
  interrupt -j 1 hello vast
  interrupt -p 1 hello tree/fifo
else
  skip "nothing here that could send Ctrl-C"
fi

[ $failed -eq 0 ] || exit 1
echo "tgrep: $checks comparisons and checks passed"
[ $skipped -eq 0 ] || exit 77
