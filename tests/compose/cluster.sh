# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with run.sh
# Sourced by run.sh: words to say what happens to the cluster, and to look at it.

started_compose=no
compose_files=()
compose_command=(docker-compose)
export COMPOSE_PROJECT_NAME=dolmen-compose-test
export DOLMEN_IMAGE=dolmen-compose-test
export COMPOSE_HTTP_TIMEOUT=120
network=${COMPOSE_PROJECT_NAME}_default
shipped=$project/deploy/docker

now_ms() { echo $(($(date +%s%N) / 1000000)); }
seconds() { awk -v ms="$1" 'BEGIN { printf "%.1f s", ms / 1000 }'; }

# step NAME COMMAND...: runs it; prints how long it took. A command that fails ends everything.
current=
step() {
  local begin
  current=$1
  shift
  echo "== $current"
  slowest=0
  begin=$(now_ms)
  "$@"
  [ $slowest -eq 0 ] || echo "   the slowest write with its read back took $(seconds $slowest)"
  echo "   ok, $(seconds $(($(now_ms) - begin)))"
}

# wait_until SECONDS WHAT COMMAND...: until the command succeeds.
wait_until() {
  local limit=$1 what=$2 end
  shift 2
  end=$(($(date +%s) + limit))
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt $end ] || { echo "   not within $limit s: $what" >&2; "$@" >&2; return 1; }
    sleep 0.3
  done
}

compose() { "${compose_command[@]}" --project-directory "$shipped" "${compose_files[@]}" "$@" </dev/null; }

# use_files FILE...: the compose files from here on.
use_files() {
  local file
  compose_files=()
  for file in "$@"; do compose_files+=(-f "$file"); done
}

container() { compose ps -aq "$1"; }

address_of() {
  docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(container "$1")"
}

# ---- clients ----

# Where the ports of the cluster are.
at=localhost

# Somebody on this machine who is nobody special, with nothing but the program. Two minutes are a hang.
on_host() {
  timeout -k 5 "${limit:-120}" setpriv --reuid 65534 --regid 65534 --clear-groups \
    env -i PATH=/usr/bin:/bin HOME="$work/home" DOLMEN_FS="dolmen://$at:7020" DOLMEN_PROGRESS=false \
    "$work/bin/dolmen" "$@"
}

# Another container on the network of the cluster, also somebody ordinary. The test's files are in /test.
in_container() {
  timeout -k 5 "${limit:-120}" docker run --rm -i --network "$network" -e DOLMEN_USER=guest \
    -v "$work/data:/test:ro" "$DOLMEN_IMAGE" "$@"
}
shell_in_container() {
  timeout -k 5 "${limit:-120}" docker run --rm -i --network "$network" -e DOLMEN_USER=guest \
    -v "$work/data:/test:ro" --entrypoint sh "$DOLMEN_IMAGE" -euc "$1"
}

# The superuser, on this machine.
admin() {
  timeout -k 5 60 env DOLMEN_USER=dolmen DOLMEN_FS="dolmen://$at:7020" "$work/bin/dolmen" "$@"
}

live_datanodes() { admin dfsadmin -report -live | sed -n 's/^Live datanodes (\([0-9]*\)):.*/\1/p'; }
has_live() { [ "$(live_datanodes)" = "$1" ]; }
# So many datanodes are there, and files can be made: after a start the namenode waits in safe mode until it knows the
# blocks.
is_ready() { has_live "$1" && admin dfsadmin -safemode get | grep -q OFF; }
is_healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]; }
# Every block has its replicas.
all_replicated() {
  local report
  report=$(admin fsck /) && grep -q 'Under-replicated blocks:[[:space:]]*0 ' <<<"$report"
}

same_on_host() {  # same_on_host PATH LOCAL
  local back
  back=$(mktemp -u "$work/home/back.XXXXXX")
  on_host dfs -get "$1" "$back"
  diff -r "$2" "$back"
  rm -rf "$back"
}

# put_and_compare NAME: a smaller file goes in and comes back. $slowest is the longest that it took.
slowest=0
put_and_compare() {
  local begin took
  begin=$(now_ms)
  on_host dfs -put -f "$work/data/middle" "$1"
  on_host dfs -cat "$1" | cmp - "$work/data/middle"
  took=$(($(now_ms) - begin))
  [ $took -lt $slowest ] || slowest=$took
}

# ---- a reader that goes on while things happen ----

# Reads one file again and again, and compares. Any error of the program is one of the test.
reader_start() {
  rm -f "$work/flags/stop" "$work/flags/rounds"
  (
    while [ ! -e "$work/flags/stop" ]; do
      begin=$(now_ms)
      on_host dfs -cat big | cmp - "$work/data/big" || { echo "   the reader failed" >&2; exit 1; }
      echo $(($(now_ms) - begin)) >>"$work/flags/rounds"
    done
  ) &
  reader=$!
  wait_until 60 "the reader has begun" has_read 1
}
rounds_read() { wc -l <"$work/flags/rounds" 2>/dev/null || echo 0; }
has_read() { [ "$(rounds_read)" -ge "$1" ]; }
# A whole round that begins now: so that what happened last is seen.
reader_goes_on() { wait_until 90 "another round of the reader" has_read $(($(rounds_read) + 2)); }
reader_stop() {
  touch "$work/flags/stop"
  wait "$reader"
  echo "   the reader read the file $(rounds_read) times meanwhile, once in $(seconds "$(sort -n "$work/flags/rounds" | tail -n 1)")"
}

remove_everything() {
  compose down -v --remove-orphans -t 5 >/dev/null 2>&1
  docker ps -aq --filter label=dolmen-compose-test | xargs -r docker rm -fv >/dev/null 2>&1
  docker volume ls -q --filter label=dolmen-compose-test | xargs -r docker volume rm -f >/dev/null 2>&1
  docker network rm dolmen-compose-test-bad >/dev/null 2>&1
  docker image rm -f "$DOLMEN_IMAGE" >/dev/null 2>&1
  return 0
}
