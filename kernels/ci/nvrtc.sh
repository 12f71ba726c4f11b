#!/usr/bin/env bash
# Compiles every kernel source by NVRTC, which needs no GPU: installs its Python wheel in a folder of its own and runs the tests that use it.
# Without a network to install it from, says so and is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work" 'nvidia-cuda-nvrtc-cu12==12.9.*'; then
  echo "skipped: the wheel nvidia-cuda-nvrtc-cu12 cannot be installed here"
  exit 0
fi
LD_LIBRARY_PATH="$work/nvidia/cuda_nvrtc/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" TOPRUNG_NVRTC=required \
  cargo test -p toprung-kernels --lib compiling
