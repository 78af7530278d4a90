#!/bin/sh
# A test that this machine cannot do: skip.sh REASON
echo "skipped: $1"
exit 77
