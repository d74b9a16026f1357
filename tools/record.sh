#!/bin/sh
# Record the boot that the README shows: a rehearsal of sick-pod, its journal without the long lines of facts.
set -eu

state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
.venv/bin/firstlight rehearse sick-pod --state-dir "$state" -- true
rm -rf docs/recorded/boots
mkdir -p docs/recorded/boots
for journal in "$state"/boots/*.jsonl; do
    grep -v '"kind":"facts"' "$journal" >"docs/recorded/boots/$(basename "$journal")"
done
