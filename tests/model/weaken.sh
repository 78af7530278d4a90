#!/bin/sh
# Weakens the core's memory orders one at a time: see weaken.py.
#   weaken.sh [FILE[:LINE]]
# Builds the models in build/models. Takes about twenty minutes on two cores.
set -eu
cd "$(dirname "$0")/../.."
dir=build/models
if [ ! -e $dir/build.ninja ]; then
  meson setup $dir -Dexamples=false >/dev/null
fi
programs=$(ninja -C $dir -t targets all |
  sed -n 's|^\(tests/model/explore/model_[a-z_]*\): .*|\1|p')
if [ -z "$programs" ]; then
  echo 'skipped: relacy-dev is not installed'
  exit 77
fi
ninja -C $dir $programs >/dev/null
exec python3 tests/model/weaken.py $dir "$@"
