#!/bin/sh
# See to the programs named on the command line: where one is missing, install its Debian package if we may, else say how.
# Fast and silent when all are there.
#
# After --wanted come those that a few tests want, which skip where they are missing: not having them is no failure.
set -eu

cannot=1
packages=
for program in "$@"; do
    if [ "$program" = --wanted ]; then
        cannot=0
        continue
    fi
    command -v "$program" >/dev/null && continue
    case $program in
    cc) packages="$packages gcc libc6-dev" ;;
    s6-svscan) packages="$packages s6" ;;
    promtool) packages="$packages prometheus" ;;
    *) packages="$packages $program" ;;
    esac
done
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    printf 'firstlight: installing%s (apt-get)\n' "$packages" >&2
    mkdir -p .tools
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >.tools/apt.log 2>&1 || true # an old list may still do
    # shellcheck disable=SC2086 # a list of package names
    if apt-get install -y -qq --no-install-recommends $packages >>.tools/apt.log 2>&1; then
        exit 0
    fi
    printf 'firstlight: cannot install%s: see .tools/apt.log\n' "$packages" >&2
    exit "$cannot"
fi
[ "$cannot" = 1 ] || exit 0
printf 'firstlight: cannot go on without these packages:%s (Debian, Ubuntu: apt-get install%s)\n' "$packages" "$packages" >&2
exit "$cannot"
