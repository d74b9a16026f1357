#!/bin/sh
# What `make try` shows: the installed command on a simulated machine that is sick in several places.
set -eu

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
firstlight=.venv/bin/firstlight

show() {
    printf '\n$ firstlight %s\n' "$*"
    "$firstlight" "$@"
}

echo "A container whose CUDA does not work, without a GPU: the machine is simulated, the command is the real one."
# shellcheck disable=SC2016 # the app expands it
show rehearse sick-pod --state-dir "$state" -- sh -c 'echo "the app runs, CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"'
show timeline --state-dir "$state"
