#!/bin/sh
# Bring VibeVoice's own code for inference into .tools/vibevoice/, from the package registry, as folders of packages that stand in front of those of
# ComfyUI (tools/bring_comfyui.sh): works/ has the versions that work, newest/ and mixed/ the ones that break it. Only tests use it.
set -eu

target=.tools/vibevoice

# shellcheck source=tools/bringing.sh
. tools/bringing.sh
python=.tools/comfyui/venv/bin/python
stamp=$(cat requirements/vibevoice*.txt tools/bringing.sh tools/bring_vibevoice.sh | cksum)
test "$(cat "$target/ready" 2>/dev/null)" != "$stamp" || exit 0

rm -rf "$target"
mkdir -p "$target"
bring() { # FOLDER LIST
    quietly "VibeVoice: fetching $2" $uv pip install --quiet --no-deps --require-hashes --requirement "requirements/$2.txt" \
        --python "$python" --target "$target/$1"
}
bring works vibevoice
bring newest vibevoice-newest
bring mixed vibevoice-mixed
printf '%s\n' "$stamp" >"$target/ready"
