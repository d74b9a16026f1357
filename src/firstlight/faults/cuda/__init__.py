"""Faults of what CUDA alone can tell."""
