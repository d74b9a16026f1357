#!/bin/sh
# Waits for CUDA, proves it on each GPU and sets the environment in which it works: . @volume@/cuda_init.sh
# Made by `firstlight install`; `@volume@/firstlight/firstlight install --uninstall --dir @volume@` removes it.
#
# Sourced or executed, by any shell: its status is 0 where CUDA works. All is done in a subshell, and what has to happen in
# yours is printed by it: so nothing of ours is left there, and your options stay as they are.
eval "$(
    set +e
    tool=@volume@/firstlight/firstlight
    if [ -r "$tool" ]; then
        sh "$tool" env --wait </dev/null
    else
        echo "cuda_init.sh: cannot find $tool: run firstlight install again" >&2
        (exit 127)
    fi
    # Outside of a sourced file there is nothing to return from.
    echo "return $? 2>/dev/null || exit $?"
)" || : # dash would not let you test the status of a file that fails under set -e
false # the subshell was killed before it could say anything
