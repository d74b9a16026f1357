#!/bin/sh
# What `make try` shows: the installed command on a simulated machine that is sick in several places, and the page that it shows itself on.
set -eu

state=$(mktemp -d)
firstlight=.venv/bin/firstlight
running=

end() {
    if [ -n "$running" ]; then
        kill "$running" 2>/dev/null || :
        wait "$running" || :
    fi
    rm -rf "$state"
}
trap end EXIT
trap 'exit 130' INT TERM

show() {
    printf '\n$ firstlight %s\n' "$*"
    "$firstlight" "$@"
}

stage() {
    "$firstlight" status --state-dir "$state" --format json 2>/dev/null | sed -n 's/^  "stage": "\(.*\)",$/\1/p'
}

echo "A container whose CUDA does not work, without a GPU: the machine is simulated, the command is the real one."
# shellcheck disable=SC2016 # the app expands it
app='echo "the app runs, CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"; exec sleep 3600'
printf '\n$ firstlight rehearse sick-pod --serve 127.0.0.1:0 -- sh -c %s\n' "'$app'"
"$firstlight" rehearse sick-pod --serve 127.0.0.1:0 --state-dir "$state" --run-dir "$state/run" -- sh -c "$app" 2>"$state/said" &
running=$!
tail -n +1 -f --pid="$running" "$state/said" >&2 &
until [ "$(stage)" = ready ]; do
    kill -0 "$running"
    sleep 0.1
done
until address=$(sed -n 's/.*the status page is at //p' "$state/said") && [ -n "$address" ]; do
    kill -0 "$running"
    sleep 0.1
done
show timeline --state-dir "$state"
show ctl status --run-dir "$state/run"
printf '\nThe status page is at %s' "$address"
if [ -t 0 ]; then
    printf ' until you press Enter. '
    read -r _
fi
echo
