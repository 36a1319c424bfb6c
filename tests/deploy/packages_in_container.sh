#!/usr/bin/env bash
# Takes the Debian packages through their life: install, format, start, store and read files, install again, remove,
# purge. To be run as root in a fresh Debian 12 container or chroot that nobody needs any more.
#
#   packages_in_container.sh DIR      DIR holds the .deb files; what they depend on comes from the mirror that apt knows
#
# Where systemd runs the daemons are started as units, elsewhere by hand, with the unit's command line and user.
# Exit status 0 only if every check held.
set -euo pipefail

unit_dir=/usr/lib/systemd/system
data=/var/lib/dolmen
scratch=$(mktemp -d)
declare -A pids=()

fail() {
  echo "FAILED: $*" >&2
  local daemon
  for daemon in namenode datanode; do
    [ ! -s "$scratch/$daemon.log" ] || tail -n 20 "$scratch/$daemon.log" | sed "s/^/  $daemon: /" >&2
  done
  exit 1
}
step() { echo "== $*"; }
# check WHAT COMMAND...: says what is checked, and ends everything if it does not hold.
check() {
  local what=$1
  shift
  "$@" >"$scratch/check.log" 2>&1 || { sed 's/^/  /' "$scratch/check.log" >&2; fail "$what"; }
  echo "   ok: $what"
}
is() { [ "$1" = "$2" ] || { echo "expected: $2"; echo "found:    $1"; return 1; }; }
# wait_for SECONDS WHAT COMMAND...
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$scratch/wait.log" 2>&1; do
    [ $SECONDS -lt $deadline ] || { sed 's/^/  /' "$scratch/wait.log" >&2; fail "$what: not in time"; }
    sleep 0.2
  done
  echo "   ok: $what"
}

cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap cleanup EXIT

# Its output is in apt.log.
apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold \
    -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root "$@" >"$scratch/apt.log" 2>&1 </dev/null || {
    cat "$scratch/apt.log" >&2
    fail "apt-get $*"
  }
}
deb() { printf '%s\n' "$debs"/"$1"_*.deb; }
state() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || echo not-installed; }
owner() { stat -c '%U:%G %a' "$1"; }
as_dolmen() { setpriv --reuid=dolmen --regid=dolmen --init-groups env HOME=$data "$@"; }
command_of() { sed -n 's/^ExecStart=//p' "$unit_dir/dolmen-$1.service"; }
booted() { [ -d /run/systemd/system ]; }

start() {  # start DAEMON
  if booted; then
    systemctl start "dolmen-$1"
  else
    # shellcheck disable=SC2046 -- the words of a command line
    (umask 0077; cd /; exec setpriv --reuid=dolmen --regid=dolmen --init-groups $(command_of "$1")) \
      >>"$scratch/$1.log" 2>&1 &
    pids[$1]=$!
  fi
}
stop() {  # stop DAEMON: fails unless it ends by itself, with success, within a minute
  if booted; then
    systemctl stop "dolmen-$1"
    is "$(systemctl show -P Result "dolmen-$1")" success
  else
    local deadline=$((SECONDS + 60)) pid=${pids[$1]}
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
    ! kill -0 "$pid" 2>/dev/null || { echo "still there after a minute"; return 1; }
    wait "$pid" && unset "pids[$1]"
  fi
}
one_live_datanode() { as_dolmen dolmen dfsadmin -report -live | grep -x 'Live datanodes (1):'; }
start_both() {
  start namenode
  start datanode
  wait_for 60 "the namenode knows one live datanode" one_live_datanode
  wait_for 60 "safe mode is over" sh -c 'dolmen dfsadmin -safemode get | grep -q OFF'
}
same_as_printed() {  # same_as_printed PROGRAM FILE [SETTING VALUE]: but for its head and that one setting
  "$1" --print-config | sed "s|^#${3:--} = \"\"\$|${3:-} = \"${4:-}\"|" | diff - <(sed '1,/^$/d' "$2")
}
leftovers() {
  find / -xdev \( -path /proc -o -path /sys -o -path /tmp -o -path "$debs" \) -prune -o -iname '*dolmen*' -print
}

# ---- what is needed ----

[ $# -eq 1 ] && [ -d "$1" ] || { echo "usage: packages_in_container.sh DIRECTORY-OF-DEBS" >&2; exit 2; }
debs=$(cd "$1" && pwd)
[ "$(id -u)" -eq 0 ] || fail "this must be root, in a container made for it"
grep -qs '^12' /etc/debian_version || fail "this is not Debian 12"
for package in dolmen-namenode dolmen-datanode dolmen-client libdolmen-dev; do
  [ "$(deb $package | wc -l)" -eq 1 ] && [ -f "$(deb $package)" ] ||
    fail "$debs must hold exactly one ${package}_*.deb"
  [ "$(state $package)" = not-installed ] || fail "$package is installed here already; take a fresh container"
done
! getent passwd dolmen >/dev/null || fail "there is a user dolmen already; take a fresh container"

step "install the daemons and the command"
apt update
apt install "$(deb dolmen-namenode)" "$(deb dolmen-datanode)" "$(deb dolmen-client)"
check "the installation says how to make a namespace" grep -q 'dolmen-namenode --format' "$scratch/apt.log"
check "the programs find their libraries" \
  sh -c '! ldd /usr/bin/dolmen /usr/bin/dolmen-namenode /usr/bin/dolmen-datanode | grep "not found"'
check "dolmen version" dolmen version
check "dolmen namenode runs the namenode" sh -c 'dolmen namenode --help | grep -q "Usage: dolmen-namenode"'
check "dolmen datanode runs the datanode" sh -c 'dolmen datanode --help | grep -q "Usage: dolmen-datanode"'
check "dolmen is a system user without a shell" is \
  "$(getent passwd dolmen | awk -F: '{print ($3 < 1000 ? "system" : "ordinary"), $6, $7}')" \
  "system $data /usr/sbin/nologin"
check "$data belongs to root" is "$(owner $data)" "root:root 755"
for daemon in namenode datanode; do
  check "$data/$daemon belongs to dolmen" is "$(owner $data/$daemon)" "dolmen:dolmen 750"
  check "$data/$daemon is empty" is "$(ls -A $data/$daemon)" ""
  check "dolmen-$daemon is enabled" test -L "/etc/systemd/system/multi-user.target.wants/dolmen-$daemon.service"
done
check "nothing was started" is "$(find /proc -maxdepth 1 -user dolmen)" ""
for file in /etc/dolmen /usr/bin/dolmen /usr/bin/dolmen-namenode /usr/bin/dolmen-datanode; do
  check "$file belongs to root" is "$(owner $file)" "root:root 755"
done
for name in namenode datanode client; do
  check "/etc/dolmen/$name.toml belongs to root" is "$(owner /etc/dolmen/$name.toml)" "root:root 644"
  check "/etc/dolmen/$name.toml is a configuration file" is \
    "$(dpkg-query -W -f '${Conffiles}' dolmen-$name | awk 'NF {print $1}')" /etc/dolmen/$name.toml
  check "dolmen-$name has its copyright file" test -s /usr/share/doc/dolmen-$name/copyright
done
check "namenode.toml is what the program prints" \
  same_as_printed dolmen-namenode /etc/dolmen/namenode.toml namenode_metadata_dir $data/namenode
check "datanode.toml is what the program prints" \
  same_as_printed dolmen-datanode /etc/dolmen/datanode.toml datanode_data_dirs $data/datanode
check "client.toml is what the program prints" same_as_printed dolmen /etc/dolmen/client.toml

step "the library installs with all it needs"
apt install "$(deb libdolmen-dev)"
for file in include/dolmen/client.h include/dolmen/error.h lib/libdolmen_client.a lib/cmake/Dolmen/DolmenConfig.cmake; do
  check "/usr/$file is there" test -s "/usr/$file"
done
apt purge libdolmen-dev

step "the units"
apt install systemd
for daemon in namenode datanode; do
  check "dolmen-$daemon.service has no mistakes" sh -c \
    'found=$(systemd-analyze verify '"$unit_dir/dolmen-$daemon.service"' 2>&1); echo "$found"; [ -z "$found" ]'
  check "dolmen-$daemon.service is confined (exposure 2.0 of 10 at most)" \
    systemd-analyze security --offline=true --no-pager --threshold=20 "$unit_dir/dolmen-$daemon.service"
  sed -n 's/^→ */   /p' "$scratch/check.log"
done

step "a namenode without a namespace does not make one"
code=0
# shellcheck disable=SC2046 -- the words of a command line
as_dolmen $(command_of namenode) >"$scratch/unformatted" 2>&1 || code=$?
check "it ends with an error" is $code 1
check "it says what is missing" grep -q 'not formatted.*--format' "$scratch/unformatted"
check "it wrote nothing" is "$(find $data/namenode -mindepth 1 ! -name in_use.lock)" ""

step "format, start, use"
check "dolmen namenode --format, as dolmen" as_dolmen dolmen namenode --format --config /etc/dolmen/namenode.toml
check "the metadata belongs to dolmen alone" is "$(owner $data/namenode/meta)" "dolmen:dolmen 700"
start_both
check "dolmen makes a home for root" as_dolmen dolmen dfs -mkdir -p /user/root
check "dolmen gives it to root" as_dolmen dolmen dfs -chown root /user/root
head -c 5000000 /dev/urandom >"$scratch/random"
cd "$scratch"
check "-mkdir" dolmen dfs -mkdir stored
check "-put of 5 MB" dolmen dfs -put random stored/random
check "-get gives the same bytes" sh -c 'dolmen dfs -get stored/random back && cmp random back'
check "-cat gives the same bytes" sh -c 'dolmen dfs -cat stored/random | cmp - random'
check "another user's directory is refused" sh -c '! DOLMEN_USER=nobody dolmen dfs -mkdir /user/root/x'
check "replicas belong to dolmen" is "$(find $data/datanode ! -user dolmen)" ""
check "replicas are nobody else's business" is "$(find $data/datanode -mindepth 1 -maxdepth 1 -perm /077)" ""

step "install again over running daemons, with a changed setting"
echo '# a change of an administrator' >>/etc/dolmen/namenode.toml
! booted || before=$(systemctl show -P MainPID dolmen-namenode)
apt install --reinstall "$(deb dolmen-namenode)" "$(deb dolmen-datanode)" "$(deb dolmen-client)"
check "the change stayed" grep -qx '# a change of an administrator' /etc/dolmen/namenode.toml
check "the data stayed" is "$(owner $data/namenode/meta)" "dolmen:dolmen 700"
! booted || check "what ran was started again" sh -c '[ "$(systemctl show -P MainPID dolmen-namenode)" != "$0" ]' "$before"
wait_for 60 "the namenode knows one live datanode" one_live_datanode
wait_for 60 "the file is read back" sh -c 'dolmen dfs -cat stored/random | cmp - random'
check "the datanode stops when asked" stop datanode
check "the namenode stops when asked" stop namenode

step "remove"
! booted || start_both
apt remove dolmen-namenode dolmen-datanode dolmen-client
check "the programs are gone" sh -c '! ls /usr/bin/dolmen*'
! booted || check "the daemons are gone" is "$(find /proc -maxdepth 1 -user dolmen)" ""
check "the settings stayed" grep -qx '# a change of an administrator' /etc/dolmen/namenode.toml
check "the data stayed" test -d $data/namenode/meta

step "install again, start"
apt install "$(deb dolmen-namenode)" "$(deb dolmen-datanode)" "$(deb dolmen-client)"
check "the setting is still there" grep -qx '# a change of an administrator' /etc/dolmen/namenode.toml
start_both
check "the file is read back" sh -c 'dolmen dfs -cat stored/random | cmp - random'
check "the datanode stops when asked" stop datanode
check "the namenode stops when asked" stop namenode

step "purge"
apt purge dolmen-namenode dolmen-datanode dolmen-client
for daemon in namenode datanode; do
  check "the purge says that $data/$daemon was kept, and how to remove it" \
    grep -q "^dolmen-$daemon: $data/$daemon .*kept.*rm -rf $data/$daemon\$" "$scratch/apt.log"
  check "$data/$daemon has its data" test -n "$(ls -A $data/$daemon)"
done
check "nothing else is left" is "$(leftovers | grep -v "^$data/")" "$data"
check "the user is left" getent passwd dolmen

step "purge without data"
rm -rf ${data:?}/namenode ${data:?}/datanode
apt install "$(deb dolmen-namenode)" "$(deb dolmen-datanode)" "$(deb dolmen-client)"
check "the directories are there again" is "$(owner $data/namenode), $(owner $data/datanode)" \
  "dolmen:dolmen 750, dolmen:dolmen 750"
apt purge dolmen-namenode dolmen-datanode dolmen-client
check "nothing was said about data" sh -c '! grep -q "kept" "$0"' "$scratch/apt.log"
check "nothing is left" is "$(leftovers)" ""

echo "PASSED"
