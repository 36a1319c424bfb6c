#!/usr/bin/env bash
# Writes the sample settings beside it, as the programs print them. To be run after a table of settings has changed.
#
#   deploy/config/update.sh [--check] [DIR]
#
#   --check   change nothing; exit status 1, with the differences, if a sample is not what its program prints
#   DIR       where the programs are (build/release/bin)
set -euo pipefail
samples=$(cd "$(dirname "$0")" && pwd)

check=no
if [ "${1:-}" = --check ]; then check=yes; shift; fi
programs=${1:-$samples/../../build/release/bin}

printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
code=0
for name in namenode datanode client; do
  program=$programs/dolmen-$name
  [ $name != client ] || program=$programs/dolmen
  "$program" --print-config >"$printed" || { echo "update.sh: $program --print-config failed" >&2; exit 1; }
  if [ $check = no ]; then
    cat "$printed" >"$samples/$name.toml"
  elif ! diff -u --label "deploy/config/$name.toml" --label "${program##*/} --print-config" \
      "$samples/$name.toml" "$printed"; then
    echo "deploy/config/$name.toml is not what ${program##*/} prints; run deploy/config/update.sh, commit the result" >&2
    code=1
  fi
done
exit $code
