#!/usr/bin/env bash
# Dolmen in containers, as deploy/docker ships it: builds the image, brings the cluster up with docker-compose, uses it
# from this machine and from a container, kills, pauses and cuts off its nodes, gives them other addresses, takes a
# volume away, and feeds the image what it cannot work with.
#
#   tests/compose/run.sh [--from-source] [--keep]
#
#   --from-source   the image builds its own binaries, instead of taking those of build/release/bin
#   --keep          leave the cluster up when a step fails, and say where
#
# To be run as root (it plays several users). Uses the Docker engine of this machine; where there is none it installs
# Debian's, starts it with all its files in a directory of its own, and ends it again. The ports of docker-compose.yml
# must be free, the Debian packages built (target debs). Exit status 0 only if every step ran and passed.
# shellcheck disable=SC1090,SC2034,SC2154  # variables are shared with the other parts
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)

binaries=tree
keep=no
while [ $# -gt 0 ]; do
  case $1 in
    --from-source) binaries=source ;;
    --keep) keep=yes ;;
    *) echo "tests/compose/run.sh: unknown argument '$1'; see the head of this file" >&2; exit 2 ;;
  esac
  shift
done

cannot() { echo "tests/compose/run.sh: $1" >&2; exit 2; }
[ "$(id -u)" = 0 ] || cannot "must be run as root: it plays several users, and may have to start a Docker engine"
debs=$project/build/release/packages
compgen -G "$debs/*.deb" >/dev/null || cannot "no packages in $debs; cmake --build --preset release --target debs"

work=$(mktemp -d /var/tmp/dolmen-compose.XXXXXX)
chmod 755 "$work"
mkdir "$work/data" "$work/home" "$work/bin" "$work/flags"
chmod 1777 "$work/home"

for part in engine cluster suite bad_input; do . "$here/$part.sh"; done

finish() {
  local code=$?
  trap - EXIT
  trap '' INT TERM
  set +e
  touch "$work/flags/stop"
  [ $code -eq 0 ] || echo "   FAILED: $current" >&2
  if [ $code -ne 0 ] && [ "$started_compose" = yes ]; then
    compose ps
    compose logs --no-color --tail 50
  fi
  if [ $code -ne 0 ] && [ $keep = yes ]; then
    echo "tests/compose: the cluster is left as it is: DOCKER_HOST=${DOCKER_HOST:-}, project $COMPOSE_PROJECT_NAME," \
      "files in $work" >&2
    exit $code
  fi
  jobs -p | grep -vx "$engine_pid" | xargs -r kill 2>/dev/null
  [ "$started_compose" = no ] || remove_everything
  engine_stop
  rm -rf "$work"
  [ $code -eq 0 ] || echo "tests/compose: FAILED" >&2
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

begin=$SECONDS
step "a Docker engine" engine_start
step "Debian's base image" base_image
step "build the image ($binaries)" build_image
image_ready=$SECONDS
run_suite
run_bad_input
run_packages
echo
echo "All steps passed: $((SECONDS - begin)) s, $((SECONDS - image_ready)) s of them with the image."
