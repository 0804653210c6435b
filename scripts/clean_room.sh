#!/usr/bin/env bash
# Proves the README's commands on a Debian 12 that has nothing: makes a fresh root in a folder, clones the present commit
# into it, and runs the commands there, with the time of each.
#
#   sudo scripts/clean_room.sh FOLDER [COMMAND]...      COMMAND: "make demo" unless given
#
# FOLDER must not exist and stays afterwards, to be looked at. Needs debootstrap, root and 6 GB.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)

# Settings of this machine without which its network may not work: certificates, proxies, mirrors.
readonly settings=(/etc/resolv.conf /etc/hosts /etc/pip.conf /usr/local/share/ca-certificates)
readonly passed_on='^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|PIP_DEFAULT_TIMEOUT)='

main() {
  if (($# < 1)); then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
  fi
  root=$1
  shift
  (($#)) || set -- "make demo"
  [[ ! -e "$root" ]] || { echo "clean room: $root exists; name a new folder" >&2; exit 2; }
  ((EUID == 0)) || { echo "clean room: making a root takes root; use sudo" >&2; exit 2; }
  command -v debootstrap >/dev/null || { echo "clean room: run apt-get install -y debootstrap first" >&2; exit 2; }
  trap unmount EXIT

  timed "debootstrap" make_root
  timed "apt-get install -y git make ca-certificates" inside \
    'apt-get update -qq && apt-get install -y -qq git make ca-certificates >/dev/null 2>&1'
  timed "git clone" clone
  local command
  for command in "$@"; do
    timed "$command" inside "cd /srv/bitdiff && $command"
  done
}

timed() {
  local name=$1 start=$SECONDS
  shift
  printf 'clean room: %s ...\n' "$name"
  if ! "$@" </dev/null; then
    printf 'clean room: %s FAILED after %s s\n' "$name" $((SECONDS - start)) >&2
    exit 1
  fi
  printf 'clean room: %s took %s s\n' "$name" $((SECONDS - start))
}

make_root() {
  local log
  log=$(mktemp)
  debootstrap --variant=minbase bookworm "$root" "$(mirror)" >"$log" 2>&1 || { tail -n 5 "$log" >&2; return 1; }
  rm -f "$log"
  local path
  for path in "${settings[@]}"; do
    if [[ -e "$path" ]]; then
      mkdir -p "$root$(dirname "$path")"
      cp -rL "$path" "$root$(dirname "$path")"
    fi
  done
  find /etc/apt/apt.conf.d -type f -exec grep -lZiE 'proxy|check-valid|check-date' {} + |
    xargs -0 -r cp -t "$root/etc/apt/apt.conf.d"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --make-rslave "$root/dev"
}

# The Debian mirror of this machine, or Debian's own.
mirror() {
  local found
  found=$(grep -rhoE '^(deb|URIs:).*https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
    grep -oE 'https?://[^ ]*' | head -n 1) || true
  echo "${found:-http://deb.debian.org/debian}"
}

clone() {
  git clone -q --no-hardlinks "$source" "$root/srv/bitdiff"
}

# Runs a command in the root with an environment of its own: nothing of this machine's caches, variables or programs.
inside() {
  local -a kept
  mapfile -t kept < <(env | grep -E "$passed_on" || true)
  chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "${kept[@]}" \
    /bin/bash -c "$1"
}

unmount() {
  local point
  for point in dev proc; do
    if mountpoint -q "$root/$point" 2>/dev/null; then umount -R -l "$root/$point"; fi
  done
}

main "$@"
