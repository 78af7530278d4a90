#!/bin/sh
# Every test of thrum, on a bare Debian 12 with one command:
#
#   sh tests/run.sh          some 50 minutes on two cores, with three CPythons
#   sh tests/run.sh --full   all mutants, weakened orders, long stress as well
#
# Installs what is missing, builds in build/, runs the suite as it ships, under
# the sanitizers, with the other mimalloc and for the other CPU, then some of
# the mutants. A second run builds only what changed. Logs, results and, with
# --full, the report are in build/report/.
#
# Environment: JOBS, how many compilers and tests run at once (default: cores).
set -u
cd "$(dirname "$0")/.." || exit 1
full=0
for arg in "$@"; do
  case $arg in
    --full) full=1 ;;
    *)
      sed -n '2,12s/^# \{0,1\}//p' "$0"
      exit 2
      ;;
  esac
done
jobs=${JOBS:-$(nproc)}
report=$PWD/build/report
results=$report/results.jsonl
mkdir -p "$report"
rm -f "$report"/*
: >"$results"
need_log=$report/apt.log
. tests/need.sh
started=$(date +%s)

say() {
  printf '\n== %s  [%d s]\n' "$*" $(($(date +%s) - started))
}

one() {
  python3 tests/summary.py one "$results" "$@"
}

# compile DIR [TARGETS]: a new source file is seen by the build itself, which then
# wants a second run.
compile() {
  ninja -C "$1" -j "$jobs" $2 >>"$log" 2>&1 ||
    { grep -q 'run the build again' "$log" &&
      ninja -C "$1" -j "$jobs" $2 >>"$log" 2>&1; }
}

# build STAGE DIR OPTION...: configures once, then builds what changed: all, or
# the programs of the suites in $only ("capi|stress").
only=
build() {
  stage=$1 dir=$2
  shift 2
  log=$report/$stage.log
  if ! [ -e "$dir/build.ninja" ] || [ "$(cat "$dir/options" 2>/dev/null)" != "$*" ]
  then
    rm -rf "$dir"
    meson setup "$dir" "$@" >"$log" 2>&1 && echo "$*" >"$dir/options"
  else
    : >"$log"
  fi
  targets=
  if [ -n "$only" ] && [ -e "$dir/options" ]; then
    compile "$dir" sources-unchanged.h
    targets=$(ninja -C "$dir" -t targets all |
      sed -nE "s,^(tests/($only)_[a-z0-9_.+-]+): .*,\\1,p")
  fi
  only=
  if [ -e "$dir/options" ] && compile "$dir" "$targets"; then
    return 0
  fi
  grep -E 'ERROR|error:|FAILED|warning:' "$log" | head -n 20
  echo "the build failed: ${log#"$PWD/"}"
  one "$stage" build fail "see ${log#"$PWD/"}" "$log"
  return 1
}

# suites STAGE DIR ARGUMENT...: runs `meson test` on what is built, and keeps
# what it found.
suites() {
  stage=$1 dir=$2
  shift 2
  rm -f "$dir/meson-logs/testlog.json"
  meson test -C "$dir" --no-rebuild --num-processes "$jobs" "$@" \
    >"$report/$stage.tests" 2>&1
  grep -E '^ *[0-9]+/[0-9]+ .* (FAIL|TIMEOUT|ERROR|SKIP)' "$report/$stage.tests"
  cp "$dir/meson-logs/testlog.txt" "$report/$stage.testlog" 2>/dev/null
  if [ -e "$dir/meson-logs/testlog.json" ]; then
    python3 tests/summary.py log "$results" "$stage" \
      "$dir/meson-logs/testlog.json"
  else
    tail -n 5 "$report/$stage.tests"
    one "$stage" tests fail 'no test ran'
  fi
}

# script STAGE NAME COMMAND...: a check that is not a meson test; 77 = skipped.
script() {
  stage=$1 name=$2
  shift 2
  log=$report/$stage-$name.log
  "$@" >"$log" 2>&1 </dev/null
  case $? in
    0) one "$stage" "$name" ok ;;
    77) one "$stage" "$name" skip \
      "$(sed -n 's/^skipped: *//p' "$log" | tail -n 1)" ;;
    *)
      tail -n 20 "$log"
      one "$stage" "$name" fail "see ${log#"$PWD/"}" "$log"
      ;;
  esac
}

# mutants N: plants that many; which ones and what killed them is shown.
mutants() {
  log=$report/mutants.log
  sh tests/mutants/run.sh "$1" >"$log" 2>&1 </dev/null
  code=$?
  cat "$log"
  python3 tests/summary.py mutants "$results" mutants "$log" $code
}

# ---- what is missing --------------------------------------------------------

# Without these nothing can be built.
need gcc:gcc g++:g++ meson:meson ninja:ninja-build pkg-config:pkg-config \
  python3:python3 libmimalloc-dev libuv1-dev doctest-dev || {
  echo 'the suite cannot start without the packages above'
  exit 1
}
# Without these something is skipped, and says so.
need git:git gdb:gdb bpftrace:bpftrace perf:linux-perf clang:clang libclang-rt-14-dev clang-format-14:clang-format-14 \
  relacy-dev spin:spin curl:curl wrk:wrk redis-cli:redis-tools \
  swig:swig python3-prometheus-client lua5.4:lua5.4 liblua5.4-dev liblua5.3-dev liblua5.1-0-dev \
  libluajit-5.1-dev luarocks:luarocks || true

# ---- as it ships ------------------------------------------------------------

say 'release, GCC: units, C programs, stress, models, ABI, lints, examples'
if build release build/release -Dwerror=true; then
  suites release build/release
fi

# ---- Python -----------------------------------------------------------------

say 'Python: the package by pip, its types and its tests, on every CPython here'
need libpython3-dev python3-venv || true
pythons=$(sh tests/python/run.sh --list)
for python in $pythons; do
  script python "$("$python" -c 'import platform; print(platform.python_version())')" \
    sh tests/python/run.sh "$python"
done
if [ -z "$pythons" ]; then
  one python all skip 'there is no CPython 3.11 or later'
fi

# ---- Lua --------------------------------------------------------------------

say 'Lua: the rock, from a clean clone'
script lua rock sh tests/lua/rock.sh

# ---- sanitizers -------------------------------------------------------------

# All that runs thrum: the models check its headers in their own way, and the
# ABI checks and the lints look at the tree and at the release build.
programs='--suite unit --suite capi --suite conform --suite stress --suite proc
  --suite examples --suite fuzz --suite lua --timeout-multiplier 3'

say 'ASan and UBSan, GCC'
if build asan build/asan -Dsanitize=address -Doptimization=1; then
  suites asan build/asan $programs
fi

say 'TSan, Clang'
# GCC 12 has room for 8128 fibres, at 840 KiB each.
if command -v clang++ >/dev/null; then
  if CC=clang CXX=clang++ build tsan build/tsan -Dsanitize=thread \
    -Doptimization=1 -Dwerror=true; then
    suites tsan build/tsan $programs
  fi
else
  one tsan all skip 'clang is not installed'
fi

# ---- stress -----------------------------------------------------------------

# Without the units: they count on a ring of 256 and on Gs that stay put.
say 'stress build: rings of 4, a move at every resume'
only='capi|stress|conform|proc|lua/lua'  # conform reads the lists of all
if build stress build/stress -Dstress=true -Dexamples=false; then
  suites stress build/stress --suite capi --suite conform --suite stress \
    --suite lua
fi

# ---- Rust -------------------------------------------------------------------

say 'Rust: the externs, the crates and their tests, from source, installed, under stress'
need swig:swig bindgen:bindgen || true
for step in $(sh tests/rust/run.sh --list); do
  script rust "$step" sh tests/rust/run.sh "$step"
done

# ---- the other mimalloc -----------------------------------------------------

say 'mimalloc 3'
debs=$PWD/build/debs
triplet=$(gcc -print-multiarch)
if ! command -v apt-get >/dev/null; then
  one mimalloc3 all skip 'mimalloc 3 comes as a Debian package, and this is none'
elif why=$(sh tests/debs.sh trixie "$(dpkg --print-architecture)" \
  "$debs/mimalloc3" libmimalloc3 libmimalloc-dev 2>&1); then
  lib=$debs/mimalloc3/usr/lib/$triplet
  only='unit|capi|conform|proc|stress'
  if CPPFLAGS="-I$debs/mimalloc3/usr/include" LDFLAGS="-L$lib -Wl,-rpath,$lib" \
    build mimalloc3 build/mimalloc3 -Dexamples=false; then
    suites mimalloc3 build/mimalloc3 --suite unit --suite capi --suite conform
  fi
else
  one mimalloc3 all skip "mimalloc 3 cannot be fetched: $why"
fi

# ---- the other CPU ----------------------------------------------------------

# This proves the assembly, not memory orders: the emulator runs on a CPU whose
# own are stronger.
say 'aarch64 under qemu-user: units, for the assembly and not for memory orders'
if [ "$(uname -m)" = aarch64 ]; then
  one aarch64 all skip 'this is one: the release stage has run it'
elif need aarch64-linux-gnu-g++:g++-aarch64-linux-gnu \
  qemu-aarch64-static:qemu-user-static &&
  why=$(sh tests/debs.sh bookworm arm64 "$debs/aarch64" libmimalloc2.0 \
    libmimalloc-dev libuv1 libuv1-dev doctest-dev 2>&1); then
  usr=$debs/aarch64/usr
  cat >"$debs/aarch64.ini" <<EOF
[binaries]
c = 'aarch64-linux-gnu-gcc'
cpp = 'aarch64-linux-gnu-g++'
ar = 'aarch64-linux-gnu-ar'
objcopy = 'aarch64-linux-gnu-objcopy'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'false'
exe_wrapper = ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu',
  '-E', 'LD_LIBRARY_PATH=$usr/lib/aarch64-linux-gnu']
[built-in options]
c_args = ['-isystem', '$usr/include']
cpp_args = ['-isystem', '$usr/include']
c_link_args = ['-L$usr/lib/aarch64-linux-gnu']
cpp_link_args = ['-L$usr/lib/aarch64-linux-gnu']
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
EOF
  only=unit
  if build aarch64 build/aarch64 --cross-file "$debs/aarch64.ini" \
    -Dexamples=false; then
    suites aarch64 build/aarch64 --suite unit --timeout-multiplier 10
  fi
else
  one aarch64 all skip "the cross compiler, qemu or mimalloc for it is missing${why:+: $why}"
fi

# ---- another kernel, more nodes ------------------------------------------------

if [ $full = 1 ]; then
  say 'guests of qemu: one and two NUMA nodes, cgroup v2, a kernel without slices'
  log=$report/guest.log
  python3 tests/lab/guest/run --build build/release >"$log" 2>&1
  case $? in
    0) one guest all ok ;;
    77) one guest all skip "$(sed -n 's/^skipped: //p' "$log")" ;;
    *) one guest all fail "see ${log#"$PWD/"}" "$log" ;;
  esac
fi

# ---- does the suite see a defect? -------------------------------------------

if [ -e tests/mutants/run.sh ]; then
  if [ $full = 1 ]; then
    say 'mutants: all'
    mutants all
  else
    say 'mutants: three, drawn by the commit'
    mutants 3
  fi
fi

if [ $full = 1 ]; then
  if [ -e tests/model/weaken.sh ]; then
    say 'weakened memory orders'
    script weakened all sh tests/model/weaken.sh
  fi
  export THRUM_LONG=1
  say 'long stress'
  for dir in release stress asan tsan; do
    if [ -e build/$dir/build.ninja ]; then
      suites "long-$dir" build/$dir --suite stress --timeout-multiplier 20
    fi
  done
fi

# ---- summary ----------------------------------------------------------------

say 'done'
python3 tests/summary.py print "$results" >"$report/summary.txt"
status=$?
cat "$report/summary.txt"
if [ $full = 1 ]; then
  {
    echo "thrum $(git rev-parse HEAD 2>/dev/null), $(date -u '+%Y-%m-%d %H:%M UTC')"
    echo "$(uname -srm), $(nproc) cores, $(gcc --version | head -n 1)"
    cat "$report/summary.txt"
    for log in "$report"/mutants.log "$report"/weakened-*.log; do
      [ -e "$log" ] && printf '\n---- %s\n' "$(basename "$log")" && cat "$log"
    done
  } >"$report/report.txt"
  echo 'report: build/report/report.txt'
fi
exit $status
