#!/bin/sh
# Puts the defects of this folder into a copy of the tree, one at a time, and
# looks whether the suite sees them; see README.md, and run.py for the options.
exec python3 "$(dirname "$0")/run.py" "$@"
