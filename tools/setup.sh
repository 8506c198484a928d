#!/bin/sh
# Installs the Debian packages of tools/packages.txt (with "tests": those of tools/packages-tests.txt
# too) that are missing, as root or through sudo. Says nothing when all are there.
set -eu
here=$(dirname "$0")
lists="$here/packages.txt"
[ "${1:-}" = tests ] && lists="$lists $here/packages-tests.txt"

missing=
for package in $(cat $lists | sed 's/#.*//'); do
  if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
    missing="$missing $package"
  fi
done
[ -z "$missing" ] && exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: missing packages:$missing" >&2
    echo "setup: run as root, or install them yourself: apt-get install$missing" >&2
    exit 1
  fi
  sudo=sudo
fi
echo "Installing$missing ..."
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -20 "$log" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
