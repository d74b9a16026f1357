"""Faults of the GPU itself, and what joins GPUs."""
