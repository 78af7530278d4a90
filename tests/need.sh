# Sourced by the run scripts: what a bare Debian lacks.
#
# need PACKAGE...     installs what is missing; false if that can't be done
# command:PACKAGE asks for the command instead, however it came to be here.

have() {
  case $1 in
    *:*) command -v "${1%%:*}" >/dev/null 2>&1 ;;
    *) dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
  esac
}

need() {
  missing=
  for what in "$@"; do
    have "$what" || missing="$missing ${what##*:}"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing, and no apt-get to install with:$missing" >&2
    return 1
  fi
  as_root=
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "missing, and neither root nor sudo to install with:$missing" >&2
      return 1
    fi
    as_root=sudo
  fi
  echo "installing:$missing" >&2
  install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q
    --no-install-recommends"
  if ! $install $missing >"$need_log" 2>&1; then
    # Perhaps the package lists were never fetched, or are old.
    $as_root apt-get update -q >"$need_log" 2>&1
    if ! $install $missing >"$need_log" 2>&1; then
      tail -n 5 "$need_log" >&2
      echo "could not be installed:$missing" >&2
      return 1
    fi
  fi
}
