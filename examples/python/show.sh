#!/bin/sh
# Installs the Python package into an environment of its own and runs the examples:
#
#   sh show.sh [PYTHON [EXAMPLE...]]    default: the newest CPython here, and all
#
# Called by examples/run.sh.
#
# SPDX-License-Identifier: MIT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
python=${1:-$(sh tests/python/run.sh --list | tail -n 1)}
[ $# = 0 ] || shift
if [ -z "$python" ]; then
  echo 'python: skipped: there is no CPython 3.11 or later'
  exit 0
fi
mkdir -p build
env=$PWD/build/examples-python
log=$env.log
if ! { { [ -e "$env/ready" ] || "$python" -m venv "$env"; } &&
  "$env/bin/pip" install ./bindings/python && touch "$env/ready"; } >"$log" 2>&1; then
  tail -n 5 "$log"
  echo "python: skipped: the package cannot be installed ($log)"
  exit 0
fi
[ $# -gt 0 ] || set -- crawler checksum chat asyncio_bridge primes
for example in "$@"; do
  echo "python/$example.py:"
  "$env/bin/python" "$here/$example.py"
done
