#!/bin/sh
# Bring our own uv into .tools/, from the package registry, by its hash. Whatever is on the machine stays as it is.
#
# A bare Debian has a python3 whose `venv` does not work (no ensurepip) and perhaps no pip. So, in this order: a venv;
# a pip that is there; and where we may, Debian's own package that makes the venv work.
set -eu

say() { printf 'firstlight: %s\n' "$*" >&2; }

fail() {
    say "cannot $*"
    exit 1
}

venv_with_pip() { # a venv that has a pip, or nothing
    rm -rf .tools/uv
    python3 -m venv .tools/uv >.tools/venv.log 2>&1 && test -x .tools/uv/bin/pip
}

command -v python3 >/dev/null || fail "set up: there is no python3 (Debian, Ubuntu: apt-get install python3)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "set up: $(python3 -V) is older than Python 3.10"
mkdir -p .tools

if venv_with_pip; then
    pip() { .tools/uv/bin/python -m pip "$@"; }
    target=
elif python3 -m pip --version >/dev/null 2>&1; then
    rm -rf .tools/uv
    pip() { python3 -m pip "$@"; }
    target=.tools/uv
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing python3-venv (apt-get)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >.tools/apt.log 2>&1 || true # an old list may still do
    apt-get install -y -qq python3-venv >>.tools/apt.log 2>&1 || fail "install python3-venv: see .tools/apt.log"
    venv_with_pip || fail "make a virtual environment: see .tools/venv.log"
    pip() { .tools/uv/bin/python -m pip "$@"; }
    target=
else
    fail "set up: python3 has neither venv nor pip (Debian, Ubuntu: apt-get install python3-venv)"
fi

say "fetching uv"
pip install --quiet --disable-pip-version-check --no-input ${target:+--target "$target"} \
    --require-hashes --only-binary :all: --requirement requirements/uv.txt >.tools/pip.log 2>&1 ||
    fail "install uv: $(tail -n 1 .tools/pip.log) (all of it in .tools/pip.log)"
.tools/uv/bin/uv --version >/dev/null || fail "run .tools/uv/bin/uv"
