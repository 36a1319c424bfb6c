# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with run.sh
# Sourced by run.sh: what works, and what it survives. Steps run under `set -e`: a command that fails fails its step.

build_image() {
  if [ "$binaries" = tree ] && [ ! -x "$project/build/release/bin/dolmen-namenode" ]; then
    echo "   there is no build/release/bin: build it (cmake --build --preset release), or give --from-source" >&2
    return 1
  fi
  DOCKER_BUILDKIT=1 docker build --progress=plain -t "$DOLMEN_IMAGE" -f "$shipped/Dockerfile" \
    --build-arg BINARIES="$binaries" "$project" >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; return 1; }
  docker image inspect -f '   {{.Size}} bytes' "$DOLMEN_IMAGE"
  # The client on this machine is the one of the image or of the tree: whichever can run here.
  if [ "$binaries" = tree ]; then
    cp "$project/build/release/bin/dolmen" "$work/bin/"
  else
    docker run --rm --entrypoint cat "$DOLMEN_IMAGE" /usr/local/bin/dolmen >"$work/bin/dolmen"
  fi
  chmod 755 "$work/bin/dolmen"
  "$work/bin/dolmen" version
}

ports_are_free() {
  local port
  for port in 7020 7066 7067 7068; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "   port $port is in use here; end what listens there" >&2
      return 1
    fi
  done
}

make_data() {
  head -c $((200 << 20)) /dev/urandom >"$work/data/big"
  head -c $((20 << 20)) /dev/urandom >"$work/data/middle"
  mkdir -p "$work/data/tree/empty" "$work/data/tree/a b/c"
  local i
  for ((i = 0; i < 60; ++i)); do head -c $((i * 1013)) "$work/data/middle" >"$work/data/tree/a b/c/file $i"; done
  cp -r "$project/docs" "$work/data/tree/docs"
  : >"$work/data/tree/empty file"
  chmod -R a+rX "$work/data"
}

# Both programs must take the files, alone and together.
check_config() {
  local checked=0 more
  for more in "" docker-compose.more.yml docker-compose.config.yml; do
    local files=(-f "$shipped/docker-compose.yml")
    [ -z "$more" ] || files+=(-f "$shipped/$more")
    if command -v docker-compose >/dev/null; then
      docker-compose --project-directory "$shipped" "${files[@]}" config -q
      checked=$((checked + 1))
    fi
    if docker compose version >/dev/null 2>&1; then
      docker compose --project-directory "$shipped" "${files[@]}" config -q
      checked=$((checked + 1))
    fi
  done
  command -v docker-compose >/dev/null || compose_command=(docker compose)
  echo "   $checked combinations; $("${compose_command[@]}" version --short)"
  [ $checked -gt 0 ]
}

up() {
  started_compose=yes
  compose up -d --no-build "$@" >"$work/up.log" 2>&1 || { tail -n 15 "$work/up.log" >&2; return 1; }
}

everything_up() {
  local service
  up --remove-orphans
  for service in namenode datanode-1 datanode-2 datanode-3; do
    wait_until 60 "$service is healthy" is_healthy "$service"
  done
  wait_until 20 "three datanodes are there" is_ready 3
  compose exec -T namenode dolmen dfsadmin -printTopology
}

# ---- use ----

use_from_host() {
  on_host dfs -put "$work/data/big" "$work/data/tree" .
  on_host dfs -ls
  on_host dfs -ls -C | sort | cmp - <(printf 'big\ntree\n')
  same_on_host big "$work/data/big"
  same_on_host tree "$work/data/tree"
}

use_from_container() {
  in_container dfs -put /test/big /test/tree .
  in_container dfs -ls
  shell_in_container 'dolmen dfs -get big tree /tmp && cmp /tmp/big /test/big && diff -r /tmp/tree /test/tree'
}

# What one side wrote, the other reads, while both write.
use_from_both() {
  local other
  on_host dfs -chmod 755 /user/nobody
  in_container dfs -chmod 755 /user/guest
  # shellcheck disable=SC2016  # for the shell of the container
  shell_in_container 'for i in 1 2 3 4 5; do dolmen dfs -put /test/middle "both $i"; done
    dolmen dfs -cat /user/nobody/big | cmp - /test/big' &
  other=$!
  for i in 1 2 3 4 5; do on_host dfs -put "$work/data/middle" "both $i"; done
  on_host dfs -cat /user/guest/big | cmp - "$work/data/big"
  wait $other
  for i in 1 2 3 4 5; do
    on_host dfs -cat "/user/guest/both $i" | cmp - "$work/data/middle"
    in_container dfs -cat "/user/nobody/both $i" | cmp - "$work/data/middle"
  done
}

# ---- faults ----

kill_under_reader() {
  reader_start
  docker kill "$(container datanode-2)" >/dev/null
  put_and_compare during-kill
  reader_goes_on
  docker start "$(container datanode-2)" >/dev/null
  wait_until 30 "three datanodes are live" is_ready 3
  put_and_compare after-kill
  reader_stop
}

pause_under_reader() {
  reader_start
  docker pause "$(container datanode-1)" >/dev/null
  put_and_compare during-pause
  reader_goes_on
  docker unpause "$(container datanode-1)" >/dev/null
  wait_until 30 "three datanodes are live" is_ready 3
  put_and_compare after-pause
  reader_stop
}

# Off the network for 15 s, and back with its name.
cut_off_under_reader() {
  local victim end i=0
  victim=$(container datanode-3)
  reader_start
  docker network disconnect "$network" "$victim"
  end=$((SECONDS + 15))
  while [ $SECONDS -lt $end ]; do
    put_and_compare "during-cut-$i"
    i=$((i + 1))
  done
  docker network connect --alias datanode-3 "$network" "$victim"
  wait_until 30 "three datanodes are live" is_ready 3
  put_and_compare after-cut
  reader_goes_on
  reader_stop
}

restart_one_by_one() {
  local service
  reader_start
  for service in datanode-1 datanode-2 datanode-3 namenode; do
    compose restart -t 45 $service >/dev/null 2>&1
    wait_until 30 "the cluster is ready after the restart of $service" is_ready 3
    put_and_compare "after-restart-of-$service"
  done
  reader_goes_on
  reader_stop
}

# Ended by docker stop, the daemons end cleanly and at once.
stop_is_clean() {
  local service
  compose stop >/dev/null 2>&1
  for service in namenode datanode-1 datanode-2 datanode-3; do
    [ "$(docker inspect -f '{{.State.ExitCode}}' "$(container $service)")" = 0 ] ||
      { echo "   $service did not end with 0" >&2; return 1; }
  done
}

down_and_up() {
  compose down >/dev/null 2>&1
  [ -z "$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")" ]
  everything_up >/dev/null
  put_and_compare after-up
  same_on_host big "$work/data/big"
  same_on_host tree "$work/data/tree"
  on_host dfs -cat "/user/guest/both 5" | cmp - "$work/data/middle"
}

# The addresses of the namenode and of a datanode go to somebody else while they are stopped.
other_addresses() {
  local old_namenode old_datanode
  old_namenode=$(address_of namenode)
  old_datanode=$(address_of datanode-2)
  compose stop namenode datanode-2 >/dev/null 2>&1
  local i
  for i in 1 2; do
    docker run -d --label dolmen-compose-test --name "dolmen-compose-test-squatter-$i" --network "$network" \
      --no-healthcheck --entrypoint sleep "$DOLMEN_IMAGE" 600 >/dev/null
  done
  compose start datanode-2 namenode >/dev/null 2>&1
  echo "   namenode $old_namenode -> $(address_of namenode), datanode-2 $old_datanode -> $(address_of datanode-2)"
  [ "$(address_of namenode)" != "$old_namenode" ]
  [ "$(address_of datanode-2)" != "$old_datanode" ]
  wait_until 30 "three datanodes are live" is_ready 3
  put_and_compare after-other-addresses
  same_on_host big "$work/data/big"
  shell_in_container 'dolmen dfs -get big /tmp && cmp /tmp/big /test/big'
  docker rm -f dolmen-compose-test-squatter-1 dolmen-compose-test-squatter-2 >/dev/null
}

lose_a_volume() {
  local begin
  begin=$(now_ms)
  wait_until 90 "all blocks are replicated before" all_replicated
  echo "   all blocks were replicated after $(seconds $(($(now_ms) - begin)))"
  compose stop datanode-3 >/dev/null 2>&1
  compose rm -f datanode-3 >/dev/null 2>&1
  docker volume rm "${COMPOSE_PROJECT_NAME}_datanode-3" >/dev/null
  up datanode-3
  wait_until 30 "datanode-3 is back" is_ready 3
  begin=$(now_ms)
  wait_until 150 "all blocks are replicated again" all_replicated
  echo "   and again $(seconds $(($(now_ms) - begin))) after the datanode was back"
  same_on_host big "$work/data/big"
}

# ---- one published port, more datanodes ----

# Clients outside of the network reach datanode-2 and datanode-3 through datanode-1 only.
one_port() {
  local service
  sed -e '/:7067:7066"\]/d' -e '/:7068:7066"\]/d' "$shipped/docker-compose.yml" >"$work/one-port.yml"
  use_files "$work/one-port.yml"
  everything_up >/dev/null
  for service in datanode-2 datanode-3; do
    [ -z "$(docker port "$(container $service)")" ] || { echo "   $service has a port" >&2; return 1; }
  done
  put_and_compare one-port
  single_replicas "(datanode-2|datanode-3):7066"
  on_host dfs -put "$work/data/big" big-by-relay
  same_on_host big-by-relay "$work/data/big"
  same_on_host tree "$work/data/tree"
}

# Writes files with one replica, until one of them is at a datanode that matches; reads all back.
single_replicas() {
  local i=0
  on_host dfs -mkdir -p single
  until admin fsck /user/nobody/single -files -blocks -locations 2>/dev/null | grep -qE "DatanodeInfoWithStorage\[$1,"; do
    i=$((i + 1))
    [ $i -le 60 ] || { echo "   none of 60 replicas is at $1" >&2; return 1; }
    on_host dfs -D dfs.replication=1 -put -f "$work/data/middle" "single/$i"
  done
  while [ $i -gt 0 ]; do
    on_host dfs -cat "single/$i" | cmp - "$work/data/middle"
    i=$((i - 1))
  done
  on_host dfs -rm -r single >/dev/null
}

# Then a reader outside meets both: who relays is restarted, and who is reached by relay is killed.
relay_faults() {
  reader_start
  compose restart -t 45 datanode-1 >/dev/null 2>&1
  wait_until 30 "three datanodes are live" is_ready 3
  put_and_compare after-restart-of-the-relay
  reader_goes_on
  docker kill "$(container datanode-3)" >/dev/null
  put_and_compare relay-during-kill
  reader_goes_on
  docker start "$(container datanode-3)" >/dev/null
  wait_until 30 "three datanodes are live" is_ready 3
  reader_stop
}

scale() {
  local ids
  use_files "$work/one-port.yml" "$shipped/docker-compose.more.yml"
  up --scale datanode=2
  wait_until 60 "five datanodes are live" is_ready 5
  admin dfsadmin -printTopology
  ids=$(container datanode | cut -c 1-12 | paste -sd '|')
  single_replicas "($ids):7066"
  on_host dfs -put "$work/data/big" big-scaled
  same_on_host big-scaled "$work/data/big"
}

# The shipped settings file, with one value changed, is obeyed; and the ports are published at another address.
own_config() {
  sed 's/^namenode_default_replication = .*/namenode_default_replication = 2/' "$shipped/dolmen.toml" >"$work/dolmen.toml"
  sed "s|\./dolmen.toml|$work/dolmen.toml|" "$shipped/docker-compose.config.yml" >"$work/config.yml"
  use_files "$shipped/docker-compose.yml" "$work/config.yml"
  at=127.0.0.2
  export DOLMEN_PUBLISH=$at DOLMEN_HOST=$at
  everything_up >/dev/null
  put_and_compare own-config
  [ "$(on_host dfs -stat %r own-config)" = 2 ]
  same_on_host big "$work/data/big"
  if (exec 3<>/dev/tcp/127.0.0.1/7020) 2>/dev/null; then echo "   port 7020 is at 127.0.0.1 too" >&2; return 1; fi
}

healthy_at_the_end() {
  wait_until 150 "all blocks are replicated" all_replicated
  admin fsck / | tail -n 30
}

down_with_volumes() {
  local left
  compose down -v --remove-orphans >/dev/null 2>&1
  left=$(docker volume ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
  [ -z "$left" ] || { echo "   volumes are left: $left" >&2; return 1; }
  left=$(docker network ls -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
  [ -z "$left" ] || { echo "   networks are left: $left" >&2; return 1; }
}

run_suite() {
  use_files "$shipped/docker-compose.yml"
  step "compose files are valid" check_config
  step "ports are free" ports_are_free
  step "make files" make_data
  step "up, until all are healthy" everything_up
  step "use it from this machine" use_from_host
  step "use it from a container" use_from_container
  step "use it from both at once" use_from_both
  step "kill a datanode under a reader" kill_under_reader
  step "pause a datanode under a reader" pause_under_reader
  step "cut a datanode off for 15 s under a reader" cut_off_under_reader
  step "restart one after another under a reader" restart_one_by_one
  step "stop ends the daemons cleanly" stop_is_clean
  step "down and up keep the data" down_and_up
  step "namenode and datanode get other addresses" other_addresses
  step "a volume is lost" lose_a_volume
  step "one datanode port is enough" one_port
  step "one datanode port, with faults under a reader" relay_faults
  step "two more datanodes without ports" scale
  step "settings from a file, ports at another address" own_config
  step "fsck finds everything healthy" healthy_at_the_end
  step "down -v takes the data away" down_with_volumes
}

packages_in_container() {
  docker run --rm -v "$project/tests/deploy/packages_in_container.sh:/packages_in_container.sh:ro" \
    -v "$debs:/packages:ro" debian:bookworm-slim bash /packages_in_container.sh /packages
}

run_packages() { step "packages in a clean container" packages_in_container; }
