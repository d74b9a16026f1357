#!/bin/sh
# The start script that most GPU images carry: a fixed environment, a loop over nvidia-smi, one PyTorch warm-up, then the app.
# Kept as the thing to compare with. USUAL_PYTHON is the interpreter that has PyTorch.
export CUDA_VISIBLE_DEVICES=0
export CUDA_DEVICE_ORDER=PCI_BUS_ID

attempt=1
while [ "$attempt" -le 10 ]; do
    if nvidia-smi >/dev/null 2>&1; then
        break
    fi
    echo "GPU not ready, attempt $attempt of 10" >&2
    sleep 3
    attempt=$((attempt + 1))
done

"${USUAL_PYTHON:-python3}" "$(dirname "$0")/usual_warm.py" || echo "warm-up failed, starting anyway" >&2
exec "$@"
