# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with run.sh
# Sourced by run.sh: a Docker engine, a client that can build with it, and Debian's base image. What is there already is
# used and left alone; the rest is made below $work and taken away again by engine_stop.

engine_pid=
engine_dir=
made_base=no

in_engine_log() { tail -n 15 "$engine_dir/log" >&2; }

# `docker` is from here on a client that can build with BuildKit: newer ones need a plugin for it.
choose_client() {
  local client
  for client in $(type -a -p docker); do
    if DOCKER_BUILDKIT=1 "$client" build --help 2>/dev/null | grep -q -- --progress; then
      ln -sf "$client" "$work/bin/docker"
      PATH=$work/bin:$PATH
      return 0
    fi
  done
  return 1
}

engine_packages() {
  local package missing=()
  for package in docker.io docker-compose iptables iproute2 debootstrap util-linux; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "   installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A machine without systemd would start an engine of its own at once, were this not runlevel 1.
  { apt-get update -q && RUNLEVEL=1 apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
    >"$work/apt.log" 2>&1 || { tail -n 15 "$work/apt.log" >&2; return 1; }
}

# What the engine changes on this machine besides its own files.
save_network() {
  cat /proc/sys/net/ipv4/ip_forward >"$engine_dir/ip_forward"
  local table
  for table in filter nat; do "$engine_dir/bin/iptables-save" -t $table; done >"$engine_dir/rules" 2>/dev/null
  [ -e /sys/class/net/docker0 ] || touch "$engine_dir/no-docker0"
}
restore_network() {
  [ -e "$engine_dir/rules" ] || return 0
  "$engine_dir/bin/iptables-restore" <"$engine_dir/rules" || true
  cat "$engine_dir/ip_forward" >/proc/sys/net/ipv4/ip_forward
  if [ -e "$engine_dir/no-docker0" ] && [ -e /sys/class/net/docker0 ]; then ip link delete docker0; fi
}

# The kernel may lack what the newer iptables needs: then the engine gets the older one.
choose_iptables() {
  local kind name
  mkdir "$engine_dir/bin"
  for kind in nft legacy; do
    "iptables-$kind" -t nat -L -n >/dev/null 2>&1 || continue
    for name in iptables iptables-save iptables-restore; do
      ln -sf "$(command -v "${name/iptables/iptables-$kind}")" "$engine_dir/bin/$name"
    done
    return 0
  done
  return 1
}

mtu_to_outside() {
  local device
  device=$(ip route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
  if [ -n "$device" ]; then cat "/sys/class/net/$device/mtu"; else echo 1500; fi
}

engine_start() {
  if docker info >/dev/null 2>&1 && choose_client && { command -v docker-compose || docker compose version; } >/dev/null 2>&1
  then
    echo "   using the engine that runs here"
    return 0
  fi
  [ "$(id -u)" -eq 0 ] || { echo "no usable Docker engine, and only root can start one" >&2; return 1; }
  command -v apt-get >/dev/null || { echo "no usable Docker engine, and no apt to install Debian's" >&2; return 1; }
  engine_packages || { echo "no usable Docker engine, and Debian's could not be installed" >&2; return 1; }
  choose_client || { echo "no docker client that can build with BuildKit" >&2; return 1; }
  if docker info >/dev/null 2>&1; then
    echo "   using the engine that was installed"
    return 0
  fi
  engine_dir=$work/engine
  mkdir "$engine_dir"
  choose_iptables || { echo "the Docker engine needs iptables, which does not work here" >&2; return 1; }
  save_network
  PATH=$engine_dir/bin:/usr/sbin:/sbin:$PATH setsid dockerd --data-root "$engine_dir/data" --exec-root "$engine_dir/run" \
    --pidfile "$engine_dir/pid" --host "unix://$engine_dir/socket" --mtu "$(mtu_to_outside)" \
    >"$engine_dir/log" 2>&1 &
  engine_pid=$!
  export DOCKER_HOST=unix://$engine_dir/socket
  local tries
  for ((tries = 0; tries < 240; ++tries)); do
    docker info >/dev/null 2>&1 && { echo "   started dockerd, pid $engine_pid"; return 0; }
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.25
  done
  echo "the Docker engine does not start:" >&2
  in_engine_log
  return 1
}

engine_stop() {
  if [ $made_base = yes ] && [ -z "$engine_pid" ]; then docker image rm -f debian:bookworm-slim >/dev/null 2>&1; fi
  [ -n "$engine_pid" ] || return 0
  kill "$engine_pid" 2>/dev/null || true
  local tries
  for ((tries = 0; tries < 240; ++tries)); do
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.25
  done
  kill -9 "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  restore_network
  # Mounts of its containers, the innermost first.
  awk -v dir="$engine_dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l || true
}

# Where this machine's apt gets Debian from.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016  # the format is apt's
  mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
  echo "${mirror:-http://deb.debian.org/debian}"
}

# debian:bookworm-slim: there already, pulled, or made of Debian's packages with this machine's way to them.
base_image() {
  if docker image inspect debian:bookworm-slim >/dev/null 2>&1; then
    echo "   debian:bookworm-slim is there"
    return 0
  fi
  if timeout 120 docker pull -q debian:bookworm-slim >/dev/null 2>&1; then
    echo "   pulled debian:bookworm-slim"
    return 0
  fi
  if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "debian:bookworm-slim can't be pulled, and making it takes root and debootstrap" >&2
    return 1
  fi
  local root=$work/base file
  debootstrap --variant=minbase bookworm "$root" "$(debian_mirror)" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 15 "$work/debootstrap.log" >&2; return 1; }
  for file in /etc/apt/apt.conf.d/*proxy* /etc/apt/apt.conf; do
    if [ -e "$file" ]; then cp "$file" "$root$file"; fi
  done
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c . | docker import -c 'CMD ["bash"]' - debian:bookworm-slim >/dev/null || return 1
  made_base=yes
  rm -rf "$root"
  echo "   made debian:bookworm-slim of Debian's packages"
}
