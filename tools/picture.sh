#!/bin/sh
# Takes the pictures of the status page that the README shows: a boot on a simulated machine, in light and dark. Needs chromium.
set -eu

folder=docs/recorded
state=$(mktemp -d)
trap 'kill "$running" 2>/dev/null || :; wait "$running" || :; rm -rf "$state"' EXIT

.venv/bin/firstlight rehearse sick-pod --serve 127.0.0.1:0 --app http --state-dir "$state/state" --run-dir "$state/run" -- \
    python3 -u -m http.server 8000 --directory "$state" 2>"$state/said" &
running=$!
until .venv/bin/firstlight ctl status --run-dir "$state/run" 2>/dev/null | grep -q '^Ready'; do
    kill -0 "$running"
    sleep 0.2
done
address=$(sed -n 's/.*the status page is at //p' "$state/said")
take() {
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1860 "--blink-settings=preferredColorScheme=$1" \
        --screenshot="$folder/$2" "$address" >/dev/null 2>&1
}
take 1 status-page.png
take 0 status-page-dark.png
