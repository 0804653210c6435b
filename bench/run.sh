#!/bin/sh
# bench/run.sh BUILD: times our U-Net beside PyTorch's and writes bench/results.md. On an idle machine, please.
set -eu
build=${1:?usage: bench/run.sh BUILD}
ninja -C "$build" bench_unet
exec python3 "$(dirname "$0")/compare.py" "$build" --out "$(dirname "$0")/results.md"
