#!/usr/bin/env bash
# Runs a command as two MPI processes on two hosts that are none: network namespaces with a cable of a given speed between
# them. For measuring what a slow network costs.
#
#   sudo scripts/two_hosts.sh RATE [DELAY] -- COMMAND...
#
# RATE as tc understands it (1gbit), of each direction. DELAY (2ms), of each direction, takes a kernel with sch_netem.
# Needs root, Open MPI and the package iproute2.
set -euo pipefail

readonly hosts=(bitdiff-a bitdiff-b) network=10.77.0

main() {
  if (($# < 3)); then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
  fi
  rate=$1 delay=
  shift
  [[ "$1" == -- ]] || { delay=$1; shift; }
  [[ "$1" == -- ]] && shift
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
  ip link add bitdiff-c0 netns "${hosts[0]}" type veth peer name bitdiff-c1 netns "${hosts[1]}"
  for i in 0 1; do
    local -a inside=(ip netns exec "${hosts[i]}")
    "${inside[@]}" ip link set lo up
    "${inside[@]}" ip address add "$network.$((i + 1))/24" dev "bitdiff-c$i"
    "${inside[@]}" ip link set "bitdiff-c$i" up
    "${inside[@]}" tc qdisc add dev "bitdiff-c$i" root handle 1: tbf rate "$rate" burst 256kb latency 50ms
    if [[ -n "$delay" ]]; then
      "${inside[@]}" tc qdisc add dev "bitdiff-c$i" parent 1: netem delay "$delay" limit 100000
    fi
  done
}

remove_hosts() {
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
