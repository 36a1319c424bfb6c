#!/usr/bin/env bash
# Installs what is missing, builds, and runs every gating test. With --long: everything else instead.
#
#   tests/run.sh              the gate: release build with all gating tests, ASan+UBSan build with unit and sim tests
#   tests/run.sh --long       the rest: TSan, more seeds, long crash runs, containers and packages
#   tests/run.sh --preset P [CTEST ARGS ...]   one preset only, e.g.
#   tests/run.sh --preset release -R unit.common.crc32c_test      one test
#
# Exit status 0 only if everything that was asked for ran and passed. A skipped test is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)

build() {  # build PRESET [TARGET ...]
  local preset=$1; shift
  echo "== build: $preset"
  cmake --preset "$preset" >"build-$preset.log" 2>&1 || { tail -n 40 "build-$preset.log" >&2; rm -f "build-$preset.log"; return 1; }
  rm -f "build-$preset.log"
  cmake --build --preset "$preset" -- -j "$jobs" "$@"
}

check() {  # check PRESET CTEST-ARGS...
  local preset=$1; shift
  echo "== tests: $preset $*"
  ctest --preset "$preset" -j "$jobs" --no-tests=error "$@"
}

deploy/install-packages.sh

case ${1:-} in
  "")
    build release
    check release -LE long
    build asan tests_unit tests_sim
    check asan -L 'unit|sim' -LE long
    ;;
  --long)
    build release
    check release -L long
    build release debs
    tests/compose/run.sh
    build asan
    check asan -L cluster -LE long
    build tsan
    check tsan -L 'unit|sim|cluster' -LE long
    ;;
  --preset)
    [ $# -ge 2 ] || { echo "tests/run.sh: --preset needs a name (release, debug, asan, tsan)" >&2; exit 2; }
    preset=$2; shift 2
    build "$preset"
    check "$preset" "$@"
    ;;
  *)
    echo "tests/run.sh: unknown argument '$1'; see the head of this file" >&2
    exit 2
    ;;
esac
