# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with run.sh
# Sourced by run.sh: what the image cannot work with. Each gives a clear line and the right exit code, and destroys
# nothing.

label=dolmen-compose-test
bad_network=dolmen-compose-test-bad
kept=/var/lib/dolmen

# refused CODE TEXT ARG...: `docker run ARG...` ends with CODE and says TEXT.
refused() {
  local wanted=$1 text=$2 said code=0
  shift 2
  said=$(timeout -k 5 60 docker run --rm --label $label "$@" 2>&1) || code=$?
  if [ $code -ne "$wanted" ] || ! grep -qF -- "$text" <<<"$said"; then
    printf '   docker run %s\n   ended with %s, not %s, or did not say "%s":\n%s\n' "$*" $code "$wanted" "$text" "$said" >&2
    return 1
  fi
  grep -F -- "$text" <<<"$said" | head -n 1 | sed 's/^/   /'
}

volume() { docker volume create --label $label "$1" >/dev/null; }

# background NAME ARG...: a container of the image on the network of these tests.
background() {
  local name=$1
  shift
  docker run -d --label $label --name "$name" --hostname "$name" --network $bad_network "$@" >/dev/null
}
log_has() { docker logs "$1" 2>&1 | grep -qF -- "$2"; }
ended_with() { [ "$(docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' "$1")" = "exited $2" ]; }
# said NAME CODE TEXT: the container ends with CODE and its log has TEXT.
said() {
  wait_until 30 "$1 ends with $2" ended_with "$1" "$2" || { docker logs --tail 20 "$1" >&2; return 1; }
  log_has "$1" "$3" || { echo "   $1 did not say \"$3\":" >&2; docker logs --tail 20 "$1" >&2; return 1; }
  docker logs "$1" 2>&1 | grep -F -- "$3" | tail -n 1 | sed 's/^/   /'
}
# Runs a command of the image on that network, as the superuser.
ask() {
  local namenode=$1
  shift
  timeout -k 5 60 docker run --rm -i --label $label --network $bad_network -e "DOLMEN_FS=dolmen://$namenode:7020" \
    "$DOLMEN_IMAGE" "$@"
}
# The datanode is live, and the namenode has left safe mode.
has_a_datanode() {
  ask "$1" dfsadmin -report -live | grep -qF 'Live datanodes (1):' && ask "$1" dfsadmin -safemode get | grep -q OFF
}

unknown_settings() {
  refused 2 'unknown setting namenode_blokc_cache_bytes; did you mean namenode_block_cache_bytes' \
    -e DOLMEN_NAMENODE_BLOKC_CACHE_BYTES=1 "$DOLMEN_IMAGE" namenode
  refused 2 'unknown setting datanode_rakc; did you mean datanode_rack' -e DOLMEN_DATANODE_RAKC=/r "$DOLMEN_IMAGE" datanode
  refused 2 'DOLMEN_FORMAT' -e DOLMEN_FORMAT=yes "$DOLMEN_IMAGE" namenode
  refused 2 '/no.toml' "$DOLMEN_IMAGE" namenode --config /no.toml
  printf 'log_level = "info"\ndatanode_rakc = "/r"\n' >"$work/typo.toml"
  refused 2 '/typo.toml:2: unknown setting datanode_rakc; did you mean datanode_rack' \
    -v "$work/typo.toml:/typo.toml:ro" "$DOLMEN_IMAGE" datanode --config /typo.toml
  refused 1 "'namnode' is not a tool" "$DOLMEN_IMAGE" namnode
  refused 0 'dolmen dfs -<command>' "$DOLMEN_IMAGE"
}

unwritable_volumes() {
  local role
  mkdir -p "$work/root-owned"
  chmod 755 "$work/root-owned"
  volume $label-owned
  for role in namenode datanode; do
    # A directory of the host that belongs to root; the volume of another user; one that is mounted read-only.
    refused 1 'Permission denied' -e DOLMEN_FORMAT=if-empty -v "$work/root-owned:$kept" "$DOLMEN_IMAGE" $role
    refused 1 'Permission denied' -e DOLMEN_FORMAT=if-empty --user 4711 -v $label-owned:$kept "$DOLMEN_IMAGE" $role
    refused 1 'Read-only file system' -e DOLMEN_FORMAT=if-empty -v $label-owned:$kept:ro "$DOLMEN_IMAGE" $role
  done
  [ -z "$(ls -A "$work/root-owned")" ]
  docker volume rm $label-owned >/dev/null
}

unformatted() {
  volume $label-empty
  refused 1 'not formatted' -v $label-empty:$kept "$DOLMEN_IMAGE" namenode
  # if-empty means empty: a file of somebody else is in the way, and stays.
  docker run --rm --label $label -v $label-empty:$kept --entrypoint sh "$DOLMEN_IMAGE" -c \
    'mkdir metadata && echo mine >metadata/notes'
  refused 1 'notes' -e DOLMEN_FORMAT=if-empty -v $label-empty:$kept "$DOLMEN_IMAGE" namenode
  docker run --rm --label $label -v $label-empty:$kept --entrypoint cat "$DOLMEN_IMAGE" metadata/notes | grep -qx mine
}

# A datanode whose namenode has no name yet waits, says so, and works when the name appears.
late_namenode() {
  background early-datanode -e DOLMEN_DATANODE_NAMENODE_ADDRESS=late-namenode:7020 "$DOLMEN_IMAGE" datanode
  wait_until 20 "the datanode says that it waits" log_has early-datanode 'registering failed, trying again'
  docker logs early-datanode 2>&1 | grep -F 'registering failed' | sed 's/^/   /'
  background late-namenode -e DOLMEN_FORMAT=if-empty -v $label-a:$kept "$DOLMEN_IMAGE" namenode
  wait_until 30 "the datanode registers" log_has early-datanode 'registered with cluster'
  wait_until 20 "it is live" has_a_datanode late-namenode
  ask late-namenode dfs -D dfs.replication=1 -put /usr/share/doc/dolmen/LICENSE /LICENSE
  docker rm -fv early-datanode late-namenode >/dev/null
}

two_datanodes_one_volume() {
  volume $label-data
  background namenode-a -e DOLMEN_FORMAT=if-empty -v $label-a:$kept "$DOLMEN_IMAGE" namenode
  background first -e DOLMEN_DATANODE_NAMENODE_ADDRESS=namenode-a:7020 -v $label-data:$kept "$DOLMEN_IMAGE" datanode
  wait_until 30 "the first registers" log_has first 'registered with cluster'
  background second -e DOLMEN_DATANODE_NAMENODE_ADDRESS=namenode-a:7020 -v $label-data:$kept "$DOLMEN_IMAGE" datanode
  said second 1 'another datanode is using this directory'
  wait_until 20 "the first is live" has_a_datanode namenode-a
  ask namenode-a dfs -D dfs.replication=1 -put /usr/share/doc/dolmen/LICENSE /kept
  # The same of a namenode.
  background namenode-too -v $label-a:$kept "$DOLMEN_IMAGE" namenode
  said namenode-too 1 'is in use by a running namenode'
  docker rm -fv second namenode-too >/dev/null
}

# Of another cluster: refused, and whole when it comes home.
wrong_cluster() {
  docker rm -fv first >/dev/null
  background namenode-b -e DOLMEN_FORMAT=if-empty "$DOLMEN_IMAGE" namenode
  background stranger -e DOLMEN_DATANODE_NAMENODE_ADDRESS=namenode-b:7020 -v $label-data:$kept "$DOLMEN_IMAGE" datanode
  said stranger 1 'point it at its own namenode'
  background first -e DOLMEN_DATANODE_NAMENODE_ADDRESS=namenode-a:7020 -v $label-data:$kept "$DOLMEN_IMAGE" datanode
  wait_until 30 "it registers at home" log_has first 'registered with cluster'
  ask namenode-a dfs -cat /kept | cmp - "$project/LICENSE"
  docker rm -fv first stranger namenode-a namenode-b >/dev/null
}

# Process 1 takes the signals, also before anything else is there.
signals() {
  background alone "$DOLMEN_IMAGE" datanode
  wait_until 20 "it runs" log_has alone 'listens on'
  local begin=$SECONDS
  docker stop -t 30 alone >/dev/null
  ended_with alone 0
  [ $((SECONDS - begin)) -lt 10 ]
  docker rm -fv alone >/dev/null
}

run_bad_input() {
  docker network create $bad_network >/dev/null
  volume $label-a
  step "unknown settings" unknown_settings
  step "volumes that can't be written to" unwritable_volumes
  step "a namenode without a namespace" unformatted
  step "a datanode before its namenode" late_namenode
  step "two daemons on one volume" two_datanodes_one_volume
  step "a datanode of another cluster" wrong_cluster
  step "docker stop" signals
  docker volume rm $label-a $label-data $label-empty >/dev/null
  docker network rm $bad_network >/dev/null
}
