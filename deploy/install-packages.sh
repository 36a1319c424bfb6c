#!/usr/bin/env bash
# Installs the Debian 12 packages that Dolmen is built and tested with. Does nothing, and needs no rights, when all are
# there already.
set -euo pipefail

packages=(
  # tools
  build-essential cmake ninja-build ccache mold pkg-config git ca-certificates python3 doxygen file
  # RPC: code generators, and the static archives that all binaries are linked with (libgrpc-dev brings upb and
  # address_sorting, the others grpc++, protobuf, abseil, c-ares, re2, ssl and crypto)
  protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libgrpc-dev libgrpc++-dev
  libabsl-dev libc-ares-dev libre2-dev libssl-dev zlib1g-dev
  # what `dolmen dfs -text` unpacks
  libbz2-dev libzstd-dev
  # storage, checksums, logs, settings, tests
  librocksdb-dev libisal-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libgtest-dev libgmock-dev
)

fail() { echo "deploy/install-packages.sh: $*" >&2; exit 1; }

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  fail "this machine has no apt; Dolmen is built with Debian 12's packages: ${packages[*]}"

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "missing: ${missing[*]}. Run this as root, or install sudo"
  as_root=(sudo)
fi
echo "deploy/install-packages.sh: installing ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q ||
  fail "apt-get update failed; is the network there?"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" ||
  fail "apt-get could not install: ${missing[*]}"
