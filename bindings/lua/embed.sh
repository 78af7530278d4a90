#!/bin/sh
# embed.sh FILE.lua OUT.c: the text of a file as a C string.
set -eu
{
  echo '/* Made from thrum.lua by embed.sh. */'
  echo 'extern const char thrum_facade[];'
  echo 'const char thrum_facade[] ='
  sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$1"
  echo '    ;'
} >"$2"
