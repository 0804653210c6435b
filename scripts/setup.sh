#!/usr/bin/env bash
# Installs what building and testing needs. Quick when everything is there.
#
#   scripts/setup.sh          what building needs: distribution packages and LibTorch
#   scripts/setup.sh test     also MPI, and a small Python with NumPy, which tests ask for a second opinion
#   scripts/setup.sh lint     also MPI, clang-format, shellcheck, and a Python that brings clang-tidy
#   scripts/setup.sh oracle   also a Python with all of PyTorch (2.7 GB)
#   scripts/setup.sh plot     also a Python with Matplotlib, for the curves of the docs
#
# Needs no CUDA toolkit and no GPU, and root only for packages of the distribution.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/bitdiff"
readonly torch_version=2.11.0

packages=(
  ca-certificates g++ cmake ninja-build ccache pkg-config python3-venv
  libpng-dev libjpeg-dev zlib1g-dev libzip-dev libarchive-dev libssl-dev libjemalloc-dev libcli11-dev libtomlplusplus-dev
  nlohmann-json3-dev libsentencepiece-dev
  libgtest-dev libgmock-dev librapidcheck-dev
)
# For several processes; the build takes it where it is there.
readonly mpi=(libopenmpi-dev openmpi-bin)

main() {
  case "${1:-build}" in
    build) steps=2 ;;
    test)
      steps=3
      packages+=("${mpi[@]}")
      ;;
    oracle | plot) steps=3 ;;
    lint)
      steps=3
      packages+=("${mpi[@]}" clang-format shellcheck)
      ;;
    *)
      echo "usage: scripts/setup.sh [build|test|lint|oracle|plot]" >&2
      exit 2
      ;;
  esac
  step 1 "distribution packages" install_packages
  step 2 "LibTorch" install_libtorch
  case "${1:-build}" in
    test) step 3 "Python for the tests" install_python python-tests tests/requirements.txt ;;
    oracle) step 3 "Python with PyTorch" install_python python-torch tests/requirements-torch.txt ;;
    lint) step 3 "clang-tidy" install_python python-lint scripts/requirements-lint.txt ;;
    plot) step 3 "Python for plots" install_python python-plot scripts/requirements-plot.txt ;;
  esac
}

# step NUMBER NAME COMMAND...: runs the command, which is quiet when there is nothing to do.
step() {
  current="step $1 of $steps ($2)"
  shift 2
  "$@"
}

fail() {
  printf 'set-up: %s failed: %s\n' "$current" "$1" >&2
  exit 1
}

say() {
  printf 'set-up: %s: %s\n' "$current" "$1"
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "this is no Debian, so nothing is installed here. The build needs what Debian calls ${packages[*]}"
    return
  fi
  local missing=() package
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local log line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  local -a as_root=(env DEBIAN_FRONTEND=noninteractive)
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      fail "packages are missing and installing them takes root. As root, run: $line"
    fi
    as_root=(sudo -n "${as_root[@]}")
  fi
  lock_cache  # apt-get does not wait for another set-up's.
  say "installing ${missing[*]}"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    rm -f "$log"
    fail "apt-get ended with the lines above. Check the network and /etc/apt/sources.list*; then, as root, run: $line"
  fi
  rm -f "$log"
}

is_installed() {
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

install_libtorch() {
  libtorch_is_there && return
  if [[ -n "${LIBTORCH:-}" ]]; then
    fail "LIBTORCH=$LIBTORCH is not a usable LibTorch $torch_version, for the reason above. Correct it, or unset it to have LibTorch fetched."
  fi
  lock_cache
  libtorch_is_there 2>/dev/null && return
  say "fetching LibTorch $torch_version into $cache, once (0.5 GB; 1.4 GB unpacked)"
  # Only the C++ libraries are used. On a CPU they need none of torch's dependencies but CUDA's two small run-time libraries.
  into_cache "libtorch-$torch_version" fetch_wheels --no-deps \
    "torch==$torch_version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
  if ! libtorch_is_there; then
    fail "what was fetched cannot be used, for the reason above. Remove $cache/libtorch-$torch_version and run this again."
  fi
}

# Asks the file that the build asks: LIBTORCH, the active Python, the cache. Complains only about what the user chose.
libtorch_is_there() {
  local answer
  if answer=$(cmake -P cmake/LibTorchLookup.cmake 2>&1); then return 0; fi
  if [[ -n "${LIBTORCH:-}" || -d "$cache/libtorch-$torch_version" ]]; then echo "$answer" >&2; fi
  return 1
}

fetch_wheels() {
  local folder=$1
  shift
  make_venv "$folder/venv"
  pip_install "$folder/venv" --no-compile --target "$folder/new" "$@"
  mv "$folder/new" "$folder/result"
}

# install_python NAME REQUIREMENTS: a virtual environment in the cache, made anew when the requirements change.
install_python() {
  cmp -s "$2" "$cache/$1/requirements.txt" && return
  lock_cache
  cmp -s "$2" "$cache/$1/requirements.txt" && return
  say "making $cache/$1, once ($(grep -v '^#' "$2" | paste -sd ' '))"
  into_cache "$1" fetch_python "$2"
}

fetch_python() {
  make_venv "$1/result"
  pip_install "$1/result" -r "$2"
  cp "$2" "$1/result/requirements.txt"
}

# One process at a time installs packages or changes the cache; the lock ends with the process.
lock_cache() {
  mkdir -p "$cache" || fail "cannot write to $cache. Set XDG_CACHE_HOME to a folder you can write to."
  exec 9>"$cache/lock"
  flock 9
}

# into_cache NAME COMMAND...: COMMAND FOLDER... leaves FOLDER/result, which becomes cache/NAME at once, so that the cache
# holds whole things only.
into_cache() {
  local name=$1 command=$2
  part="$cache/$1.part"
  shift 2
  trap 'rm -rf "$part"' EXIT
  rm -rf "$part"
  mkdir -p "$part/tmp"
  "$command" "$part" "$@"
  rm -rf "${cache:?}/$name"
  mv "$part/result" "$cache/$name"
  rm -rf "$part"
}

# The distribution's Python rather than the active one, which may be too old or too new for the wheels.
make_venv() {
  local python=/usr/bin/python3
  [[ -x "$python" ]] || python=python3
  "$python" -m venv "$1" || fail "$python -m venv did not work. Install python3-venv."
}

# pip unpacks in TMPDIR, which may be small elsewhere; a cache of its own would hold the half gigabyte a second time.
pip_install() {
  local venv=$1 quiet=--quiet
  shift
  if [[ -t 1 ]]; then quiet=--progress-bar=on; fi
  TMPDIR="$(dirname "$venv")/tmp" "$venv/bin/python" -m pip --disable-pip-version-check --no-cache-dir install \
    "$quiet" --only-binary=:all: "$@" ||
    fail "pip ended with the lines above. Check the network (or PIP_INDEX_URL) and the space in $cache; then run this again."
}

main "$@"
