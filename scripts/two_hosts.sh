#!/usr/bin/env bash
# Runs a command as two MPI processes on two hosts that are none: network namespaces with a cable of a given speed between
# them. For measuring what a slow network costs.
#
#   sudo scripts/two_hosts.sh RATE DELAY_MS -- COMMAND...
#
# RATE as tc understands it (1gbit), DELAY_MS of each direction: the time a packet is under way, which scripts/wire.py makes.
# Needs root, Open MPI, Python and the package iproute2.
set -euo pipefail

readonly hosts=(bitdiff-a bitdiff-b) network=10.77.0 cable=bitdiff0
wire=

main() {
  if (($# < 4)) || [[ ! "$2" =~ ^[0-9.]+$ || "$3" != -- ]]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
  fi
  rate=$1 delay=$2
  shift 3
  trap remove_hosts EXIT
  make_hosts
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  ip netns exec "${hosts[0]}" mpirun -n 2 --host "$network.1,$network.2" \
    --mca plm_rsh_agent "$(realpath "$0") agent" \
    --mca btl tcp,self --mca btl_tcp_if_include "$network.0/24" --mca oob_tcp_if_include "$network.0/24" \
    --mca hwloc_base_binding_policy none "$@"
}

make_hosts() {
  remove_hosts
  local i
  for i in 0 1; do ip netns add "${hosts[i]}"; done
  "$(dirname "$0")/wire.py" "$delay" "$cable" "${hosts[@]}" &
  wire=$!
  for i in 0 1; do
    local -a inside=(ip netns exec "${hosts[i]}")
    until "${inside[@]}" ip link show "$cable" >/dev/null 2>&1; do
      kill -0 "$wire" || exit 1
      sleep 0.1
    done
    "${inside[@]}" ip link set lo up
    "${inside[@]}" ip address add "$network.$((i + 1))/24" dev "$cable"
    # Large packets, as network cards that cut them by themselves get.
    "${inside[@]}" ip link set "$cable" mtu 60000 up
    "${inside[@]}" tc qdisc add dev "$cable" root tbf rate "$rate" burst 256kb latency 50ms
  done
}

remove_hosts() {
  [[ -z "$wire" ]] || kill "$wire" 2>/dev/null || true
  local host
  for host in "${hosts[@]}"; do ip netns del "$host" 2>/dev/null || true; done
}

# mpirun calls this in place of ssh, as "agent HOST COMMAND": everything runs on this machine, under another name.
agent() {
  shift
  exec ip netns exec "${hosts[1]}" unshare --uts sh -c "hostname ${hosts[1]}; $*"
}

if [[ "${1:-}" == agent ]]; then
  shift
  agent "$@"
fi
main "$@"
