#!/bin/sh
# What the scripts that bring something share, to be sourced: `target` says where it goes.
# shellcheck disable=SC2034,SC2154 # who sources it sets `target`, and uses `uv`

say() { printf 'firstlight: %s\n' "$*" >&2; }

quietly() { # WORDS COMMAND...: run it; on failure say that it cannot do what WORDS say
    words=$1
    shift
    say "$words"
    "$@" >"$target/log" 2>&1 || {
        say "cannot go on with $words: $(grep . "$target/log" | tail -n 1) (all of it in $target/log)"
        exit 1
    }
}

export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_CACHE_DIR=.tools/cache
uv=.tools/uv/bin/uv
