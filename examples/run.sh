#!/bin/sh
# Watch green threads search a real source tree on all cores:
#
#   sh examples/run.sh [TREE [PATTERN]]     (default: /usr/include, "struct")
#
# Installs what a bare Debian 12 lacks, builds thrum, then runs tgrep: one G per
# file, results in order through channels; and httpd and kv under load, one G
# per connection, beside Redis and twins in Go where those are installed; and the
# examples in Python, where CPython 3.11 or newer is.
set -eu
cd "$(dirname "$0")/.."
tree=${1:-/usr/include}
pattern=${2:-struct}
mkdir -p build
need_log=build/apt.log
. tests/need.sh
need cc:gcc c++:g++ meson:meson ninja:ninja-build pkg-config:pkg-config \
  libmimalloc-dev libuv1-dev || exit 1
need wrk:wrk redis-benchmark:redis-tools || true

dir=build/examples
log=build/examples.log
if ! { { [ -e $dir/build.ninja ] || meson setup $dir -Dtests=false; } &&
  { ninja -C $dir || ninja -C $dir; }; } >$log 2>&1; then
  tail -n 20 $log
  echo "the build failed: $log"
  exit 1
fi

matches=build/examples/matches.txt
echo "tgrep -- '$pattern' $tree, on $(nproc) core(s):"
status=0
$dir/examples/tgrep -- "$pattern" "$tree" >$matches || status=$?
[ $status -le 1 ] || exit $status
head -n 5 $matches | cut -c 1-100
lines=$(wc -l <$matches)
[ "$lines" -le 5 ] || echo "… $lines matching lines in $matches"
sh examples/apps/httpd/show.sh $dir/examples/httpd
sh examples/apps/kv/show.sh $dir/examples/kv
sh examples/python/show.sh
echo "next: $dir/examples/thrum_million, a million green threads at once (5 GiB)"
