"""Stands for your app: it waits to be stopped, and says so."""

import os
import signal

print("the app runs; CUDA_VISIBLE_DEVICES is", os.environ.get("CUDA_VISIBLE_DEVICES", "not set"), flush=True)
number = signal.sigwait({signal.SIGTERM, signal.SIGINT})
print("the app was stopped by", signal.Signals(number).name, flush=True)
