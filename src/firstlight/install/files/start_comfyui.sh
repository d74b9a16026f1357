#!/bin/sh
# Starts ComfyUI once CUDA is proven, and looks after it: sh @volume@/start_comfyui.sh [ARGUMENTS OF COMFYUI]
# Made by `firstlight install`; `@volume@/firstlight/firstlight install --uninstall --dir @volume@` removes it.
#
# COMFYUI_DIR names the folder of ComfyUI, COMFYUI_PYTHON the Python that runs it; otherwise they are looked for where the
# images of RunPod have them. Every setting of `firstlight run` can be given as a variable: FIRSTLIGHT_SERVE=0.0.0.0:8421.
set -eu

volume=@volume@
folder=${COMFYUI_DIR:-}
for place in "$volume/ComfyUI" "$volume/runpod-slim/ComfyUI" /workspace/ComfyUI /workspace/runpod-slim/ComfyUI /ComfyUI /comfyui; do
    if [ -z "$folder" ] && [ -f "$place/main.py" ]; then
        folder=$place
    fi
done
if [ ! -f "$folder/main.py" ]; then
    echo "start_comfyui.sh: cannot find ComfyUI${folder:+ in $folder}: name its folder in COMFYUI_DIR" >&2
    exit 127
fi
CDPATH='' cd -- "$folder"

# `python` before python3: in RunPod's images PyTorch belongs to the former.
python=${COMFYUI_PYTHON:-}
for place in "$PWD/.venv/bin/python" "$PWD/venv/bin/python" "$volume/venv/bin/python" "$(command -v python || :)" "$(command -v python3 || :)"; do
    if [ -z "$python" ] && [ -x "$place" ]; then
        python=$place
    fi
done
if [ -z "$python" ]; then
    echo "start_comfyui.sh: cannot find a Python for $folder: name it in COMFYUI_PYTHON" >&2
    exit 127
fi

# Arguments that RunPod's image keeps in a file, for which it has no quoting. The last one of a kind counts: yours.
if [ -f ../comfyui_args.txt ]; then
    set -f
    # shellcheck disable=SC2046 # each word is an argument
    set -- $(grep -v '^[[:space:]]*#' ../comfyui_args.txt) "$@"
    set +f
fi
exec sh "$volume/firstlight/firstlight" run --app comfyui -- "$python" main.py --listen 0.0.0.0 --port 8188 "$@"
