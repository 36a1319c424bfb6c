#!/usr/bin/env bash
# From a fresh machine to a cluster that has proved itself: installs what is missing, builds, starts a namenode and
# three datanodes, stores a tree of thousands of files and one large file, reads them back, compares every byte, kills
# all processes with -9, starts them again, compares again.
#
#   deploy/quickstart.sh [--size BYTES] [--dir D] [--keep]
#
#   --size BYTES   of the large file, with K, M, G or T if you like (1G)
#   --dir D        where all state goes (a new directory below /var/tmp)
#   --keep         leave the cluster running and say how to use it
#
# Exit status 0 only if every step worked.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD

tree=/usr/include
size=1G
dir=
keep=no

fail() { echo "quickstart: $*" >&2; exit 1; }
usage() { sed -n '2,/^set /p' "$project/deploy/quickstart.sh" | sed -n 's/^# \{0,1\}//p'; }

while [ $# -gt 0 ]; do
  case $1 in
    --size | --dir) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift 2 ;;
    --size=* | --dir=*) name=${1%%=*}; declare "${name#--}=${1#*=}"; shift ;;
    --keep) keep=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown word '$1'; --help tells what there is" ;;
  esac
done

[[ $size =~ ^([0-9]{1,15})([KMGTkmgt]?)$ ]] || fail "--size $size: expected a number of bytes, as 1073741824 or 1G"
bytes=$((10#${BASH_REMATCH[1]}))
case ${BASH_REMATCH[2]} in
  [Kk]) bytes=$((bytes << 10)) ;;
  [Mm]) bytes=$((bytes << 20)) ;;
  [Gg]) bytes=$((bytes << 30)) ;;
  [Tt]) bytes=$((bytes << 40)) ;;
esac
[ "$bytes" -gt 0 ] || fail "--size $size: nothing to store"

# ---- the summary: what happened, how long it took ----

now() { date +%s.%N; }
summary=()
# step NAME BYTES COMMAND...: runs it, prints its time, and its throughput if BYTES is not 0.
step() {
  local name=$1 amount=$2 begin line
  shift 2
  echo "== $name"
  begin=$(now)
  "$@" || fail "$name failed"
  line=$(awk -v name="$name" -v bytes="$amount" -v begin="$begin" -v end="$(now)" 'BEGIN {
    seconds = end - begin
    if (bytes > 0) printf "%-52s %8.2f s %9.1f MiB/s", name, seconds, bytes / 1048576 / (seconds > 0 ? seconds : 1e-9)
    else printf "%-52s %8.2f s", name, seconds }')
  summary+=("$line")
  echo "   ${line#"$name"}" | tr -s ' '
}

step "install missing packages" 0 deploy/install-packages.sh

# ---- room for everything: three replicas, the source, the copy read back ----

made_dir=no
if [ -z "$dir" ]; then
  dir=$(mktemp -d /var/tmp/dolmen-quickstart.XXXXXX)
  made_dir=yes
else
  [ -d "$dir" ] || made_dir=yes
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  [ ! -e "$dir/cluster" ] || fail "$dir holds an earlier run; remove it or give another --dir"
fi
[ -d "$tree" ] || fail "there is no $tree to store"
tree_bytes=$(du -sbL "$tree" | cut -f1)
tree_files=$(find -L "$tree" -type f | wc -l)
needed=$(((bytes + tree_bytes) * 5 + (512 << 20)))
free=$(df -B1 --output=avail "$dir" | tail -n 1 | tr -d ' ')
if [ "$free" -lt "$needed" ]; then
  [ "$made_dir" = no ] || rmdir "$dir"
  fail "$dir has $((free >> 20)) MiB free, $((needed >> 20)) MiB are needed; use a smaller --size or another --dir"
fi

# ---- build ----

trap '[ $made_dir = no ] || rmdir "$dir" 2>/dev/null || true' EXIT
build() {
  cmake --preset release >/dev/null && cmake --build --preset release --target dolmen dolmen-namenode dolmen-datanode
}
step "build (release)" 0 build
PATH=$project/build/release/bin:$PATH

# ---- clean up on every way out ----

cluster=$dir/cluster
pids() { dolmen local status --dir "$cluster" --json | grep -o '"pid": [0-9]*' | grep -o '[0-9]*' || true; }
finish() {
  local code=$?
  trap - EXIT
  if [ $code -ne 0 ] || [ $keep = no ]; then
    dolmen local stop --dir "$cluster" >/dev/null 2>&1 || pids | xargs -r kill -9
  fi
  if [ $code -ne 0 ]; then
    echo "quickstart: FAILED; what is left, and the logs, are in $dir" >&2
  elif [ $keep = no ]; then
    rm -rf "$cluster" "$dir/big" "$dir/back"
    [ $made_dir = no ] || rmdir "$dir" 2>/dev/null || true
  fi
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

# Ports somebody else listens on are left alone: then free ones are picked.
ports=()
for port in 7020 7066 7067 7068; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then ports=(--namenode-port 0 --datanode-port 0); fi
done

make_file() {
  if command -v openssl >/dev/null; then
    # A key stream is random enough and several times quicker than the kernel's.
    head -c "$bytes" /dev/zero |
      openssl enc -aes-128-ctr -nosalt -K "$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')" \
        -iv 00000000000000000000000000000000 >"$dir/big"
  else
    head -c "$bytes" /dev/urandom >"$dir/big"
  fi
}

read_back() {  # into $dir/back, which is emptied first
  rm -rf "$dir/back"
  mkdir "$dir/back"
}

check_all() {  # check_all WHEN
  read_back
  step "get the tree $1" "$tree_bytes" dolmen dfs -get /tree "$dir/back/tree"
  step "compare the tree $1" "$tree_bytes" diff -r "$tree" "$dir/back/tree"
  rm -rf "$dir/back/tree"
  step "get the large file $1" "$bytes" dolmen dfs -get /big "$dir/back/big"
  step "compare the large file $1" "$bytes" cmp "$dir/big" "$dir/back/big"
  rm -rf "$dir/back"
}

kill_everything() {
  local pid victims
  victims=$(pids)
  [ "$(wc -w <<<"$victims")" -eq 4 ] || fail "expected 4 processes to kill, found: $victims"
  kill -9 $victims
  for pid in $victims; do
    for _ in $(seq 500); do
      # A zombie (its parent has not looked yet) is dead enough.
      grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" || break
      sleep 0.01
    done
  done
}

list_back() {
  dolmen dfs -ls / &&
    [ "$(dolmen dfs -ls -R -C /tree | wc -l)" -eq "$(find -L "$tree" -mindepth 1 | wc -l)" ]
}

step "start a namenode and three datanodes" 0 dolmen local start --dir "$cluster" "${ports[@]}"
DOLMEN_FS=$(dolmen local status --dir "$cluster" --json | sed -n 's/.*"uri": "\([^"]*\)".*/\1/p')
export DOLMEN_FS

step "make a file of $size" "$bytes" make_file
step "put $tree ($tree_files files)" "$tree_bytes" dolmen dfs -put "$tree" /tree
step "put the large file" "$bytes" dolmen dfs -put "$dir/big" /big
step "list" 0 list_back
check_all "back"
step "kill -9 all four processes" 0 kill_everything
step "start again" 0 dolmen local start --dir "$cluster"
check_all "after the kill"
step "report" 0 dolmen dfsadmin -report

echo
echo "Everything came back identical, before and after kill -9:"
printf '  %s\n' "${summary[@]}"
echo
if [ $keep = yes ]; then
  echo "The cluster stays up. To use it:"
  echo "  export PATH=$project/build/release/bin:\$PATH DOLMEN_FS=$DOLMEN_FS"
  echo "  dolmen dfs -ls /"
  echo "  dolmen local status --dir $cluster"
  echo "  dolmen local stop --dir $cluster"
else
  step "stop" 0 dolmen local stop --dir "$cluster"
fi
