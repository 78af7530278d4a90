#!/bin/sh
# Unpacks Debian packages of another suite or CPU into a folder; installs
# nothing. The mirror is the one that this machine uses already.
#   debs.sh SUITE ARCH DIR PACKAGE...
# Afterwards DIR/usr holds the files, and their .pc files point there.
set -eu
suite=$1 arch=$2 dir=$3
shift 3

wanted="$suite $arch $*"
if [ "$(cat "$dir/unpacked" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Created-By: Packages' 2>/dev/null |
  awk -v suite="$here" '$2 == suite && $3 == "main" { print $1; exit }')
if [ -z "$mirror" ]; then
  echo 'no Debian mirror among the apt sources'
  exit 1
fi

rm -rf "$dir"
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e $keys ] && keys=" signed-by=$keys" || keys=
echo "deb [arch=$arch$keys] $mirror $suite main" >"$dir/sources.list"
: >"$dir/status"
private="-q -o Dir::Etc::SourceList=$dir/sources.list
  -o Dir::Etc::SourceParts=$dir/parts -o Dir::State::Lists=$dir/lists
  -o Dir::State::status=$dir/status -o Dir::Cache=$dir/cache
  -o APT::Architecture=$arch -o APT::Architectures::=$arch
  -o APT::Sandbox::User=root -o Acquire::Languages=none"
if ! apt-get $private update >"$dir/log" 2>&1 ||
  ! (cd "$dir/cache" && apt-get $private download "$@") >>"$dir/log" 2>&1; then
  grep -E '^(E|Err|W):' "$dir/log" | head -n 3
  exit 1
fi
for deb in "$dir"/cache/*.deb; do
  dpkg -x "$deb" "$dir"
done
find "$dir/usr" -name '*.pc' -exec \
  sed -i "s,^prefix=.*,prefix=$dir/usr,; s,=/usr/,=$dir/usr/," {} +
rm -rf "$dir/lists" "$dir/cache"
echo "$wanted" >"$dir/unpacked"
